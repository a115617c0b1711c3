#!/bin/bash
# Run by tools/test-packages.sh in a fresh Debian: package.sh MAJOR. From apt-get to `create extension`, then the demo, then the purge.
set -euo pipefail
major=$1
packages=(postgresql-"$major"-workos-auth workos-auth-gateway workos-auth-simulator)

fail() { echo "FAILED: $*" >&2; exit 1; }
since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", to - from }'; }
quietly() { "$@" >/tmp/log 2>&1 || { tail -n 30 /tmp/log >&2; fail "$*"; }; }
sql() { runuser -u postgres -- psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }

for compiler in cc cargo; do ! command -v $compiler || fail "this system has a compiler"; done
quietly apt-get -qq update

# Postgres is Debian's, and as quick as the mirror: it is timed apart.
begin=$EPOCHREALTIME
quietly apt-get -qq install -y "postgresql-$major" ca-certificates
echo "   apt-get install of Postgres $major: $(since "$begin")"
begin=$EPOCHREALTIME
quietly apt-get -qq install -y /packages/postgresql-"$major"-workos-auth_*.deb
echo "   apt-get install of the extension: $(since "$begin")"
# Without an init system nobody starts the cluster that the package made.
pg_lsclusters --no-header | grep -q online || quietly pg_ctlcluster "$major" main start
sql --command="create extension workos_auth"
echo "   from there to create extension: $(since "$begin")"
awk -v from="$begin" -v to="$EPOCHREALTIME" 'BEGIN { exit to - from > 60 }' || fail "it took more than a minute"
faults=$(sql --command="select finding from auth.check() where severity = 'error'")
[[ -z $faults ]] || fail "auth.check() says $faults"
echo "   $(sql --command="select format('workos_auth %s in Postgres %s', extversion, current_setting('server_version')) from pg_extension where extname = 'workos_auth'")"

quietly apt-get -qq install -y --no-install-recommends /packages/workos-auth-gateway_*.deb /packages/workos-auth-simulator_*.deb
[[ $(workos-auth-gateway --version) == "workos-auth-gateway "* && $(workos-simulator --version) == "workos-simulator "* ]] || fail "the programs have no version"
getent passwd workos-auth-gateway >/dev/null || fail "the gateway has no user"
begin=$EPOCHREALTIME
quietly env KEEP=0 workos-auth-demo
echo "   the demo's story: $(since "$begin")"
awk -v from="$begin" -v to="$EPOCHREALTIME" 'BEGIN { exit to - from > 15 }' || fail "the demo took more than 15 s"
for promise in 'bad_jwt_signature' 'ERROR:  WA509' '8 of 9: Supabase' 'Everything has been removed. KEEP=1 workos-auth-demo'; do
    grep -qF "$promise" /tmp/log || fail "the demo did not say: $promise"
done
for package in "${packages[@]}"; do
    zgrep -q "The standard library of Rust" "/usr/share/doc/$package/THIRD-PARTY.gz" || fail "$package has no THIRD-PARTY"
done

# As docs/install.md says it is uninstalled.
sql --command="drop extension workos_auth" --command="drop role workos_auth_owner, workos_auth_nobody"
readarray -t owned < <(dpkg -L "${packages[@]}")
quietly apt-get -qq purge -y "${packages[@]}"
for path in "${owned[@]}"; do
    # Folders that others have too.
    [[ -d $path || ! -e $path ]] || fail "the purge left $path"
done
left=$(find / -xdev -name '*workos*' -not -path '/packages/*' -not -path '/trial/*' -not -path '/proc/*' -not -path '/sys/*')
[[ -z $left ]] || fail "the purge left $left"
! getent passwd workos-auth-gateway || fail "the purge left the gateway's user"
echo "   purge leaves nothing"
