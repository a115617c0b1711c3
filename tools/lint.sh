#!/usr/bin/env bash
# Looks over every script with shellcheck, for circles of files, over what people read, and over every package with clippy. The extension apart from
# the others, as it is built: so its dependencies have the features, and the compiled parts, of the build that is installed.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

find . \( -name target -o -name node_modules -o -name .git \) -prune -o -name '*.sh' -print0 |
    xargs -0 shellcheck --external-sources .ci/run tools/run-step

python3 tools/circles_test.py
python3 tools/circles.py

python3 tools/prose_test.py
python3 tools/prose.py

cargo clippy --quiet --release --workspace --exclude workos_auth --all-targets -- -D warnings
cargo clippy --quiet --release -p workos_auth "${PG_FEATURES[@]}" --lib -- -D warnings
# With its tests inside a backend.
cargo clippy --quiet --release -p workos_auth "${PG_FEATURES[@]}" --features pg_test --lib -- -D warnings
