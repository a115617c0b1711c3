//! What a database's catalogs say, as lines to compare.

use tokio_postgres::Client;

use crate::sql::lines;

/// Everything that belongs to the extension, one line an object: definition, owner, rights, comment, and the rights that a dump leaves out.
///
/// Names of system-made constraints, rights of the owner and OIDs follow from these, so that two databases with the
/// same lines behave the same.
pub async fn of_the_extension(client: &Client) -> Vec<String> {
    let sql = "
        select 'function', p.oid::regprocedure, p.prosrc, p.provolatile, p.proparallel, p.prosecdef, p.proisstrict, p.prorows,
            p.proconfig, p.proowner::regrole, p.proacl, obj_description(p.oid, 'pg_proc'), pg_get_function_arguments(p.oid),
            pg_get_function_result(p.oid)
        from pg_proc p where pronamespace = 'auth'::regnamespace;
        select 'relation', c.relname, c.relkind, c.relowner::regrole, c.relacl, c.relrowsecurity, c.relforcerowsecurity,
            c.relreplident, c.reloptions, obj_description(c.oid, 'pg_class'),
            case when relkind = 'i' then pg_get_indexdef(c.oid) when relkind = 'v' then pg_get_viewdef(c.oid) end
        from pg_class c where relnamespace = 'auth'::regnamespace;
        select 'column', a.attrelid::regclass, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attacl,
            pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum)
        from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d on (d.adrelid, d.adnum) = (c.oid, a.attnum)
        where c.relnamespace = 'auth'::regnamespace and a.attnum > 0;
        select 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)
        from pg_constraint where connamespace = 'auth'::regnamespace;
        select 'trigger', tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger')
        from pg_trigger t join pg_class c on c.oid = tgrelid
        where c.relnamespace = 'auth'::regnamespace and not tgisinternal;
        select 'policy', polrelid::regclass, polname, polcmd, polpermissive, polroles::text, pg_get_expr(polqual, polrelid),
            pg_get_expr(polwithcheck, polrelid), obj_description(p.oid, 'pg_policy')
        from pg_policy p join pg_class c on c.oid = polrelid where c.relnamespace = 'auth'::regnamespace;
        select 'type', t.oid::regtype, t.typowner::regrole, t.typacl, obj_description(t.oid, 'pg_type')
        from pg_type t where t.typnamespace = 'auth'::regnamespace;
        select 'extension', extname, extversion, extrelocatable, extnamespace::regnamespace, cond, regclass(config)
        from pg_extension, unnest(extconfig, extcondition) as c (config, cond) where extname = 'workos_auth';
        select 'schema', nspname, nspowner::regrole, nspacl from pg_namespace where nspname = 'auth';
        select 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
            rolconfig, shobj_description(oid, 'pg_authid') from pg_roles where rolname in ('workos_auth_owner', 'workos_auth_nobody');
        select 'event trigger', evtname, evtevent, evtenabled, evttags, evtfoid::regprocedure, obj_description(t.oid, 'pg_event_trigger')
        from pg_event_trigger t join pg_proc p on p.oid = evtfoid where p.pronamespace = 'auth'::regnamespace;
        select 'member', pg_describe_object(d.classid, d.objid, 0)
        from pg_depend d join pg_extension e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid
        where e.extname = 'workos_auth' and d.deptype = 'e';
        select 'initial rights', pg_describe_object(i.classoid, i.objoid, i.objsubid), i.privtype, i.initprivs
        from pg_init_privs i join pg_depend d on (d.classid, d.objid) = (i.classoid, i.objoid)
            join pg_extension e on d.refclassid = 'pg_extension'::regclass and e.oid = d.refobjid
        where e.extname = 'workos_auth' and d.deptype = 'e'";
    sorted(lines(client, sql).await.unwrap())
}

/// How many rows every catalog has that CREATE EXTENSION could leave something in, the schemas with their rights, and
/// the cluster's roles. Postgres's note of what rights a schema began with stays as long as the schema does.
pub async fn traces(client: &Client) -> Vec<String> {
    let sql = "
        select 'pg_attrdef', count(*) from pg_attrdef union all select 'pg_cast', count(*) from pg_cast
        union all select 'pg_class', count(*) from pg_class union all select 'pg_constraint', count(*) from pg_constraint
        union all select 'pg_default_acl', count(*) from pg_default_acl union all select 'pg_depend', count(*) from pg_depend
        union all select 'pg_description', count(*) from pg_description
        union all select 'pg_event_trigger', count(*) from pg_event_trigger
        union all select 'pg_extension', count(*) from pg_extension union all select 'pg_index', count(*) from pg_index
        union all select 'pg_init_privs', count(*) from pg_init_privs where classoid <> 'pg_namespace'::regclass
        union all select 'pg_operator', count(*) from pg_operator
        union all select 'pg_policy', count(*) from pg_policy union all select 'pg_proc', count(*) from pg_proc
        union all select 'pg_rewrite', count(*) from pg_rewrite union all select 'pg_seclabel', count(*) from pg_seclabel
        union all select 'pg_shdepend', count(*) from pg_shdepend
            where dbid = (select oid from pg_database where datname = current_database())
        union all select 'pg_trigger', count(*) from pg_trigger union all select 'pg_type', count(*) from pg_type
        union all select 'pg_db_role_setting', count(*) from pg_db_role_setting
            where setdatabase = (select oid from pg_database where datname = current_database());
        select 'schema', nspname, nspowner::regrole, nspacl from pg_namespace where nspname !~ '^pg_';
        select 'role', rolname, rolcanlogin from pg_roles";
    sorted(lines(client, sql).await.unwrap())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// The lines that only one of two descriptions has, with `-` where it is the first.
pub fn difference(first: &[String], second: &[String]) -> Vec<String> {
    let only = |sign: &'static str, these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
    };
    [only("-", first, second), only("+", second, first)].concat()
}
