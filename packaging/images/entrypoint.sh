#!/bin/sh
# The entry point of the image workos-auth-postgres. At the first start it makes a cluster in PGDATA, with a root key beside it, creates the
# extension in the database POSTGRES_DB, and runs the *.sql files of /docker-entrypoint-initdb.d there. Then it becomes the server.
#
#   POSTGRES_PASSWORD, or POSTGRES_PASSWORD_FILE   the password of the superuser postgres; one of the two must be given
#   POSTGRES_DB                                    a database that is made besides; postgres unless it says another
#   ROOT_KEY_FILE                                  /var/lib/workos_auth/root.key: a volume of its own, which no backup of PGDATA holds
set -eu

fail() { echo "workos-auth-postgres: $*" >&2; exit 1; }

# Docker starts it as root, to give volumes to postgres.
if [ "$(id -u)" = 0 ]; then
    for folder in "$PGDATA" "${ROOT_KEY_FILE%/*}" /run/postgresql; do
        mkdir -p "$folder"
        chown postgres: "$folder"
    done
    chmod 700 "$PGDATA" "${ROOT_KEY_FILE%/*}"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

[ "${1:-postgres}" = postgres ] || exec "$@"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        [ -r "$POSTGRES_PASSWORD_FILE" ] || fail "POSTGRES_PASSWORD_FILE cannot be read: $POSTGRES_PASSWORD_FILE"
        POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
    fi
    [ -n "${POSTGRES_PASSWORD:-}" ] || fail "there is no password: set POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD"
    password=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$password"
    unset POSTGRES_PASSWORD
    # It begins anew if it is stopped half-way.
    trap 'rm -rf "$password"; [ -z "${half_made:-}" ] || rm -rf "$PGDATA"/*' EXIT
    half_made=yes
    initdb --auth-local=peer --auth-host=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums --username=postgres --pwfile="$password" >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=" --silent start
    # sql DATABASE ARGUMENT…
    sql() {
        of=$1
        shift
        psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$of" "$@" >/dev/null
    }
    database=${POSTGRES_DB:-postgres}
    [ "$database" = postgres ] || sql postgres --set=name="$database" <<SQL
create database :"name";
SQL
    sql "$database" --command="create extension workos_auth"
    [ -e "$ROOT_KEY_FILE" ] || sql "$database" --set=path="$ROOT_KEY_FILE" <<SQL
select auth.create_root_key(:'path');
SQL
    sql "$database" --set=path="$ROOT_KEY_FILE" <<SQL
load 'workos_auth';
alter system set workos_auth.root_key_file = :'path';
SQL
    pg_ctl --wait --options="-c listen_addresses=" --silent --mode=fast restart
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -e "$file" ] || sql "$database" --file="$file"
    done
    pg_ctl --wait --silent --mode=fast stop
    half_made=
    rm -f "$password"
    trap - EXIT
fi

[ $# -gt 0 ] || set -- postgres
shift
exec postgres -c listen_addresses="${LISTEN_ADDRESSES:-*}" -c unix_socket_directories=/run/postgresql "$@"
