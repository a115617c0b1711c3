#!/usr/bin/env bash
# Supabase's clients in other languages than JavaScript against the gateway, each unmodified: in a cluster of its own, beside the WorkOS
# simulator.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo build --quiet --release "${CRATES[@]}" --bin testbed-cluster --bin workos-auth-gateway
exec "$CARGO_TARGET_DIR/release/testbed-cluster" -- tools/with-gateway.sh tests/clients/run.sh
