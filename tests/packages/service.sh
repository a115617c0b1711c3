#!/bin/bash
# Run by tools/test-packages.sh in a system that has booted: the gateway's unit serves, reloads, comes back, and is shut off.
set -euo pipefail
unit=workos-auth-gateway.service
url=http://127.0.0.1:9999/auth/v1

fail() {
    echo "FAILED: $*"
    journalctl --no-pager --unit=$unit --lines=30
    exit 1
}
sql() { runuser -u postgres -- psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }
status() { curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' "$1"; }
since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.2f s", to - from }'; }
property() { systemctl show --property="$1" --value $unit; }

# eventually COMMAND ARGUMENT…: within ten seconds.
eventually() {
    for ((i = 0; i < 100; i++)); do
        ! "$@" || return 0
        sleep 0.1
    done
    return 1
}
is_ready() { [[ $(status http://127.0.0.1:9998/ready) == 200 ]]; }

[[ $(systemctl is-enabled $unit) == disabled && $(systemctl is-active $unit) == inactive ]] || fail "its installation has started it"

systemctl start postgresql
sql >/dev/null <<'SQL'
create extension workos_auth;
create role "workos-auth-gateway" login;
create role gateway login password 'correct horse';
select auth.grant_sign_in('workos-auth-gateway'), auth.grant_sign_in('gateway');
SQL
sql --command="select auth.create_root_key('/var/lib/postgresql/workos_auth.key')" >/dev/null
sql --command="load 'workos_auth'" --command="alter system set workos_auth.root_key_file = '/var/lib/postgresql/workos_auth.key'" --command="select pg_reload_conf()" >/dev/null
sql --command="alter database postgres set workos_auth.site_url = 'http://127.0.0.1:3000'"
sql --command="select auth.configure_workos(client_id => 'client_demo', client_secret => 'sk_test_demo', redirect_uri => '$url/callback')" >/dev/null

settings() { printf '%s\n' GATEWAY_ADMIN_LISTEN=127.0.0.1:9998 "GATEWAY_PUBLIC_URL=$url" "$@" >/etc/default/workos-auth-gateway; }

# By its user's name over the socket.
settings 'DATABASE_URL=postgres:///postgres?host=/run/postgresql&user=workos-auth-gateway'
begin=$EPOCHREALTIME
systemctl start $unit || fail "it does not start"
echo "   started in $(since "$begin")"
[[ $(status $url/health) == 200 ]] || fail "it does not serve as soon as it is said to have started"
eventually is_ready || fail "it is not ready with peer authentication"
systemctl stop $unit

# By a password that only root can read.
settings 'DATABASE_URL=postgres://gateway@127.0.0.1/postgres' \
    "DATABASE_PASSWORD_FILE=/run/credentials/$unit/workos-auth-gateway.database-password"
install -d -m 700 /etc/credstore
(umask 077 && printf 'correct horse' >/etc/credstore/workos-auth-gateway.database-password)
systemctl start $unit || fail "it does not start with a credential"
eventually is_ready || fail "it is not ready with a password"
[[ $(status http://127.0.0.1:9998/metrics) == 200 ]] || fail "it has no metrics"
echo "   memory: $(awk '/VmRSS/ { printf "%.1f MB", $2 / 1000 }' /proc/"$(property MainPID)"/status)"
grep -q '^CapEff:\s*0*$' /proc/"$(property MainPID)"/status || fail "it has capabilities"

before=$(property MainPID)
systemctl reload $unit || fail "reload fails"
sleep 1
[[ $(systemctl is-active $unit) == active && $(property MainPID) == "$before" ]] || fail "reload ends it"
[[ $(status $url/health) == 200 ]] || fail "it does not serve after reload"
journalctl --unit=$unit | grep -q 'SIGHUP' || fail "reload did not reach it"
echo "   reload: the same process goes on"

kill -9 "$before"
came_back() { [[ $(systemctl is-active $unit) == active && $(property MainPID) != "$before" && $(status $url/health) == 200 ]]; }
begin=$EPOCHREALTIME
eventually came_back || fail "it is not restarted after kill -9"
echo "   after kill -9 it serves again in $(since "$begin")"

# Who asks too much of it at the start is told so by systemctl.
settings 'DATABASE_URL=postgres:///postgres' GATEWAY_LISTEN=nonsense
! systemctl restart $unit 2>/dev/null || fail "a wrong setting is not told at the start"
settings 'DATABASE_URL=postgres://gateway@127.0.0.1/postgres' "DATABASE_PASSWORD_FILE=/run/credentials/$unit/workos-auth-gateway.database-password"
systemctl reset-failed $unit
systemctl restart $unit || fail "it does not start again"

exposure=$(systemd-analyze security --no-pager $unit | sed -n 's/.*exposure level for [^:]*: \([0-9.]*\).*/\1/p')
echo "   systemd-analyze security: $exposure"
awk -v exposure="$exposure" 'BEGIN { exit !(exposure != "" && exposure < 2) }' || fail "its exposure is $exposure"

begin=$EPOCHREALTIME
systemctl stop $unit
echo "   stopped in $(since "$begin")"
[[ $(property Result) == success ]] || fail "it did not stop in order"
echo "trial passed"
