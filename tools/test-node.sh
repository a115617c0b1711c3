#!/usr/bin/env bash
# WorkOS's own Node SDK against the simulator.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo build --quiet --release "${CRATES[@]}" --bin workos-simulator
cd tests/node
WORKOS_SIMULATOR=$CARGO_TARGET_DIR/release/workos-simulator exec node --test
