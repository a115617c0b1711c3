#!/usr/bin/env bash
# Moves a project from Supabase's database to one with workos_auth: its people, its schemas with their data, and its triggers on auth.users.
# docs/moving-from-supabase.md says what becomes of whom.
#
#   examples/moving/move.sh --from 'postgres://…' --to 'postgres://…' [--schemas public,app] [--people-only]
#
# In the new database the extension is created and auth.configure_workos was called; the user there is a superuser. People who are there already
# stay as they are, so that --people-only can be run again and again. The schemas are moved in one transaction: whole, or not at all.
set -euo pipefail

usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }

from='' to='' schemas='' people_only=''
while (($#)); do
    case $1 in
    --from) from=${2:?} && shift 2 ;;
    --to) to=${2:?} && shift 2 ;;
    --schemas) schemas=${2:?} && shift 2 ;;
    --people-only) people_only=yes && shift ;;
    *) usage ;;
    esac
done
[[ $from && $to ]] || usage

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

old() { psql -X -q -v ON_ERROR_STOP=1 -At -d "$from" "$@"; }
new() { psql -X -q -v ON_ERROR_STOP=1 -At -d "$to" "$@"; }
say() { printf '%s\n' "$*" >&2; }

# Supabase's own schemas stay where they are.
theirs="'auth', 'storage', 'realtime', '_realtime', 'extensions', 'graphql', 'graphql_public', 'vault', 'pgbouncer', 'pgsodium',
    'pgsodium_masks', 'supabase_functions', 'supabase_migrations', 'cron', 'net', 'pgtle', '_analytics', 'information_schema'"
if [[ ! $schemas ]]; then
    schemas=$(old -c "select string_agg(nspname, ',' order by nspname) from pg_namespace where nspname !~ '^pg_' and nspname not in ($theirs)")
fi
list=$(old -v schemas="$schemas" <<<"select string_agg(quote_literal(quote_ident(s)), ', ') from unnest(string_to_array(:'schemas', ',')) as s")

people() {
    new -c "set client_min_messages = warning; drop schema if exists workos_auth_moving cascade;
        create schema workos_auth_moving; revoke all on schema workos_auth_moving from public;
        create unlogged table workos_auth_moving.people (user_row jsonb not null, identity_rows jsonb not null);
        create unlogged table workos_auth_moving.refused (id text, sqlstate text, message text, detail text)"
    # No password and no token leaves the old database.
    old -c "copy (
        select to_jsonb(u) - array['encrypted_password', 'confirmation_token', 'recovery_token', 'email_change_token_new',
                'email_change_token_current', 'phone_change_token', 'reauthentication_token'],
            coalesce((select jsonb_agg(to_jsonb(i) order by i.created_at, i.id) from auth.identities as i where i.user_id = u.id), '[]')
        from auth.users as u order by u.is_sso_user, u.created_at, u.id) to stdout" |
        new -c 'copy workos_auth_moving.people from stdin'
    # A batch a transaction: each person holds some locks until its end.
    new <<'SQL'
do $import$
declare
    person record;
    count integer := 0;
    message text;
    detail text;
begin
    for person in select * from workos_auth_moving.people loop
        begin
            perform auth.import_supabase(person.user_row, person.identity_rows);
        exception when others then
            get stacked diagnostics message = message_text, detail = pg_exception_detail;
            insert into workos_auth_moving.refused values (person.user_row ->> 'id', sqlstate, message, detail);
        end;
        count := count + 1;
        if count % 1000 = 0 then
            commit;
        end if;
    end loop;
end $import$;
SQL
    moved=$(new -c 'select count(*) from workos_auth_moving.people')
    refused=$(new -c "select format('%s: %s (%s) %s', id, message, sqlstate, detail) from workos_auth_moving.refused")
    new -c "set client_min_messages = warning; drop schema workos_auth_moving cascade"
    if [[ $refused ]]; then
        say "$refused"
        say "These people were not moved, and the schemas neither. Decide, and run it again: whoever has been moved stays."
        exit 1
    fi
    say "$moved people are here."
}

# Extensions that the schemas use, in the schemas that they were in; and roles that have rights there.
surroundings() {
    old -F $'\n' -c "select format('create schema if not exists %I;', nspname), format('create extension if not exists %I with schema %I;', extname, nspname)
        from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace
        where extname not in ('plpgsql', 'pg_graphql', 'supabase_vault', 'pgsodium', 'pg_net', 'pgjwt', 'pg_cron', 'pg_stat_statements', 'wrappers')" >"$work/extensions.sql"
    new -c 'set client_min_messages = warning' -f "$work/extensions.sql"
    old -c "with acl (item) as (
            select nspacl from pg_namespace where oid = any (array[$list]::regnamespace[])
            union all select relacl from pg_class where relnamespace = any (array[$list]::regnamespace[])
            union all select attacl from pg_attribute join pg_class as c on c.oid = attrelid where c.relnamespace = any (array[$list]::regnamespace[])
            union all select proacl from pg_proc where pronamespace = any (array[$list]::regnamespace[])
        ), role (oid) as (
            select grantee from acl, aclexplode(item)
            union select unnest(polroles) from pg_policy join pg_class as c on c.oid = polrelid where c.relnamespace = any (array[$list]::regnamespace[])
        )
        select format('do \$\$ begin if to_regrole(%L) is null then create role %I nologin%s; end if; end \$\$;',
            quote_ident(rolname), rolname, case when rolname = 'service_role' then ' bypassrls' end)
        from role join pg_roles using (oid) where rolname !~ '^pg_'" >"$work/roles.sql"
    new -f "$work/roles.sql"
}

application() {
    local arguments=()
    local schema
    while IFS= read -r schema; do arguments+=(--schema "$schema"); done < <(tr ',' '\n' <<<"$schemas")
    pg_dump --format custom --no-owner --file "$work/dump" "${arguments[@]}" --dbname "$from"
    # public is there already. Default privileges are those of roles of Supabase's.
    pg_restore --list "$work/dump" | grep -Ev ' (SCHEMA - public|COMMENT - SCHEMA public|DEFAULT ACL) ' >"$work/list"
    pg_restore --no-owner --single-transaction --exit-on-error --use-list "$work/list" --dbname "$to" "$work/dump"
    # Last of all, so that they do not fire for people who have their rows already.
    old -c "select pg_get_triggerdef(t.oid) || ';' from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid
        where t.tgrelid = 'auth.users'::regclass and not t.tgisinternal and p.pronamespace = any (array[$list]::regnamespace[])" >"$work/triggers.sql"
    new --single-transaction -f "$work/triggers.sql"
    functions
    say "The schemas $schemas are here."
}

# All of it belongs to the superuser who restored it. What runs with its owner's rights goes on as a role like Supabase's postgres, which is no
# superuser, and which row-level security does not bind.
functions() {
    new --single-transaction -v schemas="$schemas" <<'SQL'
select quote_ident(current_database() || '_functions') as owner \gset
select format('create role %s nologin bypassrls', :'owner') where to_regrole(:'owner') is null \gexec
select format('grant usage on schema %I to %s', s, :'owner'), format('grant all on all tables in schema %I to %s', s, :'owner'),
    format('grant all on all sequences in schema %I to %s', s, :'owner'), format('grant all on all routines in schema %I to %s', s, :'owner')
from unnest(string_to_array(:'schemas', ',')) as s \gexec
select format('alter routine %s owner to %s', p.oid::regprocedure, :'owner')
from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace join pg_roles as r on r.oid = p.proowner
where p.prosecdef and r.rolsuper and n.nspname = any (string_to_array(:'schemas', ','))
    and not exists (select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') \gexec
SQL
}

people
if [[ ! $people_only ]]; then
    surroundings
    application
fi

waiting=$(new -c "select count(*) from auth.users as u where u.email is not null and not u.is_anonymous and u.deleted_at is null
    and not exists (select from auth.identities as i where i.user_id = u.id)
    and not exists (select from auth.organization_memberships as m where m.user_id = u.id)")
if ((waiting > 0)); then
    say "$waiting people are known by their address alone, and no organization vouches for its domain: list the domains in"
    say "auth.organization_domains, and run this again with --people-only."
fi
say "select * from auth.check() says what is unsafe in the new database."
