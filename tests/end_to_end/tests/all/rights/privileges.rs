//! Who may call and read what, and that nobody gets more rights through the extension than they had.

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, configure_workos, sign_in};
use workos_end_to_end::sql::{lines, refusal, refused, refused_as, shell, text};
use workos_end_to_end::{Bed, catalog};
use workos_testbed::workos::CLIENT_SECRET;

/// What auth.rights() must say of everyone, a name for each signature: whoever opens a function writes it here too.
const EVERYBODY: &str = "clear_session,connection_id,email,error_codes,get_user,get_user,has_feature,has_permission,has_permission,has_role,\
        has_role,in_group,in_group,issuer,jwks,jwt,link_identity,mirror_age,my_sessions,organization_id,recently_authenticated,role,\
        session_claims,session_id,set_session,sign_out,subject,uid,unlink_identity,update_user,use_request_token,verify_token,\
        version";

async fn bed(name: &str) -> Bed<'static> {
    Bed::shared(name).await
}

/// What a bundle of rights gives, an object and a privilege a line; its objects are there.
async fn bundle(admin: &Client, name: &str) -> Vec<String> {
    let sql = format!(
        "select case split_part(object, ' ', 1)
             when 'FUNCTION' then split_part(object, ' ', 1) || ' ' || substr(object, 10)::regprocedure
             when 'PROCEDURE' then split_part(object, ' ', 1) || ' ' || substr(object, 11)::regprocedure
             when 'TABLE' then split_part(object, ' ', 1) || ' ' || substr(object, 7)::regclass
             else object end || ' ' || privilege collate \"C\"
         from auth.rights() where bundle = '{name}' order by 1"
    );
    let rights = lines(admin, &sql).await.unwrap();
    assert!(rights.len() > 3, "{name}: {rights:?}");
    rights
}

/// What a role may do in the schema `auth` beyond what everybody may.
async fn beyond_everybody(admin: &Client, role: &str) -> Vec<String> {
    let sql = "select case prokind when 'p' then 'PROCEDURE ' else 'FUNCTION ' end || oid::regprocedure || ' EXECUTE' collate \"C\" from pg_proc
        where pronamespace = 'auth'::regnamespace and has_function_privilege($1::text, oid, 'execute')
        union all
        select 'TABLE ' || oid::regclass || ' ' || privilege from pg_class,
            unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) as privilege
        where relnamespace = 'auth'::regnamespace and relkind in ('r', 'v') and has_table_privilege($1::text, oid, privilege)
        union all
        select 'TABLE ' || c.oid::regclass || ' ' || privilege || ' (' || string_agg(a.attname, ', ' order by a.attnum) || ')'
        from pg_class c join pg_attribute a on a.attrelid = c.oid, unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) as privilege
        where relnamespace = 'auth'::regnamespace and relkind = 'r' and a.attnum > 0 and not has_table_privilege($1::text, c.oid, privilege)
            and has_column_privilege($1::text, c.oid, a.attnum, privilege)
        group by c.oid, privilege
        union all
        select 'SCHEMA auth ' || privilege from unnest('{USAGE,CREATE}'::text[]) as privilege
        where has_schema_privilege($1::text, 'auth', privilege)
        union all
        select 'TYPE ' || oid::regtype || ' USAGE' from pg_type
        where typnamespace = 'auth'::regnamespace and typelem = 0 and not exists (select from pg_class c where c.reltype = pg_type.oid and c.relkind <> 'c')
            and has_type_privilege($1::text, oid, 'usage')
        order by 1";
    let all: Vec<String> = admin.query(sql, &[&role]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let everybody = bundle(admin, "everyone").await;
    for right in &everybody {
        assert!(all.contains(right), "{role} lacks {right}: {all:?}");
    }
    all.into_iter().filter(|right| !everybody.contains(right)).collect()
}

/// A call of every function and procedure of the extension with nothing but NULLs, by name.
async fn calls_with_nulls(admin: &Client) -> Vec<(String, String)> {
    let sql = "select proname::text, format('%s auth.%I(%s)', case prokind when 'p' then 'call' else 'select' end, proname,
            (select string_agg('null::' || format_type(t, null), ', ' order by at) from unnest(proargtypes) with ordinality as a (t, at)))
        from pg_proc where pronamespace = 'auth'::regnamespace and prorettype not in ('trigger'::regtype, 'internal'::regtype, 'event_trigger'::regtype) order by 1";
    admin.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Calls every function and says which were refused for want of rights.
async fn forbidden(admin: &Client, caller: &Client) -> String {
    let mut names = Vec::new();
    for (name, call) in calls_with_nulls(admin).await {
        if let Err(error) = caller.batch_execute(&call).await {
            let error = error.as_db_error().unwrap();
            let denied = ["permission denied for function", "permission denied for procedure"];
            if error.code().code() == "42501" && denied.iter().any(|denied| error.message().starts_with(denied)) {
                names.push(name);
            }
        }
    }
    names.dedup();
    names.join(",")
}

#[tokio::test]
async fn what_everybody_may_do_is_what_it_was_thought_to_be() {
    let bed = bed("everybody").await;
    let anybody = bed.role("anybody", "").await;
    let none: [String; 0] = [];
    assert_eq!(beyond_everybody(&bed.admin, &anybody).await, none);
    let rights = bundle(&bed.admin, "everyone").await;
    let (functions, others): (Vec<&str>, Vec<&str>) =
        rights.iter().map(String::as_str).partition(|right| right.starts_with("FUNCTION "));
    let names: Vec<&str> = functions.iter().filter_map(|right| right.split(['.', '(']).nth(1)).collect();
    assert_eq!(names.join(","), EVERYBODY);
    assert_eq!(others, ["SCHEMA auth USAGE", "TABLE auth.error_codes SELECT", "TYPE auth.session USAGE"]);
}

#[tokio::test]
async fn bundles_of_rights_are_given_and_taken_back() {
    let bed = bed("bundles").await;
    let (sign_in_rights, admin_rights) = (bundle(&bed.admin, "sign_in").await, bundle(&bed.admin, "admin").await);
    let none: [String; 0] = [];
    let (app, backend, operator) =
        (bed.role("app", "").await, bed.role("backend", "").await, bed.role("operator", "").await);
    let caller = bed.connect(&app).await;
    let denied = "abandon_sealed_data,accept_token,add_signing_key,alter_system,apply_events,as_user,ban_user,become_new_installation,\
        become_verifier,callback_answer,callback_request,check,check_becomes,check_believers,check_comparisons,check_copy,check_differences,\
        check_email_copies,check_facts,check_files,check_functions,check_holders,check_installed,check_leave,check_members,check_mirror,\
        check_own,check_people,check_preloaded,check_roles,check_root_key,check_setting,check_settings,check_sign_up,\
        check_stored_settings,check_verifier,check_worker,check_worker_runs,cleanup,configure_authkit,configure_workos,create_root_key,create_session,create_user,create_visitor_token,\
        delete_user,distrust_issuer,exchange_answer,exchange_code,exchange_request,find_user,grant_admin,grant_broker,\
        grant_outside_script,grant_sign_in,handle_callback,import_supabase,merge_users,move_identity,organization_for_email,publish_sessions,receive_webhook,reconcile_workos,refresh_issuer_keys,\
        refresh_session,remove_member,remove_orphans,require_ready,require_sso,reseal,reset_setting,retire_signing_key,revoke_admin,\
        revoke_broker,revoke_organization,revoke_session,revoke_sessions,revoke_sign_in,rights,rotate_signing_key,\
        select_organization,send_heartbeat,set_issuer_keys,set_organization_issuer,set_webhook_secret,sign_out_of_workos,skip_event,start_sign_in,start_sign_in_by_email,stop_verifying,switch_organization,sync_workos,\
        take_over_installation,trust_issuer,trust_workos,try_exchange_answer,try_exchange_code,unban_user,workos_add_domain,\
        workos_authorize_url,workos_authorize_url_by_email,workos_create_organization,workos_invite_it_contact,workos_logout_url,workos_portal_link";
    assert_eq!(beyond_everybody(&bed.admin, &app).await, none);
    // create_root_key asks for pg_write_server_files where EXECUTE would not stop a grant to it.
    assert_eq!(forbidden(&bed.admin, &caller).await, denied);

    let as_backend = bed.connect(&backend).await;
    refused_as(as_backend.batch_execute("select auth.start_sign_in('org_acme')").await, "42501");
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    assert_eq!(beyond_everybody(&bed.admin, &backend).await, sign_in_rights);
    let session = sign_in(&as_backend, ALICE).await;
    // What everybody may: on a connection of a role with no right at all.
    let mut app_client = bed.connect(&app).await;
    let transaction = app_client.transaction().await.unwrap();
    transaction.execute("select auth.set_session($1)", &[&session.access_token]).await.unwrap();
    transaction.execute("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
    let row = transaction.query_one("select auth.uid(), auth.jwks()->'keys'->0->>'kty'", &[]).await.unwrap();
    assert_eq!((row.get::<_, uuid::Uuid>(0), row.get::<_, &str>(1)), (session.user_id, "EC"));
    let call = "select auth.sign_out($1)";
    let ended: i64 = transaction.query_one(call, &[&session.access_token]).await.unwrap().get(0);
    assert_eq!(ended, 1);
    transaction.commit().await.unwrap();
    let errors: i64 = app_client.query_one("select count(*) from auth.error_codes", &[]).await.unwrap().get(0);
    assert!(errors > 50);

    // An administrator gives sign-in to others, but not administration.
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    assert_eq!(beyond_everybody(&bed.admin, &operator).await, admin_rights);
    let as_operator = bed.connect(&operator).await;
    as_operator.execute("select auth.revoke_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    assert_eq!(beyond_everybody(&bed.admin, &backend).await, none);
    refused_as(as_backend.batch_execute("select auth.start_sign_in('org_acme')").await, "42501");
    as_operator.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    as_backend.batch_execute("select auth.start_sign_in('org_acme')").await.unwrap();
    for call in ["grant_admin", "revoke_admin", "grant_broker", "revoke_broker"] {
        let result = as_operator.execute(&format!("select auth.{call}($1::text::regrole)"), &[&operator]).await;
        refused_as(result, "42501");
    }
    bed.admin.execute("select auth.revoke_admin($1::text::regrole)", &[&operator]).await.unwrap();
    assert_eq!(beyond_everybody(&bed.admin, &operator).await, none);
    refused_as(
        as_operator.batch_execute("insert into auth.redirect_urls values ('https://x.example.com/')").await,
        "42501",
    );
    assert_eq!(beyond_everybody(&bed.admin, &backend).await, sign_in_rights, "what an administrator gave stays");

    // Brokering is neither, and comes on top.
    bed.admin.execute("select auth.grant_broker($1::text::regrole)", &[&backend]).await.unwrap();
    let mut both = [sign_in_rights.clone(), bundle(&bed.admin, "broker").await].concat();
    both.sort();
    assert_eq!(beyond_everybody(&bed.admin, &backend).await, both);
    bed.admin.execute("select auth.revoke_broker($1::text::regrole)", &[&backend]).await.unwrap();
    assert_eq!(beyond_everybody(&bed.admin, &backend).await, sign_in_rights);
}

#[tokio::test]
async fn odd_roles_are_named_as_they_are() {
    let bed = bed("odd_roles").await;
    let odd = r#"Odd_roles "quoted"; drop role x; --"#;
    bed.admin.batch_execute(&format!("create role \"{}\"", odd.replace('"', "\"\""))).await.unwrap();
    let (oid,): (u32,) =
        (bed.admin.query_one("select oid from pg_roles where rolname = $1", &[&odd]).await.unwrap().get(0),);
    for bundle in ["sign_in", "broker", "admin"] {
        bed.admin.batch_execute(&format!("select auth.grant_{bundle}({oid})")).await.unwrap();
    }
    let mut bundles = Vec::new();
    for name in ["sign_in", "broker", "admin"] {
        bundles.extend(bundle(&bed.admin, name).await);
    }
    bundles.sort();
    assert_eq!(beyond_everybody(&bed.admin, odd).await, bundles);
    for bundle in ["sign_in", "broker", "admin"] {
        bed.admin.batch_execute(&format!("select auth.revoke_{bundle}({oid})")).await.unwrap();
        refused(bed.admin.batch_execute(&format!("select auth.grant_{bundle}(0)")).await, "validation_failed");
        refused(bed.admin.batch_execute(&format!("select auth.grant_{bundle}(4294967295)")).await, "validation_failed");
    }
    let none: [String; 0] = [];
    assert_eq!(beyond_everybody(&bed.admin, odd).await, none);
}

#[tokio::test]
async fn no_table_is_read_or_written_past_the_functions() {
    let bed = bed("tables").await;
    bed.sign_in(ALICE).await;
    let tables =
        lines(&bed.admin, "select relname from pg_class where relnamespace = 'auth'::regnamespace and relkind = 'r'");
    let tables = tables.await.unwrap();
    assert!(tables.len() > 10);
    let ordinary = bed.role("ordinary", "").await;
    let auditor = bed.role("auditor", "in role pg_read_all_data, pg_write_all_data, pg_monitor").await;
    let backend = bed.role("backend", "").await;
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();

    for role in [&ordinary, &backend] {
        let client = bed.connect(role).await;
        for table in &tables {
            for statement in ["table auth.", "delete from auth.", "truncate auth.", "insert into auth."] {
                let tail = if statement.starts_with("insert") { " default values" } else { "" };
                refused_as(client.batch_execute(&format!("{statement}{table}{tail}")).await, "42501");
            }
            refused_as(
                client.batch_execute(&format!("alter table auth.{table} disable row level security")).await,
                "42501",
            );
            let trigger =
                format!("create trigger t after insert on auth.{table} execute function auth.forget_cached_rows()");
            refused_as(client.batch_execute(&trigger).await, "42501");
        }
        refused_as(client.batch_execute("create table auth.mine ()").await, "42501");
        refused_as(client.batch_execute("set role workos_auth_owner").await, "42501");
    }

    // Even those who read and write all data.
    let client = bed.connect(&auditor).await;
    let count = |table: &str| format!("select count(*) from auth.{table}");
    for table in &tables {
        assert_eq!(text(&client, &count(table)).await.unwrap().as_deref(), Some("0"), "{table}");
        let before = text(&bed.admin, &count(table)).await.unwrap();
        client.batch_execute(&format!("delete from auth.{table}")).await.unwrap();
        assert_eq!(text(&bed.admin, &count(table)).await.unwrap(), before, "{table}");
    }
    for table in ["users", "signing_keys", "sessions", "providers", "installation", "data_keys"] {
        assert_ne!(text(&bed.admin, &count(table)).await.unwrap().as_deref(), Some("0"), "{table} proves nothing");
    }
    for insert in [
        "insert into auth.users (email) values ('mallory@example.com')",
        "insert into auth.redirect_urls (pattern) values ('https://mallory.example.com/')",
        "insert into auth.organizations (id) values ('org_mallory')",
        "insert into auth.sessions (id) values (gen_random_uuid())",
        "insert into auth.signing_keys (kid, algorithm, public_key, status) values ('k', 'ES256', '{}', 'pending')",
    ] {
        let error = refused_as(client.batch_execute(insert).await, "42501");
        assert!(error.message.contains("row-level security"), "{error}");
    }
}

#[tokio::test]
async fn an_administrator_keeps_the_lists_and_references_users() {
    let bed = bed("lists").await;
    let operator = bed.role("operator", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {operator}")).await.unwrap();
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    let session = bed.sign_in(ALICE).await;
    let client = bed.connect(&operator).await;

    client
        .batch_execute("insert into auth.redirect_urls (pattern) values ('https://app.example.com/**')")
        .await
        .unwrap();
    let by: String = client
        .query_one("select created_by::text from auth.redirect_urls where pattern like '%app.example%'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(by, operator);
    refused(
        client.batch_execute("insert into auth.redirect_urls (pattern) values ('https://*/')").await,
        "redirect_pattern_unsafe",
    );
    refused_as(client.batch_execute("update auth.redirect_urls set pattern = 'https://b.example.com/'").await, "42501");
    let deleted =
        client.execute("delete from auth.redirect_urls where pattern like 'https://app.%'", &[]).await.unwrap();
    assert_eq!(deleted, 1);
    client.batch_execute("insert into auth.organization_domains values ('org_acme', 'acme.com')").await.unwrap();
    refused_as(
        client.batch_execute("insert into auth.organization_domains values ('org_acme', 'Upper.com')").await,
        "23514",
    );
    refused_as(
        client.batch_execute("insert into auth.organization_domains values ('org_none', 'none.com')").await,
        "23503",
    );
    refused_as(client.batch_execute("truncate auth.redirect_urls").await, "42501");
    refused_as(client.batch_execute("delete from auth.users").await, "42501");

    client
        .batch_execute("create table todos (owner uuid not null references auth.users (id) on delete cascade)")
        .await
        .unwrap();
    client.execute("insert into todos values ($1)", &[&session.user_id]).await.unwrap();
    refused_as(client.batch_execute("insert into todos values (gen_random_uuid())").await, "23503");
    bed.admin.execute("delete from auth.users where id = $1", &[&session.user_id]).await.unwrap();
    assert_eq!(text(&client, "select count(*) from todos").await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn where_secrets_are_sent_and_files_are_read_takes_more_than_administration() {
    let bed = bed("files").await;
    let operator = bed.role("operator", "").await;
    let reader = bed.role("reader", "in role pg_read_server_files").await;
    for role in [&operator, &reader] {
        bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[role]).await.unwrap();
    }
    let (as_operator, as_reader) = (bed.connect(&operator).await, bed.connect(&reader).await);
    let keys = bed.cluster.root_key_path().parent().unwrap().display().to_string();
    // The server itself makes the files, as the user who must be able to read them.
    for (name, command) in [
        ("good", "printf sk_test_demo > FILE"),
        ("newline", r"printf 'sk_test_demo\n' > FILE"),
        ("empty", "true > FILE"),
        ("two", r"printf 'sk_test_demo\nsk_more\n' > FILE"),
        ("padded", "printf ' sk_test_demo' > FILE"),
        ("assignment", "printf 'KEY sk_test_demo' > FILE"),
        ("binary", r"printf '\377\376\001key' > FILE"),
        ("nul", r"printf 'key\0key' > FILE"),
        ("large", "head -c 5000 /dev/zero | tr '\\\\0' a > FILE"),
        ("directory", "mkdir FILE"),
        ("fifo", "mkfifo FILE"),
        ("shut", "printf sk_test_demo > FILE && chmod 0 FILE"),
        ("group", "printf sk_test_demo > FILE && chmod 0640 FILE"),
        ("others", "printf sk_test_demo > FILE && chmod 0604 FILE"),
        ("everybody", "printf sk_test_demo > FILE && chmod 0644 FILE"),
    ] {
        shell(&bed.admin, &command.replace("FILE", &format!("{keys}/{name}"))).await;
    }
    let from = |name: &str| configure_workos(&format!(", client_secret_file => '{keys}/{name}'"));

    let url = bed.workos.url();
    let error = refused(
        as_operator.batch_execute(&configure_workos(&format!(", api_url => '{url}', client_secret => 'k'"))).await,
        "insufficient_privilege",
    );
    assert!(error.detail.contains("superuser"), "{error}");
    let error = refused(as_operator.batch_execute(&from("good")).await, "insufficient_privilege");
    assert!(error.detail.contains("pg_read_server_files"), "{error}");
    // Nor is it told whether there is such a file.
    assert_eq!(refusal(as_operator.batch_execute(&from("missing")).await), error);

    for name in [
        "missing",
        "empty",
        "two",
        "padded",
        "assignment",
        "binary",
        "nul",
        "large",
        "directory",
        "fifo",
        "shut",
        "group",
        "others",
        "everybody",
    ] {
        let error = refused(as_reader.batch_execute(&from(name)).await, "client_secret_file_invalid");
        assert!(error.detail.contains(&format!("{keys}/{name}")), "{error}");
        assert!(!error.to_string().contains("sk_"), "{error}");
    }
    refused(
        as_reader
            .batch_execute(&from("good").replace("client_secret_file", "client_secret => 'k', client_secret_file"))
            .await,
        "validation_failed",
    );
    let sealed = "select md5(client_secret) || api_url from auth.providers";
    let before = text(&bed.admin, sealed).await.unwrap();
    for name in ["good", "newline"] {
        as_reader.batch_execute(&from(name)).await.unwrap();
    }
    let after = text(&bed.admin, sealed).await.unwrap();
    assert_ne!(after, before);
    assert!(after.unwrap().ends_with("https://api.workos.com"));
    // The right secret was read: the superuser brings the stand-in back with the file, and somebody signs in.
    bed.admin
        .batch_execute(
            &from("newline").replace("client_secret_file", &format!("api_url => '{url}', client_secret_file")),
        )
        .await
        .unwrap();
    bed.sign_in(ALICE).await;
    // An administrator sets what needs no more than that.
    as_operator.batch_execute(&configure_workos(&format!(", client_secret => '{CLIENT_SECRET}'"))).await.unwrap();
}

#[tokio::test]
async fn grants_survive_dump_and_restore() {
    let bed = bed("dumped").await;
    let (backend, operator) = (bed.role("backend", "").await, bed.role("operator", "").await);
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    let restored = bed.named("DATABASE_restored");
    let file = bed.cluster.root_key_path().with_file_name("dumped.dump");
    let dump = bed
        .cluster
        .command("pg_dump")
        .args(["--format=custom", "--file"])
        .arg(&file)
        .arg(&bed.database)
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    bed.cluster.create_database(&restored).await.unwrap();
    let restore =
        bed.cluster.command("pg_restore").args(["--exit-on-error", "--dbname", &restored]).arg(&file).output().unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let as_operator = bed.cluster.connect(&restored, &operator).await.unwrap();
    let restored = bed.cluster.connect(&restored, workos_testbed::cluster::SUPERUSER).await.unwrap();
    assert_eq!(beyond_everybody(&restored, &backend).await, bundle(&restored, "sign_in").await);
    assert_eq!(beyond_everybody(&restored, &operator).await, bundle(&restored, "admin").await);
    let difference =
        catalog::difference(&catalog::of_the_extension(&bed.admin).await, &catalog::of_the_extension(&restored).await);
    assert!(difference.is_empty(), "{difference:#?}");
    as_operator
        .batch_execute("insert into auth.redirect_urls (pattern) values ('https://restored.example.com/')")
        .await
        .unwrap();
}
