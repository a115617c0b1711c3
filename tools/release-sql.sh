#!/usr/bin/env bash
# Puts the install script of the current version, and its update scripts, into sql/released, where nothing changes any more: users have them.
# A part of a release.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tools/extension-files.sh "$work"
for script in "$work"/*.sql; do
    kept=sql/released/${script##*/}
    [[ ! -f $kept ]] || continue
    cp "$script" "$kept"
    echo "   $kept"
done
cd sql/released
sha256sum -- *.sql >SHA256SUMS
