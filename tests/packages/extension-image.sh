#!/bin/bash
# Run by tests/packages/images.py in a fresh Debian with Postgres 18: the image of the extension, mounted read-only below
# /extensions/workos_auth as CloudNativePG does it, is all that the server needs. It prints the version of the library that was loaded.
set -euo pipefail
export PATH=/usr/lib/postgresql/18/bin:$PATH LANG=C.UTF-8
image=/extensions/workos_auth
data=/tmp/data

fail() { echo "FAILED: $*" >&2; exit 1; }
as_postgres() { runuser -u postgres -- "$@"; }

! touch $image/lib/new 2>/dev/null || fail "the image can be written to"
cd /tmp
as_postgres initdb --pgdata=$data --auth=trust --no-instructions >/dev/null
cat >>$data/postgresql.conf <<CONF
listen_addresses = ''
unix_socket_directories = '/tmp'
extension_control_path = '\$system:$image/share'
dynamic_library_path = '\$libdir:$image/lib'
CONF
as_postgres pg_ctl --pgdata=$data --wait --silent --log=/tmp/log start || { cat /tmp/log >&2; fail "Postgres does not start"; }
as_postgres psql --host=/tmp --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 <<'SQL'
create extension workos_auth;
do $$
declare
    faults text := (select string_agg(finding, ' ') from auth.check() where severity = 'error');
begin
    if faults is not null then
        raise exception 'auth.check() says %', faults;
    end if;
end
$$;
select version from pg_get_loaded_modules() where module_name = 'workos_auth' and file_name = 'workos_auth.so';
SQL
as_postgres pg_ctl --pgdata=$data --wait --silent stop
