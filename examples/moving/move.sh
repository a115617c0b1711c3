#!/usr/bin/env bash
# Moves a project from Supabase's database to one with workos_auth: its people, its schemas with their data, and its triggers on auth.users.
# docs/moving-from-supabase.md says what becomes of whom.
#
#   examples/moving/move.sh --from 'postgres://…' --to 'postgres://…' [--schemas public,app] [--people-only]
#
# In the new database the extension is created and auth.configure_workos was called; the user there is a superuser. People who are there already
# stay as they are, so that --people-only can be run again and again. The schemas are moved in one transaction, with the extensions and roles that
# they use and the triggers on auth.users: whole, or not at all.
set -euo pipefail

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }

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

# Supabase's databases are in UTF8, whatever the terminal is in. Only pg_catalog is searched: names of anything else are printed with their schema.
export PGCLIENTENCODING=UTF8
old() { psql -X -q -v ON_ERROR_STOP=1 -At -d "$from" -c 'set search_path = pg_catalog' "$@"; }
new() { psql -X -q -v ON_ERROR_STOP=1 -At -d "$to" "$@"; }
say() { printf '%s\n' "$*" >&2; }
fail() { say "$@" && exit 1; }

is_there=$(new -c "select exists (select from pg_extension where extname = 'workos_auth')")
[[ $is_there == t ]] || fail "The new database has no workos_auth. Run there: create extension workos_auth. Call auth.configure_workos, and run this again."
is_superuser=$(new -c "select rolsuper from pg_roles where rolname = current_user")
[[ $is_superuser == t ]] || fail "The user of the new database is no superuser. --to takes one who is."

# Supabase's own schemas stay where they are.
theirs="'auth', 'storage', 'realtime', '_realtime', 'extensions', 'graphql', 'graphql_public', 'vault', 'pgbouncer', 'pgsodium',
    'pgsodium_masks', 'supabase_functions', 'supabase_migrations', 'cron', 'net', 'pgtle', '_analytics', 'information_schema'"
# The literal of an array, since any character can be in a name. Names that are given have no comma.
if [[ $schemas ]]; then
    names=$(old -v given="$schemas" -f - <<<"select quote_literal(array_agg(distinct s)::text) from unnest(string_to_array(:'given', ',')) as s")
else
    names=$(old -c "select quote_literal(coalesce(array_agg(nspname order by nspname), '{}')::text)
        from pg_namespace where nspname !~ '^pg_' and nspname not in ($theirs)")
fi
missing=$(old -c "select string_agg(quote_literal(s), ', ') from unnest($names::text[]) as s where s not in (select nspname from pg_namespace)")
[[ ! $missing ]] || fail "The old database has no schema $missing. --schemas takes names as they are, without quotes, with a comma between two."
[[ $people_only || $names != "'{}'" ]] || fail "The old database has no schema to move. --people-only moves its people."
schema_oids="(select oid from pg_namespace where nspname = any ($names::text[]))"

people() {
    # No password and no token leaves the old database.
    old -c "copy (
        select to_jsonb(u) - array['encrypted_password', 'confirmation_token', 'recovery_token', 'email_change_token_new',
                'email_change_token_current', 'phone_change_token', 'reauthentication_token'],
            coalesce((select jsonb_agg(to_jsonb(i) order by i.created_at, i.id) from auth.identities as i where i.user_id = u.id), '[]')
        from auth.users as u order by u.is_sso_user, u.created_at, u.id) to stdout" >"$work/people"
    new -c "set client_min_messages = warning; drop schema if exists workos_auth_moving cascade;
        create schema workos_auth_moving; revoke all on schema workos_auth_moving from public;
        create unlogged table workos_auth_moving.people (user_row jsonb not null, identity_rows jsonb not null);
        create unlogged table workos_auth_moving.refused (id text, sqlstate text, message text, detail text)"
    new -c 'copy workos_auth_moving.people from stdin' <"$work/people"
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

# The schemas, the extensions that they use, in the schemas that they were in, and the roles that have rights there.
surroundings() {
    local extension="extname not in ('plpgsql', 'pg_graphql', 'supabase_vault', 'pgsodium', 'pg_net', 'pgjwt', 'pg_cron', 'pg_stat_statements', 'wrappers')"
    echo 'set client_min_messages = warning;'
    # What has an extension in it may be there already, with the extension. What is an extension's comes with it.
    old -c "select format('create schema %s%I;', case when nspname = 'public' or has_extension then 'if not exists ' end, nspname)
        from pg_namespace as n, lateral (select exists (select from pg_extension where extnamespace = n.oid and $extension)) as e (has_extension)
        where (n.oid in $schema_oids or has_extension) and nspname !~ '^pg_'
            and not exists (select from pg_depend where classid = 'pg_namespace'::regclass and objid = n.oid and deptype = 'e')"
    # As they were made, since one may need another.
    old -c "select format('create extension if not exists %I with schema %I;', extname, nspname)
        from pg_extension as e join pg_namespace as n on n.oid = e.extnamespace where $extension order by e.oid"
    # A dump names the owner of what has rights too.
    old -c "with object (owner, acl) as (
            select nspowner, nspacl from pg_namespace where oid in $schema_oids
            union all select relowner, relacl from pg_class where relnamespace in $schema_oids
            union all select relowner, attacl from pg_attribute join pg_class as c on c.oid = attrelid where relnamespace in $schema_oids
            union all select proowner, proacl from pg_proc where pronamespace in $schema_oids
            union all select typowner, typacl from pg_type where typnamespace in $schema_oids
        ), role (oid) as (
            select owner from object where acl is not null
            union select grantee from object, aclexplode(acl)
            union select unnest(polroles) from pg_policy join pg_class as c on c.oid = polrelid where relnamespace in $schema_oids
        )
        select format('do %L;', format('begin if not exists (select from pg_roles where rolname = %L) then create role %I nologin%s; end if; end',
            rolname, rolname, case when rolname = 'service_role' then ' bypassrls' end))
        from role join pg_roles using (oid) where rolname !~ '^pg_'"
}

# Last of all, so that they do not fire for people who have their rows already.
triggers() {
    old -c "select concat_ws(' ', pg_get_triggerdef(t.oid) || ';',
            case t.tgenabled when 'D' then format('alter table auth.users disable trigger %I;', tgname)
                when 'R' then format('alter table auth.users enable replica trigger %I;', tgname)
                when 'A' then format('alter table auth.users enable always trigger %I;', tgname) end,
            format('comment on trigger %I on auth.users is ', tgname) || quote_literal(obj_description(t.oid, 'pg_trigger')) || ';')
        from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid
        where t.tgrelid = 'auth.users'::regclass and not t.tgisinternal and p.pronamespace in $schema_oids order by t.oid"
}

# All of it belongs to the superuser who restored it. What runs with its owner's rights goes on as a role like Supabase's postgres, which is no
# superuser, and which row-level security does not bind.
functions() {
    cat <<SQL
select quote_ident(current_database() || '_functions') as owner \gset
select format('create role %s nologin bypassrls', :'owner') where to_regrole(:'owner') is null \gexec
select format('grant usage on schema %I to %s', s, :'owner'), format('grant all on all tables in schema %I to %s', s, :'owner'),
    format('grant all on all sequences in schema %I to %s', s, :'owner'), format('grant all on all routines in schema %I to %s', s, :'owner')
from unnest($names::text[]) as s \gexec
select format('alter routine %s owner to %s', p.oid::regprocedure, :'owner')
from pg_proc as p join pg_roles as r on r.oid = p.proowner
where p.prosecdef and r.rolsuper and p.pronamespace in $schema_oids
    and not exists (select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e') \gexec
SQL
}

application() {
    local arguments=(--format custom --no-owner --file "$work/dump" --strict-names) pattern
    # A pattern folds capital letters, and has wildcards, but for what stands in quotes.
    old -0 -c "select format('\"%s\"', replace(s, '\"', '\"\"')) from unnest($names::text[]) as s" >"$work/patterns"
    while IFS= read -rd '' pattern; do arguments+=(--schema "$pattern"); done <"$work/patterns"
    pg_dump "${arguments[@]}" --dbname "$from"
    # The schemas are there already. Default privileges are those of roles of Supabase's.
    pg_restore --list "$work/dump" | grep -aEv '^[0-9]+; [0-9]+ [0-9]+ (SCHEMA - |COMMENT - SCHEMA public |DEFAULT ACL )' >"$work/list"
    surroundings >"$work/before.sql"
    triggers >"$work/after.sql"
    functions >>"$work/after.sql"
    # COMMIT comes only behind all the rest.
    {
        echo 'begin;' && cat "$work/before.sql" &&
            pg_restore --no-owner --use-list "$work/list" --file - "$work/dump" &&
            cat "$work/after.sql" && echo 'commit;'
    } | new --echo-errors -f - >/dev/null ||
        fail "Nothing of the schemas was moved. Mend what the error names, and run this again: whoever has been moved stays."
    say "The schemas $(old -c "select array_to_string($names::text[], ', ')") are here."
    staying=$(old -c "select format('The trigger %I on %s stays behind: ', tgname, tgrelid::regclass) || case tgrelid
            when 'auth.users'::regclass then format('its function %s is in none of the schemas.', tgfoid::regproc)
            else 'only those on auth.users are moved.' end
        from pg_trigger as t join pg_class as c on c.oid = tgrelid join pg_proc as p on p.oid = tgfoid
        where relnamespace = 'auth'::regnamespace and not tgisinternal and (tgrelid <> 'auth.users'::regclass or p.pronamespace not in $schema_oids)")
    [[ ! $staying ]] || say "$staying"
}

people
if [[ ! $people_only ]]; then
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
