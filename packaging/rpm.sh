#!/usr/bin/env bash
# make rpm: the same packages for EL 9 and newer with PGDG's Postgres, in target/packages/rpm. They are made of what `make deb` has
# laid out, or lay it out themselves.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../tools/env.sh"
# shellcheck source=packaging/epoch.sh
. "$(dirname "$0")/epoch.sh"
cd "$ROOT"

command -v rpmbuild >/dev/null || fail "there is no rpmbuild; tools/setup.sh --with-packaging installs it"
# As in deb.sh.
if [[ ! -x $PG_CONFIG || $PG_CONFIG == "$(built_pg_config "$PG_MAJOR")" ]]; then
    PG_CONFIG=$(packaging/headers.sh "$PG_MAJOR")
    exec "$0"
fi
packages=$CARGO_TARGET_DIR/packages
packaging/stage.sh extension
packaging/stage.sh programs

rm -rf "$packages/rpm-build"
mkdir -p "$packages/rpm-build" "$packages/rpm"
# A version with a hyphen is before the release; RPM says so with a tilde.
version=$(tools/version.py)
rpmbuild -bb --quiet --define "_topdir $packages/rpm-build" --define "version ${version//-/\~}" --define "major $PG_MAJOR" \
    --define "stage $packages/stage" --define "source $ROOT" packaging/rpm/workos_auth.spec >"$packages/rpm-build/log" 2>&1 ||
    { tail -n 30 "$packages/rpm-build/log" >&2; fail "rpmbuild failed"; }
for package in "$packages/rpm-build/RPMS"/*/*.rpm; do
    mv "$package" "$packages/rpm/"
    echo "   $packages/rpm/${package##*/}"
done
