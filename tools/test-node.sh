#!/usr/bin/env bash
# WorkOS's own Node SDK against the simulator.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

# Together with the testbed, which has compiled the same already.
cargo build --quiet --release -p workos_simulator -p workos_testbed --bins
cd tests/node
WORKOS_SIMULATOR=$CARGO_TARGET_DIR/release/workos-simulator exec node --test
