#!/usr/bin/env bash
# make deb: postgresql-MAJOR-workos-auth for PG_MAJOR, workos-auth-gateway and workos-auth-simulator, in target/packages/deb.
# ONLY=extension leaves the other two as they are there.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/../tools/env.sh"
# shellcheck source=packaging/epoch.sh
. "$(dirname "$0")/epoch.sh"
cd "$ROOT"

# The extension is compiled with the headers alone, where there is no server of this major. One that tools/postgres.sh built is for tests,
# with assertions from 18 on: its headers would tell a package of them, and of functions that no server of a user has.
if [[ ! -x $PG_CONFIG || $PG_CONFIG == "$(built_pg_config "$PG_MAJOR")" ]]; then
    PG_CONFIG=$(packaging/headers.sh "$PG_MAJOR")
    exec "$0"
fi

packages=$CARGO_TARGET_DIR/packages
version=$(tools/version.py)
architecture=$(dpkg --print-architecture)

packaging/stage.sh extension
[[ ${ONLY:-} == extension ]] || packaging/stage.sh programs

# The folder that dpkg-buildpackage is run in. What it makes is put beside it.
work=$packages/deb-build/workos-auth-$version
rm -rf "$packages/deb-build"
mkdir -p "$work"
cp -r packaging/debian "$work/debian"
sed "s/@MAJOR@/$PG_MAJOR/g" packaging/debian/control.in >"$work/debian/control"
rm "$work/debian/control.in"
tools/version.py --debian-changelog >"$work/debian/changelog"

extension=$work/stage/postgresql-$PG_MAJOR-workos-auth
mkdir -p "$extension/usr/lib/postgresql/$PG_MAJOR" "$extension/usr/share/postgresql/$PG_MAJOR" "$extension/usr/share/doc/postgresql-$PG_MAJOR-workos-auth"
cp -r "$packages/stage/extension-$PG_MAJOR/lib" "$extension/usr/lib/postgresql/$PG_MAJOR/"
cp -r "$packages/stage/extension-$PG_MAJOR/extension" "$extension/usr/share/postgresql/$PG_MAJOR/"
# Debian's libraries are not to be run.
chmod 644 "$extension/usr/lib/postgresql/$PG_MAJOR/lib/workos_auth.so"
cp "$packages/stage/extension-$PG_MAJOR/doc/THIRD-PARTY" CHANGELOG.md "$extension/usr/share/doc/postgresql-$PG_MAJOR-workos-auth/"
# The library is linked by rust-lld, whose read-only part lintian does not recognise: `readelf -lW` shows GNU_RELRO and BIND_NOW.
mv "$work/debian/extension.lintian-overrides" "$work/debian/postgresql-$PG_MAJOR-workos-auth.lintian-overrides"
sed -i "s/@MAJOR@/$PG_MAJOR/g" "$work/debian/postgresql-$PG_MAJOR-workos-auth.lintian-overrides"

build=(--package="postgresql-$PG_MAJOR-workos-auth")
if [[ ${ONLY:-} != extension ]]; then
    build=()
    for name in gateway simulator; do
        mkdir -p "$work/stage/workos-auth-$name/usr/bin" "$work/stage/workos-auth-$name/usr/share/doc/workos-auth-$name"
        cp "$packages/stage/programs/doc/$name/THIRD-PARTY" "$work/stage/workos-auth-$name/usr/share/doc/workos-auth-$name/"
    done
    cp "$packages/stage/programs/bin/workos-auth-gateway" "$work/stage/workos-auth-gateway/usr/bin/"
    cp "$packages/stage/programs/bin/workos-simulator" "$packages/stage/programs/bin/workos-auth-demo" "$work/stage/workos-auth-simulator/usr/bin/"
    cp "$packages/stage/programs/man/"*.[18] "$work/debian/"
    cp packaging/gateway/workos-auth-gateway.service "$work/debian/"
    cp packaging/gateway/workos-auth-gateway.sysusers "$work/debian/"
    cp packaging/gateway/workos-auth-gateway.default "$work/debian/"
fi

(cd "$work" && DH_OPTIONS="${build[*]}" dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo --no-check-builddeps >"$packages/deb-build/log" 2>&1) ||
    { tail -n 40 "$packages/deb-build/log" >&2; fail "dpkg-buildpackage failed"; }

mkdir -p "$packages/deb"
for package in "$packages/deb-build"/*.deb; do
    mv "$package" "$packages/deb/"
    echo "   $packages/deb/${package##*/}"
done
[[ -f $packages/deb/postgresql-$PG_MAJOR-workos-auth_$(tools/version.py --debian-version)_$architecture.deb ]] || fail "the package of the extension is not there"
