#!/usr/bin/env bash
# The documents of docs/ as a site, in target/site: static files, with search, that ask no other server for anything.
# It installs mdBook where it is missing, at the version below.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

MDBOOK_VERSION=0.5.4

if [[ $(mdbook --version 2>/dev/null) != "mdbook v$MDBOOK_VERSION" ]]; then
    heading "installing mdBook $MDBOOK_VERSION (a few minutes, once)"
    # Without the flags and the directory of our own builds, which are not for it.
    env -u RUSTFLAGS -u CARGO_TARGET_DIR cargo install mdbook --version "$MDBOOK_VERSION" --locked --no-default-features --features search --quiet ||
        fail "mdBook does not build; try: cargo install mdbook --version $MDBOOK_VERSION --locked"
fi

# What links to files outside of docs/ leads to the repository, which the site does not hold: the book is made of a copy.
book=$(mktemp -d)
trap 'rm -r "$book"' EXIT
cp -r docs/. "$book"
python3 tools/site_pages.py "$book"
mdbook build "$book" --dest-dir "$ROOT/target/site"

# Nothing of it may come from elsewhere: no script, style, font or picture.
if grep -rhoE '<(script|link|img)[^>]+(src|href)="https?://[^"]*"' --include='*.html' target/site; then
    fail "the site asks another server for what stands above"
fi
echo "target/site/index.html"
