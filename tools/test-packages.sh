#!/usr/bin/env bash
# Tries the packages in fresh systems without a compiler, which are made for it and thrown away. It takes minutes, wants root, and
# is no part of `make test`. `make deb` and `make images` must have made what is tried.
#
#   tools/test-packages.sh             everything that has been made
#   tools/test-packages.sh TRIAL…      these: bookworm (Debian 12 with 15), trixie (Debian 13 with 17), service (the gateway's unit in a
#                                      systemd of its own), images (their roots, run without a container engine), cnpg (the image of the
#                                      extension in a Postgres 18); and two that compile from nothing: reproducible (a second build
#                                      elsewhere has the same bytes), pgxn (`pgxn install`)
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
cd "$ROOT"

((EUID == 0)) || fail "test-packages: systems are made and entered as root"
for program in mmdebstrap systemd-nspawn; do
    command -v "$program" >/dev/null || fail "test-packages: there is no $program; tools/setup.sh --with-packaging installs it"
done

packages=$CARGO_TARGET_DIR/packages
debs=$packages/deb
roots=${POSTGRES_BUILDS%/*}/roots
version=$(tools/version.py --debian-version)
architecture=$(dpkg --print-architecture)
work=$(mktemp -d /var/tmp/workos-packages.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$roots"

# base SUITE PACKAGE…: a system of Debian with these packages, kept for the next time; prints its tar.
base() {
    local suite=$1 tar
    shift
    tar=$roots/$suite$(printf -- '-%s' "$@").tar
    if [[ ! -f $tar ]]; then
        # A mirror that stands still has lists past their date, which are signed all the same.
        mmdebstrap --quiet --format=tar --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' ${1:+--include="$(IFS=,; echo "$*")"} "$suite" "$tar.new" >&2
        mv "$tar.new" "$tar"
    fi
    echo "$tar"
}

# enter ROOT SECONDS ARGUMENT…: runs something in a system, with the machine's network.
enter() {
    local root=$1 seconds=$2
    shift 2
    timeout --kill-after=10 "$seconds" systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --timezone=off --pipe --as-pid2 \
        --setenv=LANG=C.UTF-8 --setenv=DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

# unpack SUITE PACKAGE…: a fresh system; prints its folder.
unpack() {
    local root
    root=$(mktemp -d "$work/root.XXXXXX")
    chmod 755 "$root"
    tar -xf "$(base "$@")" -C "$root" --exclude='./dev/*'
    echo "$root"
}

try_package() {
    local suite=$1 major=$2 root
    heading "Debian $suite with Postgres $major"
    local name
    for name in "postgresql-$major-workos-auth" workos-auth-gateway workos-auth-simulator; do
        [[ -f $debs/${name}_${version}_$architecture.deb ]] || fail "test-packages: ${name}_$version is not there: PG_MAJOR=$major make deb"
    done
    root=$(unpack "$suite")
    mkdir "$root/packages"
    cp "$debs"/*"_${version}_$architecture.deb" "$root/packages/"
    enter "$root" 600 --bind-ro="$ROOT/tests/packages:/trial" /bin/bash /trial/package.sh "$major"
}

# In a system that boots, a unit runs the trial and switches it off.
try_service() {
    heading "The gateway's unit"
    local root
    root=$(unpack bookworm systemd systemd-sysv dbus curl openssl)
    mkdir "$root/packages"
    cp "$debs"/{postgresql-15-workos-auth,workos-auth-gateway}"_${version}_$architecture.deb" "$root/packages/"
    enter "$root" 600 --bind-ro="$ROOT/tests/packages:/trial" /bin/bash -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends /packages/*.deb' >/dev/null
    cp tests/packages/{service.sh,trial.service} "$root/"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    mv "$root/trial.service" "$root/etc/systemd/system/"
    ln -s ../trial.service "$root/etc/systemd/system/multi-user.target.wants/"
    # Its console says nothing that the trial does not say better.
    timeout --kill-after=10 300 systemd-nspawn --quiet --directory="$root" --private-network --register=no --keep-unit --boot \
        --console=pipe </dev/null >"$work/console" 2>&1 || true
    cat "$root/trial.log" || { tail -n 30 "$work/console" >&2; fail "test-packages: the system did not boot"; }
    [[ $(tail -n 1 "$root/trial.log") == "trial passed" ]] || fail "test-packages: the gateway's unit"
}

try_images() {
    heading "The images"
    tests/packages/images.py "$packages/images"
}

# As CloudNativePG mounts it into the server's container: read-only, found by extension_control_path and dynamic_library_path.
try_cnpg() {
    heading "The extension's image in Postgres 18"
    local image=$packages/images/workos-auth-extension-18.oci.tar simulator=$debs/workos-auth-simulator_${version}_$architecture.deb root
    [[ -f $image ]] || fail "test-packages: there is no image of the extension: PG_MAJOR=18 make deb && make images"
    [[ -f $simulator ]] || fail "test-packages: workos-auth-simulator_$version is not there: make deb"
    tests/packages/image.py "$image" "$work/extension"
    dpkg-deb --extract "$simulator" "$work/simulator"
    root=$(unpack forky postgresql-18 ca-certificates)
    enter "$root" 120 --private-network --bind-ro="$work/extension:/extensions/workos_auth" --bind-ro="$work/simulator:/simulator" \
        --bind-ro="$ROOT/tests/packages:/trial" /bin/bash /trial/extension-image.sh "$(tools/version.py)"
}

# What is committed, built in another folder.
try_reproducible() {
    heading "A second build of Postgres $PG_MAJOR's packages"
    [[ -z $(git status --porcelain) ]] || fail "test-packages: there are changes that are not committed, which a second build would not have"
    git clone --quiet --no-hardlinks "$ROOT" "$work/elsewhere"
    env -u RUSTFLAGS -u CFLAGS -u PGRX_PG_CONFIG_PATH CARGO_TARGET_DIR="$work/other-target" "$work/elsewhere/packaging/deb.sh" >/dev/null
    local deb
    for deb in "$work"/other-target/packages/deb/*.deb; do
        cmp "$deb" "$debs/${deb##*/}" || fail "test-packages: ${deb##*/} is not the same"
        echo "   ${deb##*/}: the same bytes"
    done
}

# As pgxnclient does it: make all, make install.
try_pgxn() {
    heading "pgxn install"
    packaging/pgxn.sh
    python3 -m venv "$work/pgxn"
    "$work/pgxn/bin/pip" install --quiet --disable-pip-version-check pgxnclient
    SECONDS=0
    env -u RUSTFLAGS -u CARGO_TARGET_DIR -u PGRX_PG_CONFIG_PATH DESTDIR="$work/pgxn-root" "$work/pgxn/bin/pgxn" install --nosudo --pg_config "$PG_CONFIG" \
        "$packages/pgxn/workos_auth-$(tools/version.py).zip"
    [[ -f $work/pgxn-root$("$PG_CONFIG" --pkglibdir)/workos_auth.so && -f $work/pgxn-root$("$PG_CONFIG" --sharedir)/extension/workos_auth.control ]] ||
        fail "test-packages: pgxn has not installed it"
    echo "   pgxn install: the library and its scripts are where pg_config says, after $SECONDS s"
}

trials=("$@")
if ((${#trials[@]} == 0)); then
    trials=(bookworm service)
    [[ ! -f $debs/postgresql-17-workos-auth_${version}_$architecture.deb ]] || trials+=(trixie)
    [[ ! -d $packages/images ]] || trials+=(images)
    [[ ! -f $packages/images/workos-auth-extension-18.oci.tar ]] || trials+=(cnpg)
fi
for trial in "${trials[@]}"; do
    case $trial in
        bookworm) try_package bookworm 15 ;;
        trixie) try_package trixie 17 ;;
        service) try_service ;;
        images) try_images ;;
        cnpg) try_cnpg ;;
        reproducible) try_reproducible ;;
        pgxn) try_pgxn ;;
        *) fail "test-packages: there is no trial $trial" ;;
    esac
done
heading "${#trials[@]} passed, 0 failed"
