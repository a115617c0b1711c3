#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks, and says what and why. Debian and Ubuntu.
#
#   tools/setup.sh               what `make build` and `make demo` need
#   tools/setup.sh --with-tests  and what the tests need: cargo-pgrx, shellcheck, a pooler, pg_cron, pgTAP, Node, Python
#
# PG_MAJOR chooses the Postgres (default: one that is installed, else 15, else the distribution's).
# It changes nothing, and takes a moment, where everything is there.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"

MIN_NODE=20
with_tests=no
case ${1:-} in
    '') ;;
    --with-tests) with_tests=yes ;;
    *) fail "usage: tools/setup.sh [--with-tests]" ;;
esac

say() { printf 'setup: %s\n' "$*"; }

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

# What apt-get has to say matters only when it fails.
apt() {
    local output
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" 2>&1 </dev/null) && return
    printf '%s\n' "$output" >&2
    return 1
}

# The package lists are fetched at most once, and only if something is to be installed.
lists_are_fresh=no
refresh_lists() {
    [[ $lists_are_fresh == yes ]] && return
    command -v apt-get >/dev/null || fail "setup: this machine has no apt-get; install by hand what the line above names"
    apt update || fail "setup: apt-get update failed; is there a way to the package mirror?"
    lists_are_fresh=yes
}

# need PACKAGE… -- WHY: installs them.
need() {
    local packages=()
    while [[ $1 != -- ]]; do packages+=("$1") && shift; done
    shift
    say "installing ${packages[*]}: $*"
    ((EUID == 0)) || command -v sudo >/dev/null ||
        fail "setup: that needs root, and there is no sudo here; run as root, once: apt-get install ${packages[*]}"
    refresh_lists
    apt install -y --no-install-recommends "${packages[@]}" ||
        fail "setup: apt-get could not install them; try: apt-get install ${packages[*]}"
}

is_offered() { [[ -n $(apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([^(].*\)/\1/p') ]]; }

# --- Rust: the one thing that is not ours to choose for a machine.

command -v cargo >/dev/null || fail "setup: there is no cargo; install Rust first: https://rustup.rs"

# --- A C toolchain, for aws-lc and for linking.

if ! command -v cc >/dev/null || ! command -v make >/dev/null; then
    need gcc libc6-dev make -- "a C compiler, for aws-lc and the linker"
fi

# --- libclang: pgrx reads Postgres's headers with bindgen.

has_libclang() {
    [[ -n ${LIBCLANG_PATH:-} ]] || compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib/*/libclang*.so*' >/dev/null
}
has_libclang || need libclang-dev -- "bindgen reads Postgres's headers with it"

# --- Postgres: the server and its headers.

install_postgres() {
    # A machine that has never fetched the lists offers nothing.
    is_offered "postgresql-$PG_MAJOR" || refresh_lists
    if ! is_offered "postgresql-$PG_MAJOR"; then
        local offered
        offered=$(apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
        [[ " ${PG_MAJORS[*]} " == *" $offered "* ]] ||
            fail "setup: this distribution offers neither postgresql-$PG_MAJOR nor another that the extension knows; see https://wiki.postgresql.org/wiki/Apt"
        say "postgresql-$PG_MAJOR is not offered here, postgresql-$offered is: building with the feature pg$offered"
        PG_MAJOR=$offered
        PG_CONFIG=$(server_pg_config "$PG_MAJOR")
    fi
    local created=/etc/postgresql-common/createcluster.conf
    if [[ ! -f $created ]]; then
        need postgresql-common -- "it comes before the server, to be told not to start a cluster of its own"
        as_root sed -i "s/^#\?create_main_cluster.*/create_main_cluster = false/" "$created"
    fi
    need "postgresql-$PG_MAJOR" "postgresql-server-dev-$PG_MAJOR" -- "the server that the extension runs in, and its headers"
}
# With a PG_CONFIG from elsewhere than Debian's packages, the server is the caller's.
if [[ $PG_CONFIG == "$(server_pg_config "$PG_MAJOR")" ]]; then
    server_is_complete "$PG_MAJOR" || install_postgres
fi
[[ -f $("$PG_CONFIG" --includedir-server)/postgres.h ]] || fail "setup: $PG_CONFIG has no server headers"

[[ $with_tests == yes ]] || exit 0

# --- cargo-pgrx, for `cargo pgrx test`: at the version of the pgrx in Cargo.toml.

if [[ $(cargo pgrx --version 2>/dev/null) != "cargo-pgrx $PGRX_VERSION" ]]; then
    command -v pkg-config >/dev/null || need pkg-config -- "cargo-pgrx is built with it"
    pkg-config --exists openssl || need libssl-dev -- "cargo-pgrx is linked with OpenSSL; the extension is not"
    say "installing cargo-pgrx $PGRX_VERSION: the tests inside a backend run by it (a few minutes, once)"
    # Without the flags of our own builds, which are not for it.
    env -u RUSTFLAGS cargo install cargo-pgrx --version "$PGRX_VERSION" --locked --quiet ||
        fail "setup: cargo-pgrx does not build; try: cargo install cargo-pgrx --version $PGRX_VERSION --locked"
fi

# `init` writes the file anew, so the servers that are known stay known.
pgrx_config=${PGRX_HOME:-$HOME/.pgrx}/config.toml
if ! grep -qs "^pg$PG_MAJOR *=" "$pgrx_config"; then
    known=()
    if [[ -f $pgrx_config ]]; then
        mapfile -t known < <(sed -n 's/^\(pg[0-9]*\) *= *"\(.*\)"$/--\1=\2/p' "$pgrx_config")
    fi
    say "telling cargo-pgrx where Postgres $PG_MAJOR is"
    cargo pgrx init "${known[@]}" "--pg$PG_MAJOR=$PG_CONFIG" >/dev/null ||
        fail "setup: cargo-pgrx cannot use $PG_CONFIG; try: cargo pgrx init --pg$PG_MAJOR=$PG_CONFIG"
fi

# --- The linter of scripts, which `make test` has look at the scripts.

command -v shellcheck >/dev/null || need shellcheck -- "the scripts are linted with it"

# --- PgBouncer, for the tests of transaction pooling.

install_pgbouncer() {
    need pgbouncer -- "the tests pool connections with it"
    # The package starts one of its own, with the machine too; the tests start theirs themselves.
    as_root service pgbouncer stop >/dev/null 2>&1 || true
    as_root update-rc.d pgbouncer disable >/dev/null 2>&1 || true
}
# It is not on everybody's path.
[[ -x /usr/sbin/pgbouncer ]] || command -v pgbouncer >/dev/null || install_pgbouncer

# --- pg_cron, for the test of the README's example. With a PG_CONFIG from elsewhere than Debian's packages, it is the caller's, too.

if [[ $PG_CONFIG == "$(server_pg_config "$PG_MAJOR")" && ! -f $("$PG_CONFIG" --pkglibdir)/pg_cron.so ]]; then
    need "postgresql-$PG_MAJOR-cron" -- "the tests have it call auth.cleanup()"
fi

# --- pgTAP, for the README's tests of policies.

pgtap_control=$("$PG_CONFIG" --sharedir)/extension/pgtap.control
if [[ ! -f $pgtap_control && $PG_CONFIG == "$(server_pg_config "$PG_MAJOR")" ]]; then
    need "postgresql-$PG_MAJOR-pgtap" -- "the README tests policies with it, and the tests run the README"
fi
[[ -f $pgtap_control ]] || fail "setup: $PG_CONFIG's Postgres has no pgTAP; the tests need it: https://pgtap.org"

# --- Node and Python, for the outside witnesses and the examples.

# npm_ci DIRECTORY: what its lockfile says, unless that is there already.
npm_ci() {
    local dir=$ROOT/$1
    [[ -f $dir/package-lock.json ]] || return 0
    [[ -f $dir/node_modules/.package-lock.json && ! $dir/package-lock.json -nt $dir/node_modules/.package-lock.json ]] && return
    say "npm ci in $1: the packages that its tests use"
    (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error >/dev/null) || fail "setup: npm ci failed; try: cd $1 && npm ci"
    # npm keeps an old time where nothing changed; the next run must see that this is done.
    touch "$dir/node_modules/.package-lock.json"
}

command -v node >/dev/null || need nodejs -- "WorkOS's own SDK and emulator run in it"
node_major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
((node_major >= MIN_NODE)) ||
    fail "setup: Node $node_major is too old, the tests need $MIN_NODE or newer: https://nodejs.org/en/download"
command -v npm >/dev/null || need npm -- "it installs WorkOS's SDK and emulator"
npm_ci tests/node
npm_ci tests/supabase
npm_ci examples/express
npm_ci examples/browser
npm_ci tests/browser
[[ -x /usr/bin/chromium ]] || need chromium -- "the page of examples/browser is tested in it"

command -v python3 >/dev/null || need python3 -- "the psycopg example runs in it"
# Debian's python3 has venv, but not the ensurepip that it needs.
python3 -c 'import venv, ensurepip' 2>/dev/null || need python3-venv -- "the psycopg example has an environment of its own"
