#!/usr/bin/env bash
# The documentation of every package, with what is private: a broken link, and whatever else rustdoc warns of, is an
# error. It is in target/doc afterwards. The extension apart, for the reason that lint.sh gives.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

# It is for those who work on the code, so what is public may link to what is private.
export RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links"
cargo doc --quiet --release --no-deps --document-private-items --workspace --exclude workos_auth
cargo doc --quiet --release --no-deps --document-private-items -p workos_auth "${PG_FEATURES[@]}"
