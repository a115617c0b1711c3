#!/usr/bin/env bash
# All of a release but its publication: checks, builds, packages, images, bills of materials, licences and checksums, in
# target/release-VERSION. RELEASING.md says what comes before and after.
#
#   tools/release.sh                   for the majors of MAJORS, 15 to 18 unless it says others
#   tools/release.sh --without-tests   where `make test` has passed for this commit already
#
# Exit status: 1 where a check or a build failed, 2 for a wrong argument, 3 where the checkout is not what will be tagged.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=packaging/epoch.sh
. "$ROOT/packaging/epoch.sh"
cd "$ROOT"

with_tests=yes
case ${1:-} in
    '') ;;
    --without-tests) with_tests=no ;;
    *) echo "usage: tools/release.sh [--without-tests]" >&2; exit 2 ;;
esac
read -ra majors <<<"${MAJORS:-15 16 17 18}"
for major in "${majors[@]}"; do
    [[ " ${PG_MAJORS[*]} " == *" $major "* ]] || { echo "release: MAJORS names $major; the majors are ${PG_MAJORS[*]}" >&2; exit 2; }
done

# refuse WHAT: the checkout is not what a tag would name.
refuse() { printf '%s\n' "release: $*" >&2; exit 3; }

heading "The checkout"
tools/version.py --check
version=$(tools/version.py)
tag=v$version
[[ -z $(git status --porcelain) ]] || refuse "there are changes that are not committed: git status"
if tagged=$(git rev-parse --quiet --verify "refs/tags/$tag^{commit}"); then
    [[ $tagged == "$(git rev-parse HEAD)" ]] || refuse "$tag is another commit already; a version is released once"
fi
[[ -f sql/released/workos_auth--$version.sql ]] || refuse "sql/released has no workos_auth--$version.sql; tools/release-sql.sh puts it there"
grep -q "^## $version ([0-9-]*)$" CHANGELOG.md || refuse "CHANGELOG.md does not date $version: ## $version (YYYY-MM-DD)"
# Before anything is built.
for major in "${majors[@]}"; do
    package_is_complete "$major" || packaging/headers.sh "$major" >/dev/null
done
echo "   $version, commit $(git rev-parse --short HEAD), Postgres ${majors[*]}"

[[ $with_tests == no ]] || make --no-print-directory test

packages=$CARGO_TARGET_DIR/packages
out=$CARGO_TARGET_DIR/release-$version
# What another version left there is not of this one.
rm -rf "$packages" "$out"
mkdir -p "$out"

heading "Packages"
only=
for major in "${majors[@]}"; do
    PG_CONFIG='' PG_MAJOR=$major ONLY=$only packaging/deb.sh
    only=extension
    # Of its programs the last counts, which are the same.
    PG_CONFIG='' PG_MAJOR=$major packaging/rpm.sh
done
lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$packages"/deb/*.deb
cp "$packages"/deb/*.deb "$packages"/rpm/*.rpm "$out/"
packaging/pgxn.sh
cp "$packages"/pgxn/*.zip "$out/"

heading "Images"
if ((EUID == 0)); then
    packaging/images.sh
    cp "$packages"/images/*.oci.tar "$out/"
    cp "$packages/images/digests.txt" "$out/image-digests.txt"
else
    echo "   left out: images are made as root"
fi

heading "What is in it"
for package in workos_auth workos_auth_gateway workos_simulator workos_demo; do
    packaging/components.py sbom "$package" >"$out/$package-$version.cdx.json"
done
packaging/components.py third-party workos_auth workos_auth_gateway workos_simulator workos_demo >"$out/THIRD-PARTY"
tools/version.py --notes >"$out/NOTES.md"
(cd "$out" && sha256sum -- * >SHA256SUMS)
(cd "$out" && stat --format='%s %n' -- *) | awk '{ printf "   %8.2f MB  %s\n", $1 / 1e6, $2 }'

heading "Nothing has been published"
echo "   target/release-$version is complete. What follows is in RELEASING.md:"
echo "   make test-packages && git tag --sign $tag --message 'workos_auth $version' && git push origin $tag"
