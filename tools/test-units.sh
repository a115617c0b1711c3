#!/usr/bin/env bash
# The unit tests of the gateway, the simulator and what else is neither the extension nor its rules; the simulator's tests; the examples in
# their documentation.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo test --release "${CRATES[@]}" --lib --bins --test simulator
cargo test --release "${CRATES[@]}" --doc
