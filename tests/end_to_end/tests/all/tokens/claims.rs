//! Claims: how long a session is current, who may see its token, and how soon a sign-out is seen.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, GINA, set_session};
use workos_end_to_end::case;
use workos_end_to_end::sql::{connect_with_notices, lines, refusal, refused, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

const READERS: &str = "select auth.uid(), auth.jwt(), auth.session_claims(), nullif(auth.role(), session_user::text), auth.email(), auth.session_id(),
    auth.organization_id(), auth.connection_id(), auth.has_role('admin'), auth.has_role('admin', 'org_acme'),
    auth.in_group('engineering'), auth.in_group('engineering', 'org_acme'), auth.has_permission('p'), auth.has_permission('p', 'org_acme')";
const NOBODY: &str = "NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL";

async fn bed(name: &str) -> Bed<'static> {
    Bed::shared(name).await
}

/// A connection of an ordinary role's.
async fn ordinary(bed: &Bed<'_>) -> Client {
    let role = format!("{}_app", bed.database);
    let sql = format!("do $$ begin if to_regrole('{role}') is null then create role {role} login; end if; end $$");
    bed.admin.batch_execute(&sql).await.unwrap();
    bed.connect(&role).await
}

async fn uid(client: &Client) -> Option<String> {
    text(client, "select auth.uid()").await.unwrap()
}

#[tokio::test]
async fn a_session_lasts_as_long_as_its_setting() {
    let bed = bed("lasting").await;
    let client = ordinary(&bed).await;
    let session = bed.sign_in(ALICE).await;
    let alice = Some(session.user_id.to_string());
    let local = format!("select auth.set_session('{}')", session.access_token);
    let global = format!("select auth.set_session('{}', false)", session.access_token);
    assert_eq!(lines(&client, READERS).await.unwrap(), [NOBODY]);

    for (script, after) in [
        (format!("begin; {local}"), &alice),
        ("commit".to_owned(), &None),
        (format!("begin; {local}; rollback"), &None),
        (format!("begin; savepoint s; {local}; rollback to s"), &None),
        (format!("{local}; savepoint s; select auth.clear_session(); rollback to s"), &alice),
        (format!("savepoint t; {local}; release t"), &alice),
        ("commit".to_owned(), &None),
        (global.clone(), &alice),
        ("begin; select auth.clear_session()".to_owned(), &None),
        ("rollback".to_owned(), &alice),
        ("reset all".to_owned(), &None),
        (global.clone(), &alice),
        ("discard all".to_owned(), &None),
        (global.clone(), &alice),
        ("reset workos_auth.session_token".to_owned(), &None),
        (format!("begin; {global}; rollback"), &None),
        (format!("begin; {global}; commit"), &alice),
        // What is local covers what is not, until it ends.
        ("begin; set local workos_auth.session_token = ''".to_owned(), &None),
        ("commit".to_owned(), &alice),
        ("select auth.clear_session()".to_owned(), &None),
        (format!("begin; {local}; select auth.clear_session()"), &None),
        ("commit".to_owned(), &None),
        (format!("set workos_auth.session_token = '{}'", session.access_token), &alice),
        ("set workos_auth.session_token to default".to_owned(), &None),
        (format!("begin; set local workos_auth.session_token = '{}'", session.access_token), &alice),
        ("rollback".to_owned(), &None),
    ] {
        client.batch_execute(&script).await.unwrap();
        let shown = script.split("eyJ").next().unwrap_or_default();
        assert_eq!(&uid(&client).await, after, "{shown}");
    }

    // A transaction that failed ends the session too.
    client.batch_execute(&format!("begin; {local}")).await.unwrap();
    refused_as(client.batch_execute("select 1 / 0").await, "22012");
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(uid(&client).await, None);
    // So does an error that is caught.
    let caught = format!(
        "do $$ begin begin perform auth.set_session('{}', false); raise 'x'; exception when others then null; end;
        if auth.uid() is not null then raise 'still there'; end if; end $$",
        session.access_token
    );
    client.batch_execute(&caught).await.unwrap();
    assert_eq!(lines(&client, READERS).await.unwrap(), [NOBODY]);

    // A refused token leaves the one before it.
    set_session(&client, &session.access_token, false).await.unwrap();
    refused(set_session(&client, "no.such.token", false).await, "bad_jwt");
    assert_eq!(uid(&client).await, alice);
}

#[tokio::test]
async fn a_session_that_would_end_at_once_is_warned_of() {
    let bed = bed("warned").await;
    let role = bed.role("app", "").await;
    let token = bed.sign_in(ALICE).await.access_token;
    let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, &role)).await.unwrap();
    set_session(&client, &token, true).await.unwrap();
    let warnings = notices.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].sqlstate, "25P01");
    assert!(!warnings[0].to_string().contains(&token[..20]) && !warnings[0].hint.is_empty(), "{}", warnings[0]);
    assert_eq!(uid(&client).await, None);

    set_session(&client, &token, false).await.unwrap();
    client.batch_execute("begin").await.unwrap();
    set_session(&client, &token, true).await.unwrap();
    client.batch_execute("commit").await.unwrap();
    assert_eq!(notices.take_warnings(), []);
}

#[tokio::test]
async fn a_role_that_rls_does_not_bind_is_refused() {
    let bed = bed("guarded").await;
    let token = bed.sign_in(ALICE).await.access_token;
    let ordinary = bed.role("app", "").await;
    let bypassing = bed.role("bypassing", "bypassrls").await;
    bed.admin.batch_execute(&format!("grant {ordinary} to {bypassing}")).await.unwrap();
    for role in [SUPERUSER, &bypassing] {
        case!(role);
        let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, role)).await.unwrap();
        let error = refused(set_session(&client, &token, false).await, "role_bypasses_rls");
        assert!(error.hint.contains("SET LOCAL ROLE"), "{error}");
        assert_eq!(uid(&client).await, None);
        client.batch_execute(&format!("begin; set local role {ordinary}")).await.unwrap();
        set_session(&client, &token, true).await.unwrap();
        assert!(uid(&client).await.is_some());
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(notices.take_warnings(), []);
    }
    for (guard, warnings) in [("warning", 1), ("off", 0)] {
        case!(guard, warnings);
        bed.set("workos_auth.rls_guard", guard).await;
        let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, SUPERUSER)).await.unwrap();
        set_session(&client, &token, false).await.unwrap();
        let seen = notices.take_warnings();
        assert_eq!(seen.len(), warnings, "{guard}: {seen:?}");
        assert!(seen.iter().all(|warning| warning.message.contains("row-level security does not bind")), "{seen:?}");
        assert!(uid(&client).await.is_some());
    }
    let client = bed.connect(&ordinary).await;
    client.batch_execute("select auth.uid()").await.unwrap();
    refused_as(client.batch_execute("set workos_auth.rls_guard = off").await, "42501");
    refused_as(client.batch_execute("set workos_auth.check_sessions = off").await, "42501");
    refused_as(client.batch_execute("set workos_auth.no_such_setting = 1").await, "42602");
}

#[tokio::test]
async fn a_token_is_shown_to_nobody_else() {
    let bed = bed("hidden").await;
    let client = ordinary(&bed).await;
    let token = bed.sign_in(ALICE).await.access_token;
    bed.admin.batch_execute("grant create on schema public to public").await.unwrap();
    set_session(&client, &token, false).await.unwrap();
    for statement in [
        "show workos_auth.session_token",
        "select current_setting('workos_auth.session_token')",
        "select current_setting('workos_auth.session_token', true)",
        "create function public.thief() returns text language sql set workos_auth.session_token from current as 'select 1::text'",
        "create function public.reader() returns text language plpgsql security definer as 'begin return current_setting(''workos_auth.session_token''); end';
         select public.reader()",
    ] {
        let error = refused_as(client.batch_execute(statement).await, "42501");
        assert!(!error.to_string().contains(&token[..20]), "{error}");
    }
    for statement in [
        "show all",
        "select * from pg_settings",
        "select * from pg_file_settings() where false",
        "select * from pg_show_all_settings()",
    ] {
        if let Ok(shown) = lines(&client, statement).await {
            assert!(!shown.join("\n").contains(&token[..20]), "{statement}");
        }
    }
    let listed = lines(&client, "select name from pg_settings where name like 'workos_auth.session%'").await.unwrap();
    assert!(listed.iter().all(|name| name != "workos_auth.session_token"), "{listed:?}");
}

#[tokio::test]
async fn a_planted_token_is_ignored_and_locks_nobody_out() {
    // With the library loaded by its first use, and at the server's start.
    for (preload, settings) in [("late", ""), ("early", "shared_preload_libraries = 'workos_auth'")] {
        case!(preload, settings);
        let cluster = Cluster::start_with(&[settings]).unwrap();
        let bed = Bed::new(&cluster, "planted").await;
        let role = bed.role("app", "").await;
        let token = bed.sign_in(ALICE).await.access_token;
        let long = "x".repeat(66_000);
        for value in [&token, &long] {
            case!(value);
            let plant = format!("set workos_auth.session_token = '{value}'");
            let reset = "reset workos_auth.session_token";
            for target in
                [format!("role {role}"), "database planted".to_owned(), format!("role {role} in database planted")]
            {
                // A connection that has not loaded the library has nobody to look at the value.
                let planter = bed.superuser().await;
                if let Err(error) = planter.batch_execute(&format!("alter {target} {plant}")).await {
                    let error = refused_as(Err::<(), _>(error), "22023");
                    assert!(
                        preload == "early" && value == &long && !error.to_string().contains(&value[..20]),
                        "{error}"
                    );
                    continue;
                }
                let (client, notices) = connect_with_notices(&bed.cluster.config("planted", &role)).await.unwrap();
                assert_eq!(uid(&client).await, None, "{preload}: {target}");
                let warnings = notices.take_warnings();
                assert!(
                    warnings.iter().any(|w| w.message.contains("workos_auth.session_token is ignored")),
                    "{preload}, {target}: {warnings:?}"
                );
                for warning in warnings {
                    assert!(!warning.to_string().contains(&value[..20]), "{preload}, {target}: {warning}");
                }
                // What the session sets itself counts, and RESET goes back to nothing.
                set_session(&client, &token, false).await.unwrap();
                assert!(uid(&client).await.is_some());
                client.batch_execute("reset all").await.unwrap();
                assert_eq!(uid(&client).await, None, "{preload}: {target}");
                bed.admin.batch_execute(&format!("alter {target} {reset}")).await.unwrap();
            }
        }
        let mut config = bed.cluster.config("planted", &role);
        config.options(format!("-c workos_auth.session_token={token}"));
        let (client, notices) = connect_with_notices(&config).await.unwrap();
        assert_eq!(uid(&client).await, None, "{preload}: PGOPTIONS");
        let warnings = notices.take_warnings();
        assert_eq!(warnings.len(), 1, "{preload}: {warnings:?}");
        assert!(!warnings[0].to_string().contains(&token[..20]), "{preload}: {}", warnings[0]);
        // A role cannot plant one for itself either, with the library loaded when it tries.
        client.batch_execute(&format!("alter role {role} set workos_auth.session_token = '{token}'")).await.unwrap();
        assert_eq!(uid(&bed.connect(&role).await).await, None);
        assert!(!bed.cluster.log().unwrap().contains("WARNING:  invalid value"), "{preload}: the log shows a value");
    }
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused_without_being_printed() {
    let bed = bed("long").await;
    let client = ordinary(&bed).await;
    client.batch_execute("select auth.uid()").await.unwrap();
    let long = "secretsecret".repeat(6_000);
    let error = refused_as(client.batch_execute(&format!("set workos_auth.session_token = '{long}'")).await, "22023");
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = refusal(client.query("select set_config('workos_auth.session_token', $1, false)", &[&long]).await);
    assert!(error.sqlstate == "22023" && !error.to_string().contains("secret"), "{error}");
    for call in ["select auth.set_session($1)", "select auth.verify_token($1)"] {
        let error = refused(client.query(call, &[&long]).await, "bad_jwt");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(uid(&client).await, None);

    // Set before the library is there to look at it.
    let role = format!("{}_app", bed.database);
    let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, &role)).await.unwrap();
    client.batch_execute(&format!("set workos_auth.session_token = '{long}'")).await.unwrap();
    let _ = client.batch_execute("select auth.uid()").await;
    for warning in notices.take_warnings() {
        assert!(!warning.to_string().contains("secret"), "{warning}");
    }
}

#[tokio::test]
async fn a_token_set_before_the_library_is_loaded_counts() {
    let bed = bed("early_bird").await;
    let session = bed.sign_in(ALICE).await;
    let token = &session.access_token;
    let alice = Some(session.user_id.to_string());
    let client = ordinary(&bed).await;
    client.batch_execute(&format!("set workos_auth.session_token = '{token}'")).await.unwrap();
    assert_eq!(uid(&client).await, alice);
    refused_as(client.batch_execute("show workos_auth.session_token").await, "42501");

    let client = ordinary(&bed).await;
    client.batch_execute(&format!("begin; set local workos_auth.session_token = '{token}'")).await.unwrap();
    assert_eq!(uid(&client).await, alice);
    client.batch_execute("commit").await.unwrap();
    assert_eq!(uid(&client).await, None);

    let client = ordinary(&bed).await;
    client.batch_execute("set workos_auth.session_token = 'forged'").await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "bad_jwt");
    let client = ordinary(&bed).await;
    client.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    // The setting of a superuser that an ordinary role prepared is not taken over.
    let _ = client.batch_execute("select auth.uid()").await;
    assert_eq!(text(&client, "show workos_auth.rls_guard").await.unwrap().as_deref(), Some("error"));
}

#[tokio::test]
async fn two_people_see_their_own_rows() {
    let bed = bed("tenants").await;
    let app = bed.role("app", "").await;
    bed.admin.batch_execute(&format!("
        create table todos (title text, owner uuid default auth.uid(), organization text default auth.organization_id());
        alter table todos enable row level security;
        create policy tenants on todos using (organization = auth.organization_id() and owner = auth.uid());
        create table notices (title text, organization text);
        alter table notices enable row level security;
        create policy admins on notices using (auth.has_role('admin', organization));
        insert into notices values ('acme', 'org_acme'), ('globex', 'org_globex'), ('nobody', null);
        grant all on todos, notices to {app}")).await.unwrap();
    let client = bed.connect(&app).await;
    let mut seen = Vec::new();
    for person in [ALICE, BOB, ANNA, GINA] {
        let session = bed.sign_in(person).await;
        set_session(&client, &session.access_token, false).await.unwrap();
        let inserted = client.execute("insert into todos (title) values ($1)", &[&person.email]).await;
        // Without an organization there is none to belong to.
        assert_eq!(inserted.is_ok(), person.email != GINA.email, "{}", person.email);
        seen.push((
            lines(&client, "select title from todos").await.unwrap().join(","),
            lines(&client, "select title from notices order by 1").await.unwrap().join(","),
        ));
    }
    let pair = |todos: &str, notices: &str| (todos.to_owned(), notices.to_owned());
    assert_eq!(seen, [pair(ALICE.email, "acme"), pair(BOB.email, "globex"), pair(ANNA.email, ""), pair("", "")]);
    client.batch_execute("select auth.clear_session()").await.unwrap();
    assert_eq!(lines(&client, "select * from todos").await.unwrap().len(), 0);
    refused_as(client.batch_execute("insert into todos (title) values ('anonymous')").await, "42501");

    // An organization that is NULL or another is no organization of anybody's.
    let session = bed.sign_in(ALICE).await;
    set_session(&client, &session.access_token, false).await.unwrap();
    let asked = "select auth.has_role('admin'), auth.has_role('admin', 'org_acme'), auth.has_role('admin', null), auth.has_role('admin', 'org_globex'),
        auth.has_role('admin', ''), auth.has_role('Admin'), auth.in_group('admins'), auth.in_group('admins', null), auth.in_group('admins', 'org_acme'),
        auth.in_group('none', 'org_acme'), auth.has_permission('p'), auth.has_permission('p', null)";
    assert_eq!(lines(&client, asked).await.unwrap(), ["t|t|f|f|f|f|t|f|t|f|f|f"]);
    for call in [
        "auth.has_role(null)",
        "auth.has_role(null, 'org_acme')",
        "auth.in_group(null)",
        "auth.has_permission(null, null)",
    ] {
        refused(client.batch_execute(&format!("select {call}")).await, "null_value");
    }
}

#[tokio::test]
async fn signing_out_ends_what_it_says() {
    let bed = bed("signed_out").await;
    let client = ordinary(&bed).await;
    let bob = bed.sign_in(BOB).await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(bed.sign_in(ALICE).await);
    }
    // Whoever is signed in on the connection: nobody, the person, somebody else.
    let call = |at: usize, scope: &str| format!("select auth.sign_out('{}', {scope})", sessions[at].access_token);
    for (scope, name) in [("'everywhere'", "validation_failed"), ("''", "validation_failed"), ("null", "null_value")] {
        refused(client.batch_execute(&call(0, scope)).await, name);
    }
    set_session(&client, &sessions[0].access_token, false).await.unwrap();
    let sign_out =
        async |at: usize, scope: &str| text(&client, &call(at, &format!("'{scope}'"))).await.unwrap().unwrap();
    let ended = async |at: usize| {
        let call = client.query("select auth.verify_token($1)", &[&sessions[at].access_token]).await;
        call.is_err() && refusal(call).sqlstate == "WA509"
    };
    client.batch_execute("begin").await.unwrap();
    assert_eq!(sign_out(0, "local").await, "1");
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    client.batch_execute("rollback").await.unwrap();
    assert!(!ended(0).await, "rolled back, it did not happen");
    assert_eq!(sign_out(0, "local").await, "1");
    assert!(ended(0).await && !ended(1).await);
    refused(client.batch_execute(&call(0, "'local'")).await, "session_not_found");
    set_session(&client, &bob.access_token, false).await.unwrap();
    assert_eq!(sign_out(1, "others").await, "3");
    assert!(!ended(1).await && ended(2).await && ended(4).await);
    assert_eq!(sign_out(1, "others").await, "0");
    client.batch_execute("select auth.clear_session()").await.unwrap();
    assert_eq!(sign_out(1, "global").await, "1");
    refused(client.batch_execute(&call(1, "'global'")).await, "session_not_found");
    refused(set_session(&client, &sessions[1].access_token, false).await, "session_not_found");
    client.query("select auth.verify_token($1)", &[&bob.access_token]).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries where action = 'logout'").await, 4);
}
