#!/usr/bin/env bash
# with-gateway.sh COMMAND ARGUMENT…
# Sets the database up with examples/schema.sql, starts the gateway for Supabase's client on a free port, and runs the
# command beside it. Runs inside `testbed-cluster --`, which gives a cluster and a WorkOS simulator in the environment.
#
# The command finds GATEWAY_URL (…/auth/v1), SITE_URL (workos_auth.site_url; nothing listens there unless the command
# does), DATABASE_URL (the backend's role, app) and GATEWAY_LOG_FILE, the gateway's log so far. GATEWAY_ARGUMENTS are further
# flags of the gateway, SITE_URL one of the caller's choice. Pages at any port of 127.0.0.1 are listed.
set -euo pipefail
# shellcheck source=tools/env.sh
. "$(dirname "$0")/env.sh"
: "${SIMULATOR_URL:?run this inside testbed-cluster --}"

work=$(mktemp -d)
gateway=
finish() {
    local status=$?
    if [[ -n $gateway ]] && kill "$gateway" 2>/dev/null; then wait "$gateway" 2>/dev/null || true; fi
    ((status == 0)) || tail -n 30 "$work/gateway.log" >&2 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Found free and then used: somebody else may take it in between, and the gateway then says so.
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
export GATEWAY_URL=http://127.0.0.1:$port/auth/v1 GATEWAY_LOG_FILE=$work/gateway.log
export SITE_URL=${SITE_URL:-http://127.0.0.1:3000}

sql() { "$("$PG_CONFIG" --bindir)/psql" --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 "$@"; }
sql --set=root_key="$ROOT_KEY_FILE" <<'SQL'
create extension workos_auth;
select auth.create_root_key(:'root_key');
SQL
sql --file="$ROOT/examples/schema.sql"
sql --set=url="$GATEWAY_URL" --set=site_url="$SITE_URL" --set=api_url="$SIMULATOR_URL" <<'SQL'
create role gateway login;
select auth.grant_sign_in('gateway');
alter database :"DBNAME" set workos_auth.site_url = :'site_url';
alter database :"DBNAME" set workos_auth.issuer = :'url';
select auth.configure_workos(client_id => 'client_demo', client_secret => 'sk_test_demo',
    redirect_uri => :'url' || '/callback', api_url => :'api_url');
SQL

# GATEWAY_ARGUMENTS are words.
# shellcheck disable=SC2086
DATABASE_URL=postgres://gateway@$PGHOST:$PGPORT/$PGDATABASE "$CARGO_TARGET_DIR/release/workos-auth-gateway" \
    --listen "127.0.0.1:$port" --public-url "$GATEWAY_URL" --rate-limit 0 ${GATEWAY_ARGUMENTS:-} 2>"$GATEWAY_LOG_FILE" </dev/null &
gateway=$!
for ((i = 0; i < 600; i++)); do
    grep -q '"listening"' "$GATEWAY_LOG_FILE" && break
    kill -0 "$gateway" 2>/dev/null || fail "the gateway ended at once"
    sleep 0.1
done

DATABASE_URL=postgres://app@$PGHOST:$PGPORT/$PGDATABASE "$@"
