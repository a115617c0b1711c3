//! CREATE EXTENSION and DROP EXTENSION: what is refused, what is made, and that nothing stays behind.

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, BOB, exchange, set_session, sign_in, start};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refusal, refused, text};
use workos_end_to_end::{Bed, catalog};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

const CREATE: &str = "create extension workos_auth";

/// Each in a fresh database, in a cluster where no install ever went well: the preparation, what undoes it in the cluster, and
/// SQLSTATE, message, and parts of detail and hint.
const REFUSALS: &[(&str, &str, &str, &str, &str, &str)] = &[
    (
        "create schema auth; create table auth.users (id uuid, encrypted_password text)",
        "",
        "42P06",
        "this database already has Supabase Auth",
        "auth.users",
        "database without Supabase Auth",
    ),
    (
        "create schema auth; create table auth.mine ()",
        "",
        "42P06",
        "the schema auth is not empty",
        "mine",
        "Move or drop",
    ),
    (
        "create schema auth; create type auth.mood as enum ('ok')",
        "",
        "42P06",
        "the schema auth is not empty",
        "mood",
        "Move or drop",
    ),
    (
        "create schema auth; create function auth.uid() returns uuid language sql return null::uuid",
        "",
        "42P06",
        "the schema auth is not empty",
        "uid()",
        "Move or drop",
    ),
    (
        "create schema auth; create operator auth.=== (leftarg = int, rightarg = int, function = int4eq)",
        "",
        "42P06",
        "the schema auth is not empty",
        "===",
        "Move or drop",
    ),
    (
        "create role mallory; create schema auth authorization mallory",
        "drop schema auth; drop role mallory",
        "42501",
        "the schema auth belongs to mallory, who is not a superuser",
        "Nothing was changed",
        "ALTER SCHEMA auth OWNER TO",
    ),
    (
        "create role \"Odd Name\"; create schema auth; grant create on schema auth to \"Odd Name\"",
        "drop schema auth; drop role \"Odd Name\"",
        "42501",
        "others may create objects in the schema auth",
        "CREATE is granted to \"Odd Name\"",
        "REVOKE CREATE ON SCHEMA auth FROM \"Odd Name\"",
    ),
    (
        "create schema auth; grant create on schema auth to public",
        "",
        "42501",
        "others may create objects in the schema auth",
        "CREATE is granted to PUBLIC",
        "REVOKE CREATE ON SCHEMA auth FROM PUBLIC",
    ),
];

/// The roles that an installation makes, or finds as it would make them.
const ROLES: [&str; 2] = ["workos_auth_owner", "workos_auth_nobody"];

/// Attributes that a role of these names must not have.
const ATTRIBUTES: &[&str] = &["login", "superuser", "createdb", "createrole", "replication", "bypassrls", "inherit"];

async fn refuses(cluster: &Cluster, database: &str, preparation: &str) -> workos_end_to_end::Refusal {
    cluster.create_database(database).await.unwrap();
    let client = cluster.connect(database, SUPERUSER).await.unwrap();
    client.batch_execute(preparation).await.unwrap();
    let before = catalog::traces(&client).await;
    let refusal = refusal(client.batch_execute(CREATE).await);
    assert_eq!(catalog::traces(&client).await, before, "{preparation}: something changed");
    refusal
}

#[tokio::test]
async fn an_unsafe_place_is_refused_and_nothing_changes() {
    let cluster = Cluster::start().unwrap();
    for (at, (preparation, undo, sqlstate, message, detail, hint)) in REFUSALS.iter().enumerate() {
        let database = format!("place_{at}");
        let refusal = refuses(&cluster, &database, preparation).await;
        assert_eq!((&*refusal.sqlstate, &*refusal.message), (*sqlstate, *message), "{preparation}");
        assert!(refusal.detail.contains(detail) && refusal.detail.contains("Nothing was changed."), "{refusal}");
        assert!(refusal.hint.contains(hint), "{refusal}");
        let client = cluster.connect(&database, SUPERUSER).await.unwrap();
        for role in ROLES {
            let exists = text(&client, &format!("select to_regrole('{role}')")).await.unwrap();
            assert_eq!(exists, None, "{preparation}: {role}");
        }
        client.batch_execute(undo).await.unwrap();
    }

    for role in ROLES {
        case!(role);
        let mut preparations: Vec<String> =
            ATTRIBUTES.iter().map(|attribute| format!("create role {role} noinherit {attribute}")).collect();
        // INHERIT twice is a conflict, and the default.
        for preparation in preparations.iter_mut().filter(|preparation| preparation.ends_with(" inherit")) {
            *preparation = format!("create role {role}");
        }
        for membership in [format!("grant {role} to friend"), format!("grant friend to {role}")] {
            preparations.push(format!("create role friend; create role {role} noinherit; {membership}"));
        }
        for (at, preparation) in preparations.iter().enumerate() {
            case!(at, preparation);
            let refusal = refuses(&cluster, &format!("{role}_{at}"), preparation).await;
            assert_eq!(refusal.sqlstate, "42710", "{preparation}: {refusal}");
            assert_eq!(refusal.message, format!("the role {role} has members, memberships or attributes"));
            assert!(
                refusal.detail.ends_with("Nothing was changed.") && refusal.hint.starts_with("Drop the role"),
                "{refusal}"
            );
            let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
            client.batch_execute(&format!("drop role {role}; drop role if exists friend")).await.unwrap();
        }
    }

    // Who is no superuser cannot install, whoever owns the database.
    let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
    client.batch_execute("create role dave login").await.unwrap();
    client.batch_execute("create database daves owner dave").await.unwrap();
    let dave = cluster.connect("daves", "dave").await.unwrap();
    assert_eq!(refusal(dave.batch_execute(CREATE).await).sqlstate, "42501");

    // Another schema is not its place.
    assert_eq!(refusal(client.batch_execute("create extension workos_auth schema public").await).sqlstate, "0A000");

    // An empty schema of a superuser's and roles as they should be are welcome.
    client.batch_execute("create schema auth").await.unwrap();
    for role in ROLES {
        client.batch_execute(&format!("create role {role} noinherit")).await.unwrap();
    }
    client.batch_execute(CREATE).await.unwrap();
}

#[track_caller]
fn same(before: &[String], after: &[String]) {
    let none: [String; 0] = [];
    assert_eq!(catalog::difference(before, after), none);
}

#[tokio::test]
async fn drop_leaves_the_empty_schema_and_create_makes_the_same_again() {
    let cluster = Cluster::start().unwrap();
    cluster.create_database("again").await.unwrap();
    let client = cluster.connect("again", SUPERUSER).await.unwrap();
    let before = catalog::traces(&client).await;

    client.batch_execute(CREATE).await.unwrap();
    let first = catalog::of_the_extension(&client).await;
    assert!(first.len() > 100, "{first:?}");
    client.batch_execute("drop extension workos_auth").await.unwrap();
    // What CREATE EXTENSION makes for itself stays with Postgres: the schema with its comment, and the roles, which other databases may use.
    let left = catalog::difference(&before, &catalog::traces(&client).await);
    let comments: i64 = {
        let count = |sign: &str| {
            left.iter().find_map(|line| line.strip_prefix(sign)?.strip_prefix(" pg_description|")?.parse().ok())
        };
        count("+").zip(count("-")).map(|(now, then): (i64, i64)| now - then).unwrap_or_default()
    };
    assert_eq!(comments, 1, "{left:?}");
    let left: Vec<String> = left.into_iter().filter(|line| !line.contains(" pg_description|")).collect();
    let roles = ["+ role|workos_auth_nobody|f", "+ role|workos_auth_owner|f"];
    assert_eq!(left, [roles[0], roles[1], "+ schema|auth|postgres|{postgres=UC/postgres,=U/postgres}"]);
    assert_eq!(text(&client, "select count(*) from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = 'auth'::regnamespace").await.unwrap().as_deref(), Some("0"));

    client.batch_execute(CREATE).await.unwrap();
    same(&first, &catalog::of_the_extension(&client).await);
    client
        .batch_execute("drop extension workos_auth; drop schema auth; drop role workos_auth_owner, workos_auth_nobody")
        .await
        .unwrap();
    same(&before, &catalog::traces(&client).await);

    // Within one transaction too, and a rolled-back install leaves nothing.
    client.batch_execute("begin; create extension workos_auth; rollback").await.unwrap();
    same(&before, &catalog::traces(&client).await);
    let twice = "begin; create extension workos_auth; drop extension workos_auth; create extension workos_auth; commit";
    client.batch_execute(twice).await.unwrap();
    same(&first, &catalog::of_the_extension(&client).await);
}

async fn configure(bed: &Bed<'_>, client: &Client) {
    let sql = "select auth.configure_workos(client_id => $1, redirect_uri => $2, client_secret => $3, api_url => $4)";
    client.execute(sql, &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET, &bed.workos.url()]).await.unwrap();
}

#[tokio::test]
async fn open_sessions_go_on_after_drop_and_create() {
    let bed = Bed::shared("reinstalled").await;
    let app = bed.role("app", "").await;
    let reader = bed.connect(&app).await;
    let old = bed.sign_in(ALICE).await;
    set_session(&reader, &old.access_token, false).await.unwrap();
    assert_eq!(text(&reader, "select auth.uid()").await.unwrap(), Some(old.user_id.to_string()));

    bed.admin.batch_execute("drop extension workos_auth").await.unwrap();
    assert_eq!(refusal(reader.batch_execute("select auth.uid()").await).sqlstate, "42883");
    bed.admin.batch_execute(CREATE).await.unwrap();

    // Nothing is known there yet, and nothing of the old installation is believed.
    refused(reader.batch_execute("select auth.uid()").await, "provider_not_configured");
    assert_eq!(text(&bed.admin, "select auth.jwks()").await.unwrap().as_deref(), Some(r#"{"keys": []}"#));
    refused(bed.admin.query("select * from auth.start_sign_in('org_acme')", &[]).await, "provider_not_configured");
    configure(&bed, &bed.admin).await;
    let error = refusal(reader.batch_execute("select auth.uid()").await);
    assert!(["WA503", "WA505"].contains(&&*error.sqlstate), "{error}");

    // The same connections sign in, read and sign out.
    let new = sign_in(&bed.admin, BOB).await;
    assert_ne!(new.user_id, old.user_id);
    set_session(&reader, &new.access_token, false).await.unwrap();
    assert_eq!(text(&reader, "select auth.uid()").await.unwrap(), Some(new.user_id.to_string()));
    let sign_out = format!("select auth.sign_out('{}')", new.access_token);
    assert_eq!(text(&reader, &sign_out).await.unwrap().as_deref(), Some("1"));
    refused(reader.batch_execute("select auth.uid()").await, "session_not_found");

    // A sign-in that was begun before does not survive.
    let pending = start(&bed.admin, ALICE).await;
    bed.admin.batch_execute("drop extension workos_auth; create extension workos_auth").await.unwrap();
    configure(&bed, &bed.admin).await;
    refused(exchange(&bed.admin, &pending).await, "flow_state_not_found");
    sign_in(&bed.admin, ALICE).await;
}

#[tokio::test]
async fn every_object_is_explained_and_protected() {
    let bed = Bed::shared("described").await;
    let none: [String; 0] = [];
    let auth = "(select oid from pg_namespace where nspname = 'auth')";
    for (what, sql) in [
        ("functions without a comment", format!("select oid::regprocedure from pg_proc where pronamespace = {auth} and obj_description(oid, 'pg_proc') is null")),
        (
            "relations without a comment",
            format!("select oid::regclass from pg_class where relnamespace = {auth} and relkind in ('r', 'v', 'i') and obj_description(oid, 'pg_class') is null
                and not exists (select from pg_constraint where conindid = pg_class.oid and contype in ('p', 'u', 'x'))"),
        ),
        (
            "columns without a comment",
            format!("select c.oid::regclass, attname from pg_attribute a join pg_class c on c.oid = attrelid where c.relnamespace = {auth} and relkind in ('r', 'v', 'c') and attnum > 0 and not attisdropped and col_description(c.oid, attnum) is null"),
        ),
        ("the schema's say about itself", format!("select 1 where obj_description({auth}, 'pg_namespace') is null")),
        (
            "types without a comment",
            format!("select t.oid::regtype from pg_type t join pg_class c on c.oid = t.typrelid where t.typnamespace = {auth} and c.relkind = 'c' and obj_description(t.oid, 'pg_type') is null
                union all select oid::regtype from pg_type where typnamespace = {auth} and typtype in ('e', 'd', 'r') and obj_description(oid, 'pg_type') is null"),
        ),
        (
            "triggers without a comment",
            format!("select tgname, c.relname from pg_trigger t join pg_class c on c.oid = tgrelid where c.relnamespace = {auth} and not tgisinternal and obj_description(t.oid, 'pg_trigger') is null"),
        ),
        (
            "policies without a comment",
            format!("select polname, c.relname from pg_policy p join pg_class c on c.oid = polrelid where c.relnamespace = {auth} and obj_description(p.oid, 'pg_policy') is null"),
        ),
        ("sequences", format!("select relname from pg_class where relnamespace = {auth} and relkind = 'S'")),
        (
            "objects of another owner",
            format!("select oid::regclass::text from pg_class where relnamespace = {auth} and relowner <> 'workos_auth_owner'::regrole
                union all select oid::regprocedure::text from pg_proc where pronamespace = {auth} and proowner <> 'workos_auth_owner'::regrole
                union all select oid::regtype::text from pg_type where typnamespace = {auth} and typowner <> 'workos_auth_owner'::regrole"),
        ),
        ("tables without row-level security, or forced", format!("select relname from pg_class where relnamespace = {auth} and relkind = 'r' and (not relrowsecurity or relforcerowsecurity)")),
        ("tables that PUBLIC has a right on", format!("select relname from pg_class, aclexplode(relacl) a where relnamespace = {auth} and relkind = 'r' and a.grantee <> relowner")),
        (
            "foreign keys without an index",
            format!("select conname from pg_constraint c where connamespace = {auth} and contype = 'f' and not exists (
                select from pg_index i where i.indrelid = c.conrelid and i.indisvalid and i.indpred is null
                    and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)"),
        ),
        (
            "tables that a dump would leave behind",
            format!("select relname from pg_class where relnamespace = {auth} and relkind = 'r' and relname not in ('flow_states', 'worker_status')
                and not oid = any (select unnest(extconfig) from pg_extension where extname = 'workos_auth')"),
        ),
        ("strict functions", format!("select oid::regprocedure from pg_proc where pronamespace = {auth} and proisstrict")),
        (
            "definers that trust a search path",
            format!("select oid::regprocedure from pg_proc where pronamespace = {auth} and prosecdef and proconfig[1] is distinct from 'search_path=pg_catalog, pg_temp'"),
        ),
        (
            "objects that the extension does not own",
            format!("select oid::regclass::text from pg_class c where relnamespace = {auth} and relkind in ('r', 'v')
                and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')"),
        ),
        ("event triggers without a comment", format!("select evtname from pg_event_trigger t join pg_proc p on p.oid = evtfoid where pronamespace = {auth} and obj_description(t.oid, 'pg_event_trigger') is null")),
        ("the roles' say about themselves", "select r from unnest('{workos_auth_owner,workos_auth_nobody}'::regrole[]) r where shobj_description(r, 'pg_authid') is null".to_owned()),
        ("the extension's say about itself", "select 1 from pg_extension e where extname = 'workos_auth' and obj_description(oid, 'pg_extension') is null".to_owned()),
    ] {
        assert_eq!(lines(&bed.admin, &sql).await.unwrap(), none, "{what}");
    }
}

#[tokio::test]
async fn every_function_is_labelled_as_it_behaves() {
    let bed = Bed::shared("labelled").await;
    let stable = "connection_id,email,has_feature,has_permission,has_role,in_group,issuer,jwks,jwt,mirror_age,organization_id,\
        recently_authenticated,role,session_claims,session_id,subject,uid,verify_token,version";
    let of = |condition: &str| {
        format!(
            "select string_agg(distinct proname, ',' order by proname) from pg_proc where pronamespace = 'auth'::regnamespace and {condition}"
        )
    };
    for (condition, expected) in [
        ("provolatile = 's' and proparallel = 's' and proname !~ '^check'", stable),
        (
            "provolatile = 's' and proparallel = 'u'",
            "find_user,get_user,my_sessions,organization_for_email,workos_logout_url",
        ),
        (
            "provolatile = 's' and proname ~ '^check'",
            "check,check_becomes,check_believers,check_copy,check_differences,check_facts,check_files,check_functions,check_holders,check_installed,check_leave,check_members,check_mirror,\
            check_own,check_people,check_preloaded,check_roles,check_root_key,check_setting,check_settings,check_sign_up,check_stored_settings,check_verifier,check_worker,check_worker_runs",
        ),
        ("provolatile = 'i'", "check_comparisons,check_email_copies,error_codes,rights"),
        (
            "proparallel = 'r'",
            "check,check_believers,check_copy,check_facts,check_files,check_functions,check_mirror,check_own,check_people,check_preloaded,check_roles,\
            check_root_key,check_setting,check_settings,check_sign_up,check_stored_settings,check_verifier,check_worker,check_worker_runs",
        ),
        (
            "prosecdef",
            "accept_token,add_signing_key,apply_events,audit_configuration,ban_user,callback_answer,callback_request,check_facts,cleanup,\
        create_session,create_user,create_visitor_token,delete_user,distrust_issuer,exchange_answer,exchange_code,\
        exchange_request,find_user,forget_authkit_token,get_user,grant_admin,grant_broker,grant_sign_in,handle_callback,identity_left,import_supabase,\
        link_identity,member_changed,merge_users,move_identity,my_sessions,note_ended_session,organization_for_email,\
        receive_webhook,refresh_issuer_keys,refresh_session,remove_member,remove_orphans,require_sso,retire_signing_key,revoke_admin,\
        revoke_broker,revoke_organization,revoke_session,revoke_sessions,revoke_sign_in,rotate_signing_key,select_organization,send_heartbeat,\
        set_issuer_keys,set_organization_issuer,set_webhook_secret,sign_out,sign_out_of_workos,skip_event,start_sign_in,start_sign_in_by_email,switch_organization,try_exchange_answer,\
        try_exchange_code,unban_user,unlink_identity,update_user,workos_add_domain,workos_authorize_url,\
        workos_authorize_url_by_email,workos_create_organization,workos_invite_it_contact,workos_logout_url,workos_portal_link",
        ),
        (
            "provolatile = 'v' and proparallel = 'u' and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)",
            "abandon_sealed_data,accept_token,add_signing_key,alter_system,apply_events,as_user,ban_user,become_new_installation,\
        become_verifier,callback_answer,callback_request,cleanup,clear_session,configure_authkit,configure_workos,create_root_key,create_session,create_user,\
        create_visitor_token,delete_user,distrust_issuer,exchange_answer,exchange_code,exchange_request,grant_admin,\
        grant_broker,grant_outside_script,grant_sign_in,handle_callback,import_supabase,link_identity,merge_users,\
        move_identity,publish_sessions,receive_webhook,reconcile_workos,refresh_issuer_keys,refresh_session,remove_member,remove_orphans,require_ready,require_sso,reseal,reset_setting,\
        retire_signing_key,revoke_admin,revoke_broker,revoke_organization,revoke_session,revoke_sessions,revoke_sign_in,\
        rotate_signing_key,select_organization,send_heartbeat,set_issuer_keys,set_organization_issuer,set_session,set_webhook_secret,sign_out,sign_out_of_workos,skip_event,start_sign_in,\
        start_sign_in_by_email,stop_verifying,switch_organization,sync_workos,take_over_installation,trust_issuer,trust_workos,try_exchange_answer,\
        try_exchange_code,unban_user,unlink_identity,update_user,use_request_token,workos_add_domain,workos_authorize_url,\
        workos_authorize_url_by_email,workos_create_organization,workos_invite_it_contact,workos_portal_link",
        ),
    ] {
        assert_eq!(text(&bed.admin, &of(condition)).await.unwrap().unwrap_or_default(), expected, "{condition}");
    }
}

#[tokio::test]
async fn the_install_script_takes_over_nothing_that_is_there() {
    let cluster = Cluster::shared().unwrap();
    let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let sql = "select pg_read_file(setting || '/extension/workos_auth--' || default_version || '.sql')
        from pg_config, pg_available_extensions where pg_config.name = 'SHAREDIR' and pg_available_extensions.name = 'workos_auth'";
    let script = text(&client, sql).await.unwrap().unwrap();
    assert!(script.contains("CREATE TABLE auth.sessions"), "this is not the script");
    // What auth.check_members() gives are texts: statements that restore what was changed, for others to run.
    let (before, rest) = script.split_once("CREATE FUNCTION auth.check_members(").unwrap();
    let script = before.to_owned() + rest.split_once("COMMENT ON FUNCTION auth.check_members()").unwrap().1;
    let code: Vec<&str> = script.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let code = code.join(" ").to_uppercase().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!code.contains("OR REPLACE"));
    // PL/pgSQL's IF NOT EXISTS (SELECT …) is a question, not a clause.
    let clauses =
        code.match_indices("IF NOT EXISTS").filter(|(at, _)| !code[*at..].starts_with("IF NOT EXISTS (SELECT"));
    assert_eq!(clauses.count(), 0);
    assert_eq!(code.matches("IF EXISTS").count(), code.matches("IF EXISTS (").count());
    let (psql_stops, server_starts) = (script.find(r"\quit"), script.find("DO $preflight$"));
    assert!(psql_stops.is_some() && psql_stops < server_starts, "psql -f would run it");
}

/// Since Postgres 18 a server says what it has loaded, by name and version.
#[tokio::test]
async fn the_loaded_library_has_a_name_and_the_version_of_the_extension() {
    let cluster = Cluster::start().unwrap();
    let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
    client.batch_execute(CREATE).await.unwrap();
    let version: i32 = text(&client, "show server_version_num").await.unwrap().unwrap().parse().unwrap();
    if version >= 180_000 {
        client.batch_execute("select auth.uid()").await.unwrap();
        let loaded = "select e.extname, m.version = e.extversion from pg_extension as e
            left join pg_get_loaded_modules() as m on m.module_name = e.extname where e.extname = 'workos_auth'";
        assert_eq!(lines(&client, loaded).await.unwrap(), ["workos_auth|t"]);
    }
}
