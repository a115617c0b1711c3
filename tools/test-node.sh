#!/usr/bin/env bash
# WorkOS's own SDKs for Node and Python against the simulator.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo build --quiet --release "${CRATES[@]}" --bin workos-simulator
export WORKOS_SIMULATOR=$CARGO_TARGET_DIR/release/workos-simulator
(cd tests/node && node --test)
tests/workos-python/.venv/bin/python tests/workos-python/sdk_test.py
