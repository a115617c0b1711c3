#!/usr/bin/env bash
# The tests inside a backend, by `cargo pgrx test`. With ONLY=name no more than those whose path (file::tests::pg_test) has this in it.
# They run in a copy of the Postgres of PG_CONFIG, and leave the extension that is installed as it is.
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)
"$tools/pgrx-postgres.sh"
# shellcheck source=tools/env.sh
. "$tools/env.sh"
cd "$ROOT"

test=(cargo pgrx test --release "pg$PG_MAJOR")
[[ -z ${ONLY:-} ]] || test+=("$ONLY")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ((EUID == 0)); then
    # A server does not run as root.
    mkdir "$work/data"
    chmod 755 "$work"
    chown postgres "$work/data"
    test+=(--runas postgres --pgdata "$work/data")
fi
# The client connects as who it is.
export USER=${USER:-$(id -un)}

"${test[@]}" 2>&1 | tee "$work/log"
if grep -q '^test result: ok. 0 passed' "$work/log"; then fail "no test inside a backend has ${ONLY:-a name} in its path"; fi
