#!/usr/bin/env bash
# Copies the Postgres of PG_CONFIG for `cargo pgrx test`, and tells cargo-pgrx of the copy. The tests' library is installed there, and the one
# that is installed in the Postgres itself stays. It changes nothing where the copy is one of this Postgres.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
# shellcheck source=tools/packages.sh
. "$(dirname "$0")/packages.sh"

config=$PGRX_POSTGRES/bin/pg_config

# Postgres finds its files from where its programs are, as long as they lie to each other as they did.
copy_server() {
    local bin new=$PGRX_POSTGRES.new
    bin=$("$PG_CONFIG" --bindir)
    say "copying Postgres $PG_MAJOR to $PGRX_POSTGRES: the tests inside a backend install their library there"
    rm -rf "$new"
    mkdir -p "$new"
    if [[ $bin == "/usr/lib/postgresql/$PG_MAJOR/bin" ]]; then
        # Debian's, which is in parts.
        mkdir -p "$new/lib/postgresql" "$new/share/postgresql" "$new/include"
        cp -a "${bin%/bin}" "$new/lib/postgresql/"
        cp -a "/usr/share/postgresql/$PG_MAJOR" "$new/share/postgresql/"
        cp -a /usr/include/postgresql "$new/include/"
        ln -s "lib/postgresql/$PG_MAJOR/bin" "$new/bin"
    else
        cp -a "${bin%/bin}/." "$new/"
    fi
    copied_server >"$new/copied"
    rm -rf "$PGRX_POSTGRES"
    mv "$new" "$PGRX_POSTGRES"
    local what
    for what in bindir pkglibdir sharedir includedir-server; do
        [[ $("$config" "--$what") == "$PGRX_POSTGRES"/* ]] || {
            rm "$PGRX_POSTGRES/copied"
            fail "setup: the Postgres of $PG_CONFIG cannot be copied: its $what stays where it was, at $("$config" "--$what")"
        }
    done
    # The copy may have been made of a server with the extension in it.
    rm -f "$("$config" --pkglibdir)"/workos_auth* "$("$config" --sharedir)"/extension/workos_auth*
}
copy_is_fresh || copy_server

# `init` writes the file anew: the servers that are known stay known, and its time stays, by which cargo sees whether what was built for them
# is still good.
pgrx_config=${PGRX_HOME:-$HOME/.pgrx}/config.toml
if ! grep -qsF "pg$PG_MAJOR = \"$config\"" "$pgrx_config"; then
    known=() time=@0
    if [[ -f $pgrx_config ]]; then
        mapfile -t known < <(sed -n "/^pg$PG_MAJOR /d; s/^\(pg[0-9]*\) *= *\"\(.*\)\"$/--\1=\2/p" "$pgrx_config")
        time=$(stat --format=@%Y "$pgrx_config")
    fi
    say "telling cargo-pgrx where its Postgres $PG_MAJOR is"
    cargo pgrx init "${known[@]}" "--pg$PG_MAJOR=$config" >/dev/null ||
        fail "setup: cargo-pgrx cannot use $config; try: cargo pgrx init --pg$PG_MAJOR=$config"
    touch --date="$time" "$pgrx_config"
fi
