#!/usr/bin/env bash
# What needs no Postgres: the rules, the unit tests of everything else that is not the extension, the simulator, and the examples in their
# documentation.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo test --release "${CRATES[@]}" --lib --bins --test simulator
cargo test --release "${CRATES[@]}" --doc
