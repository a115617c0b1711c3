#!/usr/bin/env bash
# The examples for Supabase's client on the server: installs and builds each, and asks all of them the same questions
# beside a throw-away cluster, a simulator and the gateway.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

export FRAMEWORKS=${FRAMEWORKS:-express nextjs sveltekit astro remix}
for framework in $FRAMEWORKS; do
    echo "-- examples/supabase/$framework"
    tools/install-example.sh "supabase/$framework"
done

cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster --bin workos-auth-gateway
"$CARGO_TARGET_DIR/release/testbed-cluster" -- tools/with-gateway.sh node --test examples/supabase/test/app.test.js
