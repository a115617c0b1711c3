#!/usr/bin/env bash
# Supabase's clients in other languages than JavaScript against the gateway, each unmodified: in a cluster of its own, beside the WorkOS
# simulator.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

# --bin chooses from both packages.
cargo build --quiet --release -p workos_testbed --bin testbed-cluster -p workos_auth_gateway --bin workos-auth-gateway
exec "$CARGO_TARGET_DIR/release/testbed-cluster" -- tools/with-gateway.sh tests/clients/run.sh
