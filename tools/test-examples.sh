#!/usr/bin/env bash
# Runs every examples/*/test.sh, each beside a throw-away cluster and a simulator of its own.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

shopt -s nullglob
scripts=(examples/*/test.sh)
((${#scripts[@]} > 0)) || fail "there is no examples/*/test.sh"
cargo build --quiet --release -p workos_testbed --bin testbed-cluster
for script in "${scripts[@]}"; do
    echo "-- ${script%/test.sh}"
    "$CARGO_TARGET_DIR/release/testbed-cluster" -- "$script"
done
