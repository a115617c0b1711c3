//! Rights that were there before the extension: default privileges of whoever installs it, open or hardened. The installation is the same.

use tokio_postgres::Client;
use workos_end_to_end::catalog::{difference, of_the_extension};
use workos_end_to_end::sql::{lines, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Installs the extension in a database of its own, by this superuser, after these statements.
async fn install(cluster: &Cluster, database: &str, superuser: &str, before: &str) -> Client {
    cluster.create_database(database).await.unwrap();
    let client = cluster.connect(database, superuser).await.unwrap();
    client.batch_execute(before).await.unwrap_or_else(|error| panic!("{before}: {error:?}"));
    client.batch_execute("create extension workos_auth").await.unwrap_or_else(|error| panic!("{before}: {error:?}"));
    client
}

#[tokio::test]
async fn default_privileges_change_nothing() {
    let cluster = Cluster::start().unwrap();
    let plain = install(&cluster, "plain", SUPERUSER, "create role web login; create role other login").await;
    let expected = of_the_extension(&plain).await;
    assert!(expected.len() > 200);
    for (n, before) in [
        "alter default privileges grant execute on functions to web",
        "alter default privileges grant all on functions to web with grant option",
        "alter default privileges grant all on tables to web",
        "alter default privileges grant select on tables to public",
        "alter default privileges grant all on types to web with grant option",
        "alter default privileges grant usage on schemas to web",
        "alter default privileges grant all on schemas to web, public",
        "alter default privileges revoke execute on functions from public",
        "alter default privileges revoke usage on types from public",
        "alter default privileges revoke execute on functions from public; alter default privileges revoke usage on types from public;
         alter default privileges grant all on tables to public; alter default privileges grant all on functions to web, other",
        "create schema auth; grant usage on schema auth to web with grant option",
    ]
    .into_iter()
    .enumerate()
    {
        let client = install(&cluster, &format!("before_{n}"), SUPERUSER, before).await;
        let found = of_the_extension(&client).await;
        assert_eq!(difference(&expected, &found), Vec::<String>::new(), "{before}");
        let visitor = cluster.connect(&format!("before_{n}"), "other").await.unwrap();
        assert_eq!(text(&visitor, "select auth.uid() is null").await.unwrap().as_deref(), Some("t"), "{before}");
        let web = cluster.connect(&format!("before_{n}"), "web").await.unwrap();
        for call in ["auth.create_session(gen_random_uuid())", "auth.check_installed()", "auth.rights()", "auth.load_library()"] {
            let refusal = refused_as(web.batch_execute(&format!("select {call}")).await, "42501");
            assert!(refusal.message.starts_with("permission denied for function"), "{before}: {call}: {refusal}");
        }
        refused_as(web.batch_execute("table auth.users").await, "42501");
        refused_as(web.batch_execute("create table auth.mine ()").await, "42501");
    }
}

/// What stands on no list is shut.
#[tokio::test]
async fn whatever_is_not_listed_is_the_owners_alone() {
    let cluster = Cluster::start().unwrap();
    let client = install(&cluster, "listed", SUPERUSER, "").await;
    let sql = "
        with held as (
            select 'FUNCTION ' || p.oid::regprocedure as object, acl.privilege_type, acl.grantee, p.proowner as owner
            from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl where pronamespace = 'auth'::regnamespace
            union all
            select 'TABLE ' || c.oid::regclass, acl.privilege_type, acl.grantee, c.relowner
            from pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) acl
            where relnamespace = 'auth'::regnamespace and relkind in ('r', 'v', 'm', 'S', 'f', 'p')
            union all
            select 'TYPE ' || t.oid::regtype, acl.privilege_type, acl.grantee, t.typowner
            from pg_type t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) acl
            where typnamespace = 'auth'::regnamespace and typcategory <> 'A'
                and not exists (select from pg_class c where c.reltype = t.oid and c.relkind <> 'c')
            union all
            select 'SCHEMA ' || nspname, acl.privilege_type, acl.grantee, n.nspowner
            from pg_namespace n, aclexplode(nspacl) acl where nspname = 'auth'
        ), given as (
            select replace(replace(object, 'timestamptz', 'timestamp with time zone'), ', ', ',') as object, privilege_type,
                case grantee when 0 then 'everyone' when 'pg_write_server_files'::regrole then 'server_files' else grantee::regrole::text end as who
            from held where grantee <> owner
        ), listed as (
            select replace(replace(object, 'timestamptz', 'timestamp with time zone'), ', ', ',') as object, privilege, bundle
            from auth.rights() where bundle in ('everyone', 'server_files')
        )
        (table given except table listed) union all (table listed except table given)";
    assert_eq!(lines(&client, sql).await.unwrap(), Vec::<String>::new());
    // Everything that the list names is there, in every bundle.
    let sql = "select count(*) from auth.rights() where object like 'FUNCTION %' and to_regprocedure(substr(object, 10)) is null
               or object like 'TABLE %' and to_regclass(substr(object, 7)) is null";
    assert_eq!(text(&client, sql).await.unwrap().as_deref(), Some("0"));
}
