#!/bin/bash
# Run by tools/test-packages.sh in a fresh Debian with Postgres 18: the image of the extension, mounted read-only below
# /extensions/workos_auth as CloudNativePG does it, is all that the server needs. Somebody signs in through the stand-in for WorkOS.
set -euo pipefail
version=$1
export PATH=/usr/lib/postgresql/18/bin:$PATH LANG=C.UTF-8
image=/extensions/workos_auth
data=/tmp/data
port=4100

fail() { echo "FAILED: $*" >&2; [[ ! -f /tmp/log ]] || tail -n 20 /tmp/log >&2; exit 1; }
as_postgres() { runuser -u postgres -- "$@"; }
sql() { as_postgres psql --host=/tmp --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

# eventually COMMAND ARGUMENT…: within thirty seconds.
eventually() {
    for ((i = 0; i < 300; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    return 1
}
stand_in_listens() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
worker_has_run() { [[ $(sql --command="select count(*) from auth.worker_status where task = 'cleanup' and last_succeeded_at is not null") == 1 ]]; }

! touch $image/lib/new 2>/dev/null || fail "the image can be written to"
[[ -z $(find / -xdev -name 'workos_auth*' -not -path "$image*") ]] || fail "this system has more of the extension than the image"
cd /tmp
as_postgres initdb --pgdata=$data --auth=trust --no-instructions >/dev/null
cat >>$data/postgresql.conf <<CONF
listen_addresses = ''
unix_socket_directories = '/tmp'
extension_control_path = '\$system:$image/share'
dynamic_library_path = '\$libdir:$image/lib'
shared_preload_libraries = 'workos_auth'
workos_auth.root_key_file = '/tmp/root.key'
workos_auth.worker_databases = 'postgres'
CONF
as_postgres pg_ctl --pgdata=$data --wait --silent --log=/tmp/log start || fail "Postgres does not start"
/simulator/usr/bin/workos-simulator --port $port >/tmp/simulator.log 2>&1 &
trap 'kill %1' EXIT
eventually stand_in_listens || fail "the stand-in for WorkOS does not listen: $(cat /tmp/simulator.log)"

sql >/dev/null <<SQL
create extension workos_auth;
select auth.create_root_key('/tmp/root.key');
select auth.configure_workos(client_id => 'client_demo', client_secret => 'sk_test_demo',
    redirect_uri => 'http://localhost:3000/callback', api_url => 'http://127.0.0.1:$port');
create role authenticated;
SQL
IFS='|' read -r url state verifier < <(sql --command="select url, state, code_verifier from auth.start_sign_in(organization => 'org_acme')")

# The stand-in sends the browser back at once.
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /%s HTTP/1.0\r\nHost: 127.0.0.1:%s\r\n\r\n' "${url#http://*/}" $port >&3
code=$(timeout 10 sed -n 's/^location: .*[?&]code=\([^&]*\).*/\1/Ip' <&3 | tr -d '\r')
exec 3>&-
[[ -n $code ]] || fail "the stand-in gives no code for $url"
who=$(sql --set=code="$code" --set=verifier="$verifier" --set=state="$state" <<'SQL'
select access_token from auth.exchange_code(code => :'code', verifier => :'verifier', state => :'state') \gset
begin;
set local role authenticated;
select where auth.set_session(:'access_token') is null;
select auth.email() || ' of ' || auth.organization_id();
commit;
SQL
)
[[ $who == "alice@acme.com of org_acme" ]] || fail "it was $who who signed in"
eventually worker_has_run || fail "the worker has not run"
faults=$(sql --command="select finding from auth.check() where severity = 'error'")
[[ -z $faults ]] || fail "auth.check() says $faults"

loaded=$(sql --command="select version from pg_get_loaded_modules() where module_name = 'workos_auth' and file_name = 'workos_auth.so'")
[[ $loaded == "$version" ]] || fail "the library that is loaded is of $loaded"
echo "   mounted read-only into Postgres $(sql --command='show server_version'): $who signs in, the worker runs"
as_postgres pg_ctl --pgdata=$data --wait --silent stop
