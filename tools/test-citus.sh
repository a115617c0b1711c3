#!/usr/bin/env bash
# Row-level security on the nodes of Citus, with the Citus that is installed in the Postgres of PG_CONFIG. With ONLY=name no more than the
# tests whose path has this in it.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

[[ -f $("$PG_CONFIG" --sharedir)/extension/citus.control ]] ||
    fail "there is no Citus in Postgres $PG_MAJOR ($PG_CONFIG): install it, or name another Postgres by PG_CONFIG"
exec cargo test --release "${CRATES[@]}" --test citus -- ${ONLY:+"$ONLY"}
