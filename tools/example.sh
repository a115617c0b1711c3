#!/usr/bin/env bash
# example.sh NAME: starts an example, with a Postgres and a stand-in for WorkOS of its own, until Ctrl-C. NAME is a folder of
# examples/, such as express or supabase/nextjs. PORT (3000) is where it listens.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

# The folders that can be started.
all=$(cd examples && find . -name node_modules -prune -o \( -name start.sh -o -name package.json \) -printf '%P\n' | xargs -n 1 dirname | sort -u)
name=${1:-}
grep -qxF -- "$name" <<<"$all" || fail "EXAMPLE is one of: ${all//$'\n'/ }"

export PORT=${PORT:-3000}
cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster
testbed=$CARGO_TARGET_DIR/release/testbed-cluster
# The stand-in shows its login page.
export TESTBED_INTERACTIVE=1

# A backend talks to the database itself.
if [[ -f examples/$name/start.sh ]]; then
    exec "$testbed" -- "examples/$name/start.sh" examples/test/serve.sh
fi

# The others have Supabase's client, which talks to the gateway.
tools/install-example.sh "$name"
cargo build --quiet --release "${CRATES[@]}" --bin workos-auth-gateway
export SITE_URL=http://127.0.0.1:$PORT
exec "$testbed" -- tools/with-gateway.sh examples/test/serve-supabase.sh "$name"
