#!/usr/bin/env bash
# make zip: the distribution for PGXN in target/packages/pgxn. It is what is committed, under a folder with the version.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../tools/env.sh"
cd "$ROOT"

tools/version.py --check
version=$(tools/version.py)
mkdir -p "$CARGO_TARGET_DIR/packages/pgxn"
zip=$CARGO_TARGET_DIR/packages/pgxn/workos_auth-$version.zip
# Its times are the commit's.
TZ=UTC git archive --format=zip --prefix="workos_auth-$version/" --output="$zip" HEAD
echo "   $zip"
