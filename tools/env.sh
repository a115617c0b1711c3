# shellcheck shell=bash
# shellcheck disable=SC2034 # its variables are for those who source it
# Sourced by the Makefile and the scripts: the one place that decides which Postgres, which cargo-pgrx and which
# compiler flags are used.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT

# A fresh machine may have cargo there and nowhere on the path.
[[ -d ${HOME:-}/.cargo/bin && :$PATH: != *:$HOME/.cargo/bin:* ]] && PATH=$HOME/.cargo/bin:$PATH

# The majors that the extension is written for, in the order they are looked for when PG_MAJOR says nothing.
PG_MAJORS=(15 17 16 18)

# Where tools/postgres.sh puts the servers that it builds, which checkouts share. Root's are outside of its home, which the
# server's user cannot enter.
if [[ -z ${POSTGRES_BUILDS:-} ]]; then
    if ((EUID == 0)); then POSTGRES_BUILDS=/var/cache; else POSTGRES_BUILDS=${XDG_CACHE_HOME:-$HOME/.cache}; fi
    POSTGRES_BUILDS+=/workos_auth/postgres
fi

packaged_pg_config() { echo "/usr/lib/postgresql/$1/bin/pg_config"; }
built_pg_config() { echo "$POSTGRES_BUILDS/$1/bin/pg_config"; }

# A server and its headers: Debian packages them apart.
package_is_complete() {
    local config
    config=$(packaged_pg_config "$1")
    [[ -x $config && -x ${config%/*}/postgres && -f /usr/include/postgresql/$1/server/postgres.h ]]
}

server_is_complete() { package_is_complete "$1" || [[ -x $(built_pg_config "$1") ]]; }

# The server of a major version: the packages', else the one that was built.
server_pg_config() {
    if ! package_is_complete "$1" && [[ -x $(built_pg_config "$1") ]]; then built_pg_config "$1"; else packaged_pg_config "$1"; fi
}

# This file exports its choice, and a script that it is sourced by may start another. Where the major has no server here, that is nobody's choice.
[[ ${PG_CONFIG:-} != "$(packaged_pg_config "${PG_MAJOR:-}")" || -x $PG_CONFIG ]] || unset PG_CONFIG

# Whose choice the major version is.
pg_major_is_chosen=yes
if [[ -n ${PG_CONFIG:-} ]]; then
    [[ $("$PG_CONFIG" --version 2>/dev/null) =~ ^PostgreSQL\ ([0-9]+) ]] ||
        { echo "PG_CONFIG is $PG_CONFIG, which is no pg_config of a Postgres server" >&2; exit 1; }
    PG_MAJOR=${BASH_REMATCH[1]}
elif [[ -z ${PG_MAJOR:-} ]]; then
    pg_major_is_chosen=no
    for major in "${PG_MAJORS[@]}"; do
        if server_is_complete "$major"; then PG_MAJOR=$major && break; fi
    done
fi
export PG_MAJOR=${PG_MAJOR:-15}
PG_CONFIG=${PG_CONFIG:-$(server_pg_config "$PG_MAJOR")}
export PG_CONFIG

# A newer Postgres, to which the tests move databases: by a dump, and by pg_upgrade.
if [[ -n ${NEWER:-} ]]; then
    server_is_complete "$NEWER" || { echo "there is no Postgres $NEWER here: tools/postgres.sh $NEWER brings it" >&2; exit 1; }
    NEWER_PG_CONFIG=$(server_pg_config "$NEWER")
    export NEWER_PG_CONFIG
fi

# `cargo pgrx test` installs what it tests into the Postgres that it knows: a copy, which tools/pgrx-postgres.sh makes. Root's is outside of
# its home, which the server's user cannot enter.
if ((EUID == 0)); then PGRX_POSTGRES=/usr/local/lib/pgrx; else PGRX_POSTGRES=${PGRX_HOME:-${HOME:-}/.pgrx}; fi
PGRX_POSTGRES+=/postgres-$PG_MAJOR

# Of what the copy is one: another path, version or build is another server.
copied_server() { echo "$PG_CONFIG $("$PG_CONFIG" --version) $(stat --format=%Y "$("$PG_CONFIG" --bindir)/postgres")"; }
copy_is_fresh() { [[ -f $PGRX_POSTGRES/copied && $(<"$PGRX_POSTGRES/copied") == "$(copied_server 2>/dev/null)" ]]; }

# pgrx finds the headers by it; without it, in a file that cargo-pgrx writes. It is the same for all commands, since another path has it
# compiled again: the copy's, which has the same headers, where there is one.
if copy_is_fresh; then PGRX_PG_CONFIG_PATH=$PGRX_POSTGRES/bin/pg_config; else PGRX_PG_CONFIG_PATH=$PG_CONFIG; fi
export PGRX_PG_CONFIG_PATH

# Arguments for the test programs: what cannot run on a server that tools/postgres.sh built without pg_cron.
left_out() {
    [[ $PG_CONFIG == "$(built_pg_config "$PG_MAJOR")" && ! -f $("$PG_CONFIG" --sharedir)/extension/pg_cron.control ]] || return 0
    echo "LEFT OUT on Postgres $PG_MAJOR, which has no pg_cron here: the tests whose names begin with pg_cron_" >&2
    echo --skip ::pg_cron_
}

# What `cargo pgrx` links with, given to every other cargo command too: with the same flags, the same profile
# and one target directory, everything is compiled once, not once for each step.
export RUSTFLAGS="${RUSTFLAGS:--C link-arg=-Wl,--no-gc-sections}"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}

# Called before what is shipped is built: paths of this machine do not get into it, so that a build elsewhere gives the same bytes.
leave_out_this_machine() {
    local cargo_home=${CARGO_HOME:-$HOME/.cargo}
    # The last that fits counts: the target directory may be in the checkout.
    RUSTFLAGS+=" --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$ROOT=/workos_auth --remap-path-prefix=$CARGO_TARGET_DIR=/target"
    local c="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$CARGO_TARGET_DIR=/target"
    export CFLAGS="${CFLAGS:+$CFLAGS }$c" CXXFLAGS="${CXXFLAGS:+$CXXFLAGS }$c"
}

# Every crate of programs and tests. They are chosen together, however few of their targets are built: with another choice cargo takes
# other features of what they share, and compiles it once more.
CRATES=(-p workos_auth_core -p workos_simulator -p workos_testbed -p workos_auth_gateway -p workos_demo -p workos_end_to_end -p workos_bench)

# The cargo features of the extension for this major; pg15 is the default.
PG_FEATURES=(--no-default-features --features "pg$PG_MAJOR")

# Cargo.toml pins pgrx; cargo-pgrx must be the same to the letter.
PGRX_VERSION=$(sed -n 's/^pgrx = .*version = "=\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml")

# The versions whose SQL is released, but for the current one: their databases are served too.
older_versions() {
    local script version current
    current=$(cargo pkgid --manifest-path "$ROOT/Cargo.toml" -p workos_auth)
    for script in "$ROOT"/sql/released/workos_auth--*.sql; do
        version=${script##*/workos_auth--}
        version=${version%.sql}
        [[ ! -f $script || $version == *--* || $version == "${current##*[#@]}" ]] || echo "$version"
    done
}

# Colours for people, none for files and for NO_COLOR (no-color.org).
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' red='' plain=''
    export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
fi

heading() { printf '%s\n' "${bold}== $*${plain}"; }
fail() { printf '%s\n' "${red}$*${plain}" >&2; exit 1; }
