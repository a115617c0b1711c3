#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks, and says what and why. Debian and Ubuntu.
#
#   tools/setup.sh               what `make build` and `make demo` need
#   tools/setup.sh --with-tests  and what the tests need: cargo-pgrx, shellcheck, a pooler, promtool, pg_cron, pgTAP, Node, Python, Java
#   tools/setup.sh --with-packaging  what making packages and images needs, and trying them; of Postgres no more than headers
#
# PG_MAJOR chooses the Postgres (default: one that is here, else 15, else the distribution's); tools/postgres.sh brings it.
# It changes nothing, and takes a moment, where everything is there.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tools/packages.sh
. "$(dirname "$0")/packages.sh"
cd "$ROOT"

MIN_NODE=20
with_tests=no
case ${1:-} in
    '') ;;
    --with-tests) with_tests=yes ;;
    --with-packaging) ;;
    *) fail "usage: tools/setup.sh [--with-tests | --with-packaging]" ;;
esac

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

# --- What makes packages and images, and the systems that they are tried in. Headers of Postgres: packaging/headers.sh.

if [[ ${1:-} == --with-packaging ]]; then
    # need_program PROGRAM PACKAGE -- WHY
    need_program() { command -v "$1" >/dev/null || need "$2" -- "$4"; }
    need_program python3 python3 -- "it lists licences, and lays images out"
    python3 -c 'import yaml' 2>/dev/null || need python3-yaml -- "the trial of the images reads compose.yaml with it"
    need_program dh debhelper -- "it makes Debian packages"
    need_program lintian lintian -- "it looks Debian packages over"
    need_program help2man help2man -- "it makes man pages of --help"
    need_program rpmbuild rpm -- "it makes RPM packages"
    need_program mmdebstrap mmdebstrap -- "it makes the systems of images and trials"
    need_program systemd-nspawn systemd-container -- "packages are tried in systems that boot"
    exit 0
fi

# --- Postgres: the server, its headers, and what the tests need in it. With a PG_CONFIG from elsewhere, they are the caller's.

if [[ $PG_CONFIG == "$(server_pg_config "$PG_MAJOR")" ]]; then
    # Where nobody chose, the distribution's own does too.
    if [[ $pg_major_is_chosen == no ]] && ! server_is_complete "$PG_MAJOR" && ! is_offered "postgresql-$PG_MAJOR"; then
        offered=$(apt-cache depends postgresql | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
        [[ " ${PG_MAJORS[*]} " == *" $offered "* ]] ||
            fail "setup: this distribution offers neither postgresql-$PG_MAJOR nor another that the extension knows; see https://wiki.postgresql.org/wiki/Apt"
        say "postgresql-$PG_MAJOR is not offered here, postgresql-$offered is: building with the feature pg$offered"
        PG_MAJOR=$offered
    fi
    # It is told which, and PG_CONFIG may not be there yet.
    env -u PG_CONFIG tools/postgres.sh "$PG_MAJOR" "$@"
    PG_CONFIG=$(server_pg_config "$PG_MAJOR")
fi
[[ -f $("$PG_CONFIG" --includedir-server)/postgres.h ]] || fail "setup: $PG_CONFIG has no server headers"

[[ $with_tests == yes ]] || exit 0

# --- cargo-pgrx, for `cargo pgrx test`: at the version of the pgrx in Cargo.toml.

if [[ $(cargo pgrx --version 2>/dev/null) != "cargo-pgrx $PGRX_VERSION" ]]; then
    command -v pkg-config >/dev/null || need pkg-config -- "cargo-pgrx is built with it"
    pkg-config --exists openssl || need libssl-dev -- "cargo-pgrx is linked with OpenSSL; the extension is not"
    say "installing cargo-pgrx $PGRX_VERSION: the tests inside a backend run by it (a few minutes, once)"
    # Without the flags and the directory of our own builds, which are not for it. It only starts programs: --debug builds it in a third of
    # the time.
    env -u RUSTFLAGS -u CARGO_TARGET_DIR cargo install cargo-pgrx --version "$PGRX_VERSION" --locked --debug --quiet ||
        fail "setup: cargo-pgrx does not build; try: cargo install cargo-pgrx --version $PGRX_VERSION --locked"
fi

# It becomes the server's user by sudo, where it is run as root.
((EUID != 0)) || command -v sudo >/dev/null || need sudo -- "cargo-pgrx becomes the user postgres with it"

tools/pgrx-postgres.sh

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

# --- promtool, for the alerts of docs/prometheus-rules.yaml. It comes alone: its package would start a server.

install_promtool() {
    say "installing promtool out of the package prometheus: the alerts are checked with it"
    refresh_lists
    local here
    here=$(mktemp -d)
    (cd "$here" && apt-get -qq download prometheus >/dev/null 2>&1) ||
        fail "setup: apt-get could not download the package prometheus; put a promtool on the path by hand"
    dpkg-deb --fsys-tarfile "$here"/prometheus_*.deb | as_root tar -x -C /usr/local/bin --strip-components=3 ./usr/bin/promtool
    rm -r "$here"
}
command -v promtool >/dev/null || install_promtool

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

# pip_ci DIRECTORY: what its requirements.txt says, by its hashes, unless that is there already.
pip_ci() {
    local dir=$ROOT/$1
    cmp --silent "$dir/requirements.txt" "$dir/.venv/requirements.txt" && return
    say "pip install in $1: the packages that its tests use"
    python3 -m venv --clear "$dir/.venv" || fail "setup: python3 -m venv failed in $1"
    "$dir/.venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$dir/requirements.txt" ||
        fail "setup: pip failed; try: $1/.venv/bin/pip install -r $1/requirements.txt"
    cp "$dir/requirements.txt" "$dir/.venv/requirements.txt"
}
pip_ci tests/clients/python
pip_ci tests/workos-python

# --- Java, for Supabase's client for Kotlin. Maven finds the libraries; what it brings must be what it was when they were chosen.

command -v java >/dev/null || need default-jre-headless -- "Supabase's client for Kotlin runs in it"
maven_ci() {
    local dir=$ROOT/$1
    cmp --silent "$dir/checksums.txt" "$dir/.build/checksums.txt" && return
    command -v mvn >/dev/null || need maven -- "it brings Supabase's client for Kotlin and its compiler"
    say "mvn in $1: the libraries that its tests use"
    rm -rf "$dir/.build"
    mvn --quiet --batch-mode --file "$dir/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/.build/lib" ||
        fail "setup: mvn failed; try: mvn --file $1/pom.xml dependency:copy-dependencies"
    (cd "$dir/.build/lib" && sha256sum --check --strict --quiet "$dir/checksums.txt" && [[ $(find . -type f | wc -l) == "$(wc -l <"$dir/checksums.txt")" ]]) ||
        fail "setup: a library of $1 is not what checksums.txt says"
    cp "$dir/checksums.txt" "$dir/.build/checksums.txt"
}
maven_ci tests/clients/kotlin
