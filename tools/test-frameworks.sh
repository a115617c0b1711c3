#!/usr/bin/env bash
# The examples for Supabase's client on the server: installs and builds each, and asks all of them the same questions
# beside a throw-away cluster, a simulator and the gateway.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

export FRAMEWORKS=${FRAMEWORKS:-express nextjs sveltekit astro remix}
# Nothing is told to anybody.
export NEXT_TELEMETRY_DISABLED=1 ASTRO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1 npm_config_update_notifier=false
for framework in $FRAMEWORKS; do
    echo "-- examples/supabase/$framework"
    cd "$ROOT/examples/supabase/$framework"
    # npm writes the second file when it is done. Supabase's client asks for Node 22 and runs with 20: npm may warn.
    if [[ ! -f node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
        npm ci --no-audit --no-fund --loglevel=error >/dev/null
        touch node_modules/.package-lock.json
    fi
    log=$(npm run --if-present build 2>&1 </dev/null) || { printf '%s\n' "$log" >&2; exit 1; }
done

cd "$ROOT"
cargo build --quiet --release -p workos_testbed -p workos_auth_gateway --bins
"$CARGO_TARGET_DIR/release/testbed-cluster" -- tools/with-gateway.sh node --test examples/supabase/test/app.test.js
