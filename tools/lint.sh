#!/usr/bin/env bash
# clippy over every package. The extension apart from the others, as it is built: so its dependencies have the
# features, and the compiled parts, of the build that is installed.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

cargo clippy --quiet --release --workspace --exclude workos_auth --all-targets -- -D warnings
cargo clippy --quiet --release -p workos_auth "${PG_FEATURES[@]}" --lib -- -D warnings
