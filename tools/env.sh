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

server_pg_config() { echo "/usr/lib/postgresql/$1/bin/pg_config"; }

# A server and its headers: Debian packages them apart.
server_is_complete() {
    local config
    config=$(server_pg_config "$1")
    [[ -x $config && -x ${config%/*}/postgres && -f /usr/include/postgresql/$1/server/postgres.h ]]
}

if [[ -n ${PG_CONFIG:-} ]]; then
    [[ $("$PG_CONFIG" --version 2>/dev/null) =~ ^PostgreSQL\ ([0-9]+) ]] ||
        { echo "PG_CONFIG is $PG_CONFIG, which is no pg_config of a Postgres server" >&2; exit 1; }
    PG_MAJOR=${BASH_REMATCH[1]}
elif [[ -z ${PG_MAJOR:-} ]]; then
    for major in "${PG_MAJORS[@]}"; do
        if server_is_complete "$major"; then PG_MAJOR=$major && break; fi
    done
fi
export PG_MAJOR=${PG_MAJOR:-15}
PG_CONFIG=${PG_CONFIG:-$(server_pg_config "$PG_MAJOR")}
export PG_CONFIG
# pgrx finds the headers by it. Without it, in a file that cargo-pgrx writes.
export PGRX_PG_CONFIG_PATH=$PG_CONFIG

# What `cargo pgrx` links with, given to every other cargo command too: with the same flags, the same profile
# and one target directory, everything is compiled once, not once for each step.
export RUSTFLAGS="${RUSTFLAGS:--C link-arg=-Wl,--no-gc-sections}"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}

# The cargo features of the extension for this major; pg15 is the default.
PG_FEATURES=(--no-default-features --features "pg$PG_MAJOR")

# Cargo.toml pins pgrx; cargo-pgrx must be the same to the letter.
PGRX_VERSION=$(sed -n 's/^pgrx = .*version = "=\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml")

# Colours for people, none for files and for NO_COLOR (no-color.org).
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' red='' plain=''
    export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}
fi

heading() { printf '%s\n' "${bold}== $*${plain}"; }
fail() { printf '%s\n' "${red}$*${plain}" >&2; exit 1; }
