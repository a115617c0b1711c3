#!/usr/bin/env bash
# start.sh RUNNER: installs what the example in axum needs, and has RUNNER start it: a script of examples/test, inside `testbed-cluster --`.
set -euo pipefail
runner=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/env.sh
. "$here/../../tools/env.sh"
cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" -p workos_auth_example
exec "$runner" "$CARGO_TARGET_DIR/release/workos_auth_example"
