#!/usr/bin/env bash
# Supabase's own clients against the gateway: in a cluster of its own, beside the WorkOS simulator.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster --bin workos-auth-gateway
exec "$CARGO_TARGET_DIR/release/testbed-cluster" -- tools/with-gateway.sh bash -c 'cd tests/supabase && exec node --test'
