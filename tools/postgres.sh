#!/usr/bin/env bash
# Brings a Postgres of one major version, with its headers: the packages that this machine is offered, else built from
# Debian's source package (three minutes, once). Debian and Ubuntu.
#
#   tools/postgres.sh 18                what building the extension for it needs
#   tools/postgres.sh 18 --with-tests   and what the tests need in it: pgTAP, pg_cron
#
# What it builds is kept in POSTGRES_BUILDS (tools/env.sh). Afterwards `PG_MAJOR=18 make test` finds it.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tools/packages.sh
. "$(dirname "$0")/packages.sh"

usage() { fail "usage: tools/postgres.sh MAJOR [--with-tests]; the majors are ${PG_MAJORS[*]}"; }

major=${1:-}
with_tests=no
[[ $major != *[^0-9]* && " ${PG_MAJORS[*]} " == *" $major "* ]] || usage
case ${2:-} in
    '') ;;
    --with-tests) with_tests=yes ;;
    *) usage ;;
esac

# Debian's newer releases, which have source packages that this machine's release has not. The first that has one gives it.
DEBIAN_SUITES=(trixie forky sid)


# --- From packages.

install_packages() {
    local created=/etc/postgresql-common/createcluster.conf
    if [[ ! -f $created ]]; then
        need postgresql-common -- "it comes before the server, to be told not to start a cluster of its own"
        as_root sed -i "s/^#\?create_main_cluster.*/create_main_cluster = false/" "$created"
    fi
    need "postgresql-$major" "postgresql-server-dev-$major" -- "the server that the extension runs in, and its headers"
}

# --- From source.

# Everything but what is installed, beside it: so that a whole installation can be moved to its place at once.
work=
make_work() {
    [[ -z $work ]] || return 0
    mkdir -p "$POSTGRES_BUILDS"
    work=$(mktemp -d "$POSTGRES_BUILDS/building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
}

# quietly COMMAND ARGUMENT…: what a compiler has to say matters only when it fails.
quietly() { "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2 && fail "setup: $1 failed for Postgres $major"; }; }

# fetch_source PACKAGE DIRECTORY: unpacks the upstream source of a Debian package there. False if it is not to be had.
# The package lists are of its own; the machine's stay as they are. apt checks signatures here too.
fetch_source() {
    local package=$1 directory=$2 mirror suite
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
    [[ -n $mirror ]] || return 1
    for suite in "${DEBIAN_SUITES[@]}"; do
        local apt=$work/$suite
        local options=(-qq -o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
            -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o Debug::NoLocking=true
            # A mirror that stands still has lists past their date, which are signed all the same.
            -o Acquire::Check-Valid-Until=false)
        if [[ ! -d $apt ]]; then
            mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
            echo "deb-src $mirror $suite main" >"$apt/sources.list"
            apt-get "${options[@]}" update >/dev/null 2>&1 || continue
        fi
        (cd "$apt" && apt-get "${options[@]}" source --download-only --tar-only "$package" >/dev/null 2>&1) || continue
        mkdir "$directory"
        tar -xf "$apt/${package}_"*.orig.tar.* -C "$directory" --strip-components=1
        return
    done
    return 1
}

build_postgres() {
    local prefix=$POSTGRES_BUILDS/$major options=(--with-openssl --with-uuid=e2fs --without-icu --without-readline)
    # The newest with its own checks, which end the server where they find something wrong.
    ((major < 18)) || options+=(--enable-cassert)
    if ! command -v cc >/dev/null || ! command -v make >/dev/null; then
        need gcc libc6-dev make -- "Postgres is built with them"
    fi
    if ! command -v bison >/dev/null || ! command -v flex >/dev/null || ! perl -MFindBin -e1 2>/dev/null; then
        need bison flex perl -- "Postgres's grammar and catalogs are made with them"
    fi
    command -v bzip2 >/dev/null || need bzip2 -- "it unpacks the source"
    [[ -f /usr/include/openssl/ssl.h ]] || need libssl-dev -- "Postgres is built with OpenSSL, as packages are"
    [[ -f /usr/include/uuid/uuid.h ]] || need uuid-dev -- "Postgres's uuid-ossp makes its ids with it, which projects of Supabase use"
    [[ -f /usr/include/zlib.h ]] || need zlib1g-dev -- "Postgres compresses with it"
    if ((EUID == 0)) && ! getent passwd postgres >/dev/null; then
        need postgresql-common -- "it makes the user postgres: a server does not run as root"
    fi
    make_work
    say "building Postgres $major, which is not offered as a package here (three minutes, once)"
    fetch_source "postgresql-$major" "$work/postgres" ||
        fail "setup: neither a package of Postgres $major nor its source is offered here; see https://wiki.postgresql.org/wiki/Apt, or set PG_CONFIG"
    cd "$work/postgres"
    quietly ./configure --prefix="$prefix" "${options[@]}"
    quietly make -j "$(nproc)" world-bin
    quietly make DESTDIR="$work/installed" install-world-bin
    chmod -R a+rX "$work/installed"
    mv "$work/installed$prefix" "$prefix"
}

# build_extension PACKAGE: into the server that was built. False if its source is not to be had.
build_extension() {
    make_work
    fetch_source "$1" "$work/$1" || return 1
    say "building $1 for Postgres $major"
    quietly make -C "$work/$1" PG_CONFIG="$config" install
}

# --- The server.

if ! server_is_complete "$major"; then
    if is_offered "postgresql-$major"; then install_packages; else build_postgres; fi
fi
config=$(server_pg_config "$major")
[[ $with_tests == yes ]] || exit 0

# --- What the tests need in it.

extension() { [[ -f $("$config" --sharedir)/extension/$1.control ]]; }

# need_extension NAME NAME-IN-PACKAGES SOURCE-PACKAGE -- WHY. False if it is not to be had.
need_extension() {
    extension "$1" && return
    if [[ $config == "$(packaged_pg_config "$major")" ]]; then
        need "postgresql-$major-$2" -- "$5"
    else
        build_extension "$3"
    fi
}
need_extension pgtap pgtap pgtap -- "docs/testing.md tests policies with it, and the tests run the documents" ||
    fail "setup: the source of pgTAP is not offered here; the tests need it: https://pgtap.org"
need_extension pg_cron cron pg-cron -- "the tests have it call auth.cleanup()" ||
    say "the source of pg_cron is not offered here: the test with it is left out for Postgres $major"
