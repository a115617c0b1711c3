# shellcheck shell=bash
# Sourced by what starts an example inside `testbed-cluster --`, which gives a cluster and a WorkOS simulator in the environment.

: "${SIMULATOR_URL:?run this inside testbed-cluster -- (see tools/example.sh)}"

psql=${PG_CONFIG:+$("$PG_CONFIG" --bindir)/}psql # of the server that is tested
sql() { "$psql" --no-psqlrc --quiet --output=/dev/null --set=ON_ERROR_STOP=1 "$@"; }

# The extension, and what the examples share.
set_up() {
    sql --set=root_key="$ROOT_KEY_FILE" <<'SQL'
create extension workos_auth;
select auth.create_root_key(:'root_key');
SQL
    sql --file="$(dirname "${BASH_SOURCE[0]}")/../schema.sql"
}

# configure URL: WorkOS sends browsers back to URL/callback.
configure() {
    sql --set=redirect_uri="$1/callback" --set=api_url="$SIMULATOR_URL" <<'SQL'
select auth.configure_workos(
    client_id => 'client_demo', client_secret => 'sk_test_demo', redirect_uri => :'redirect_uri', api_url => :'api_url');
SQL
}
