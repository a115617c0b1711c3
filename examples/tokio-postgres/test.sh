#!/usr/bin/env bash
# The example in axum, as a browser sees it. Runs inside `testbed-cluster --`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/env.sh
. "$here/../../tools/env.sh"
cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" -p workos_auth_example
exec "$here/../test/run.sh" "$CARGO_TARGET_DIR/release/workos_auth_example"
