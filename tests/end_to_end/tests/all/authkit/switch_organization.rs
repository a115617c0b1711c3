//! A session of AuthKit's goes on in another organization.

use futures_util::future::join_all;
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, GenericClient, IsolationLevel};
use workos_end_to_end::authkit::{AUTHKIT_OF_ACME, sign_in};
use workos_end_to_end::bed::{
    ALICE, Bed, Pending, Session, configure_authkit, exchange, is_good, reader, refresh, set_session, start_with,
};
use workos_end_to_end::brokered::{SITE_URL, callback, come_back as come_back_brokered, parameter};
use workos_end_to_end::case;
use workos_end_to_end::fed::{Verifier, logical};
use workos_end_to_end::racing::no_theft_and_no_deadlock;
use workos_end_to_end::sql::{lines, refusal, refused, text};
use workos_simulator::{Change, Fault, FaultKind, Role};
use workos_testbed::workos::CLIENT_SECRET;

const EMAIL: &str = "ann@acme.com";
const TOKENS: &str = "select count(*) from auth.authkit_tokens";

/// A database with AuthKit, and Ann, of Acme and of Globex.
async fn bed(name: &str) -> (Bed<'static>, Client) {
    let bed = Bed::shared(name).await;
    let app = bed.with_authkit().await;
    bed.happens(json!({ "create_user": { "id": "user_ann", "email": EMAIL } }));
    join(&bed, "om_acme", "org_acme", "editor");
    join(&bed, "om_globex", "org_globex", "admin");
    (bed, app)
}

fn join(bed: &Bed<'_>, id: &str, organization: &str, role: &str) {
    let membership = json!({ "id": id, "user": "user_ann", "organization": organization, "roles": [role] });
    bed.happens(json!({ "create_membership": membership }));
}

async fn in_acme(client: &impl GenericClient) -> Session {
    sign_in(client, AUTHKIT_OF_ACME, EMAIL).await.unwrap()
}

async fn switch(client: &impl GenericClient, refresh_token: &str, organization: &str) -> Result<Session, Error> {
    let sql = "select * from auth.switch_organization($1, $2, '192.0.2.7', 'Safari')";
    client.query_one(sql, &[&refresh_token, &organization]).await.map(|row| Session::from(&row))
}

/// The organization of the only session, and how often its tokens were made stale.
async fn state(bed: &Bed<'_>) -> String {
    let sql = "select concat_ws(' ', organization_id, claims_version, refresh_token_counter) from auth.sessions";
    lines(&bed.admin, sql).await.unwrap().join(", ")
}

/// How often AuthKit was asked to go on with a session.
fn asked(bed: &Bed<'_>) -> usize {
    let is_refresh = |(name, value): &(String, String)| name == "grant_type" && value == "refresh_token";
    bed.workos.simulator().requests().iter().filter(|request| request.fields.iter().any(is_refresh)).count()
}

#[tokio::test]
async fn the_same_session_goes_on_in_another_organization() {
    let (bed, app) = bed("goes_on").await;
    let role = Role { organization: None, slug: "admin".into(), permissions: vec!["todos:write".into()] };
    bed.workos.simulator().change(Change::CreateRole(role)).unwrap();
    let session = in_acme(&app).await;
    let as_ann = reader(&bed, &bed.role("app", "").await, &session).await;
    is_good(&as_ann, &session).await;
    let signed_in = "select concat_ws(' ', last_sign_in_at, raw_user_meta_data) from auth.users";
    let before = text(&bed.admin, signed_in).await.unwrap();

    let globex = switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    assert_eq!((globex.session_id, globex.user_id), (session.session_id, session.user_id));
    assert_eq!(
        (globex.organization_id.as_deref(), globex.email.as_str(), globex.is_new_user),
        (Some("org_globex"), EMAIL, false)
    );
    for (name, value) in [
        ("org_id", json!("org_globex")),
        ("org_role", json!("admin")),
        ("permissions", json!(["todos:write"])),
        ("auth_time", session.claims["auth_time"].clone()),
        ("amr", session.claims["amr"].clone()),
        ("session_id", session.claims["session_id"].clone()),
    ] {
        assert_eq!(globex.claims[name], value, "{name}");
    }
    // What says the organization of before is refused in the next statement, wherever it is the current session.
    refused(as_ann.query("select auth.uid()", &[]).await, "session_stale");
    let in_globex = reader(&bed, &bed.role("other", "").await, &globex).await;
    is_good(&in_globex, &globex).await;
    let organization = "select auth.organization_id()";
    assert_eq!(text(&in_globex, organization).await.unwrap().as_deref(), Some("org_globex"));

    // And back, as often as people want to.
    let acme = switch(&app, &globex.refresh_token, "org_acme").await.unwrap();
    assert_eq!(acme.claims["org_role"], "editor");
    let again =
        switch(&app, &refresh(&app, &acme.refresh_token).await.unwrap().refresh_token, "org_acme").await.unwrap();
    assert_eq!(again.organization_id.as_deref(), Some("org_acme"));
    assert_eq!((bed.count("select count(*) from auth.sessions").await, bed.count(TOKENS).await), (1, 1));
    let members = "select concat_ws(' ', organization_id, role) from auth.organization_memberships order by 1";
    assert_eq!(lines(&bed.admin, members).await.unwrap(), ["org_acme editor", "org_globex admin"]);
    // A switch is no sign-in.
    assert_eq!(text(&bed.admin, signed_in).await.unwrap(), before);
    let audit =
        "select concat_ws(' ', action, organization_id, payload ->> 'from', ip, user_agent) from auth.audit_log_entries
        where action in ('login', 'organization_switched') order by created_at, id";
    assert_eq!(
        lines(&bed.admin, audit).await.unwrap(),
        [
            "login org_acme",
            "organization_switched org_globex org_acme 192.0.2.7 Safari",
            "organization_switched org_acme org_globex 192.0.2.7 Safari",
            "organization_switched org_acme org_acme 192.0.2.7 Safari",
        ]
    );
    let sent = bed.workos.simulator().requests().pop().unwrap();
    assert_eq!(sent.content_type.as_deref(), Some("application/json"));
    let mut names: Vec<&str> = sent.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "client_secret", "grant_type", "organization_id", "refresh_token"]);
}

#[tokio::test]
async fn what_workos_says_of_the_sign_in_is_said_again() {
    let (bed, app) = bed("said").await;
    bed.answer_once(&json!({"authentication_method": "Password"}), &json!({"auth_time": 1_700_000_000}));
    let session = in_acme(&app).await;
    bed.answer_once(
        &json!({"authentication_method": "Passkey"}),
        &json!({"auth_time": 1_700_000_500, "sid": "session_other"}),
    );
    let globex = switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    assert_eq!(globex.claims["amr"], json!([{"method": "webauthn", "timestamp": 1_700_000_500}]));
    assert_eq!(globex.claims["auth_time"], 1_700_000_500);
    let name = "select authkit_session_id from auth.sessions";
    assert_eq!(text(&bed.admin, name).await.unwrap().as_deref(), Some("session_other"));
    // What is not said stays, and nothing is dated into the future.
    bed.answer_once(&json!({"authentication_method": null}), &json!({"auth_time": null}));
    let acme = switch(&app, &globex.refresh_token, "org_acme").await.unwrap();
    assert_eq!(acme.claims["amr"], globex.claims["amr"]);
    bed.answer_once(&json!({}), &json!({"auth_time": 4_000_000_000_i64}));
    let globex = switch(&app, &acme.refresh_token, "org_globex").await.unwrap();
    assert_eq!(globex.claims["auth_time"], globex.claims["iat"]);
}

#[tokio::test]
async fn where_workos_refuses_the_session_stays_as_it_was() {
    let (bed, app) = bed("refuses").await;
    let session = in_acme(&app).await;
    let as_ann = reader(&bed, &bed.role("app", "").await, &session).await;
    let oauth = |name: &str| json!({"error": name, "error_description": format!("{name} of {EMAIL}")});
    let coded = |name: &str| json!({"code": name, "message": EMAIL});
    for (code, body, error) in [
        (400, oauth("organization_membership_not_found"), "authkit_refused"),
        (400, oauth("sso_required"), "sso_required"),
        (400, json!({"message": "Must use SSO for selected organization"}), "sso_required"),
        (400, oauth("mfa_enrollment"), "authkit_step_required"),
        (403, coded("mfa_challenge"), "authkit_step_required"),
        (400, oauth("invalid_grant"), "workos_invalid_grant"),
        (400, oauth("invalid_client"), "workos_invalid_client"),
        (429, oauth("too_many_requests"), "workos_rate_limited"),
        (500, json!({"message": EMAIL}), "workos_unavailable"),
        (503, json!({"message": EMAIL}), "workos_unavailable"),
    ] {
        case!(code, body);
        bed.fault_once(FaultKind::Status { code, body: Some(body.clone()) });
        let refusal = refused(switch(&app, &session.refresh_token, "org_globex").await, error);
        assert!(!refusal.to_string().contains(EMAIL), "{refusal}");
        if error == "workos_invalid_grant" {
            assert!(refusal.hint.contains("goes on") || refusal.hint.contains("The session here does"), "{refusal}");
        }
    }
    refused(switch(&app, &session.refresh_token, "org_initech").await, "authkit_refused");
    for organization in ["", "org acme", &"o".repeat(256)] {
        refused(switch(&app, &session.refresh_token, organization).await, "validation_failed");
    }
    let nobody: Option<&str> = None;
    let sql = "select auth.switch_organization($1, $2)";
    refused(app.query_one(sql, &[&session.refresh_token, &nobody]).await, "null_value");
    refused(app.query_one(sql, &[&nobody, &"org_globex"]).await, "null_value");
    refused(switch(&app, "nonsense", "org_globex").await, "validation_failed");
    let reader = bed.connect(&bed.role("nobody", "").await).await;
    assert_eq!(refusal(switch(&reader, &session.refresh_token, "org_globex").await).sqlstate, "42501");
    assert_eq!(state(&bed).await, "org_acme 0 0");
    is_good(&as_ann, &session).await;
    switch(&app, &session.refresh_token, "org_globex").await.unwrap();
}

#[tokio::test]
async fn an_answer_of_another_session_changes_nothing() {
    let (bed, app) = bed("answers").await;
    bed.person("bob@acme.com", &["org_globex"]);
    for (answer, claims, error) in [
        (json!({"organization_id": "org_acme"}), json!({"org_id": "org_acme"}), "organization_mismatch"),
        (json!({"organization_id": null}), json!({"org_id": null}), "organization_mismatch"),
        (
            json!({"user": {"id": "user_bob", "email": "bob@acme.com"}}),
            json!({"sub": "user_bob"}),
            "workos_answer_malformed",
        ),
        (json!({}), json!({"sub": "user_bob"}), "workos_answer_malformed"),
        (json!({}), json!({"client_id": "client_another"}), "workos_answer_malformed"),
        (json!({"impersonator": {"email": "sue@example.com"}}), json!({}), "workos_answer_malformed"),
        (json!({}), json!({"act": {"sub": "sue@example.com"}}), "workos_answer_malformed"),
        (json!({"access_token": null}), json!({}), "workos_answer_malformed"),
    ] {
        case!(answer, claims);
        let session = in_acme(&app).await;
        bed.answer_once(&answer, &claims);
        refused(switch(&app, &session.refresh_token, "org_globex").await, error);
        // WorkOS has given the next token to nobody: the session goes on where it is.
        let error = refused(switch(&app, &session.refresh_token, "org_globex").await, "workos_invalid_grant");
        assert!(error.hint.contains("auth.start_sign_in"), "{error}");
        refresh(&app, &session.refresh_token).await.unwrap();
        assert_eq!(state(&bed).await, "org_acme 0 1");
        bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
    }
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
    assert_eq!(
        bed.count("select count(*) from auth.organization_memberships where organization_id <> 'org_acme'").await,
        0
    );
    assert_eq!(bed.count(TOKENS).await, 0, "tokens go with their sessions");
}

#[tokio::test]
async fn a_session_without_a_token_of_authkits_stays_where_it_is() {
    let (bed, app) = bed("without").await;
    let alice = bed.sign_in(ALICE).await;
    let made = format!("select * from auth.create_session('{}')", alice.user_id);
    let made = Session::from(&bed.admin.query_one(&made, &[]).await.unwrap());
    // Without a new token WorkOS has given none to keep.
    bed.answer_once(&json!({"refresh_token": null}), &json!({}));
    let without = in_acme(&app).await;
    bed.workos.simulator().clear_requests();
    for session in [&alice, &made, &without] {
        let error = refused(switch(&app, &session.refresh_token, "org_globex").await, "validation_failed");
        assert!(error.detail.contains("AuthKit") && error.hint.contains("auth.start_sign_in"), "{error}");
    }
    assert_eq!((asked(&bed), bed.count(TOKENS).await), (0, 0));
    // Nobody goes on as somebody else.
    bed.answer_once(&json!({"impersonator": {"email": "sue@example.com", "reason": "case 7"}}), &json!({}));
    let pending = start_with(&app, AUTHKIT_OF_ACME, EMAIL).await;
    let sql = "select refresh_token from auth.exchange_code($1, $2, $3)";
    let row = app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!((row.get::<_, Option<&str>>(0), bed.count(TOKENS).await), (None, 0));

    // Neither is a token shown to another WorkOS, nor anything asked while AuthKit is off.
    let session = in_acme(&app).await;
    let url = bed.workos.url();
    let configure = |further: &str| configure_authkit(&format!(", api_url => '{url}'{further}"));
    bed.admin.batch_execute(&configure(", product => 'sso'")).await.unwrap();
    refused(switch(&app, &session.refresh_token, "org_globex").await, "authkit_not_configured");
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let other = configure_authkit(&format!(", api_url => '{elsewhere}', client_secret => '{CLIENT_SECRET}'"));
    bed.admin.batch_execute(&other).await.unwrap();
    refused(switch(&app, &session.refresh_token, "org_globex").await, "provider_changed");
    bed.admin.batch_execute(&configure(&format!(", client_secret => '{CLIENT_SECRET}'"))).await.unwrap();
    switch(&app, &session.refresh_token, "org_globex").await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_and_a_stolen_token_are_what_they_are_to_a_refresh() {
    let (bed, app) = bed("replayed").await;
    let session = in_acme(&app).await;
    let globex = switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    // The answer was lost: the client comes with what it has.
    let again = refresh(&app, &session.refresh_token).await.unwrap();
    assert_eq!((again.organization_id.as_deref(), &again.refresh_token), (Some("org_globex"), &globex.refresh_token));
    let again = switch(&app, &session.refresh_token, "org_acme").await.unwrap();
    assert_eq!((again.organization_id.as_deref(), &again.refresh_token), (Some("org_acme"), &globex.refresh_token));
    assert_eq!(again.claims["org_id"], "org_acme");
    // Later too.
    bed.age(session.session_id).await;
    let recovered = switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    assert_eq!(recovered.organization_id.as_deref(), Some("org_globex"));
    let next = refresh(&app, &recovered.refresh_token).await.unwrap();
    let next = refresh(&app, &next.refresh_token).await.unwrap();
    bed.age(session.session_id).await;
    // Who comes with what was replaced twice has stolen it.
    bed.workos.simulator().clear_requests();
    refused(switch(&app, &session.refresh_token, "org_acme").await, "refresh_token_already_used");
    assert_eq!((asked(&bed), bed.count("select count(*) from auth.sessions").await), (0, 0));
    refused(switch(&app, &next.refresh_token, "org_acme").await, "refresh_token_not_found");
    assert_eq!(bed.count(TOKENS).await, 0);
}

#[tokio::test]
async fn however_many_switch_workos_sees_one_at_a_time() {
    let (bed, app) = bed("race").await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(bed.backend().await);
    }
    let mut session = in_acme(&app).await;
    for (delay, organization) in [(0, "org_globex"), (150, "org_acme"), (150, "org_globex")] {
        bed.workos.simulator().clear_requests();
        if delay > 0 {
            bed.workos.simulator().set_fault(Fault::authenticate(FaultKind::Delay { ms: delay }).times(1)).unwrap();
        }
        let results = join_all(clients.iter().map(|client| switch(client, &session.refresh_token, organization))).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        for result in lost {
            let refusal = refusal(result);
            assert_eq!(refusal.sqlstate, "WA207", "{refusal}");
        }
        assert!(!won.is_empty());
        assert_eq!(asked(&bed), won.len());
        let token = won.into_iter().next_back().unwrap().unwrap();
        session = refresh(&app, &token.refresh_token).await.unwrap();
        assert_eq!(session.organization_id.as_deref(), Some(organization));
    }
    // A refresh does not wait for a switch, and neither loses the session.
    bed.workos.simulator().set_fault(Fault::authenticate(FaultKind::Delay { ms: 300 }).times(1)).unwrap();
    let meanwhile = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        refresh(&clients[1], &session.refresh_token).await.unwrap()
    };
    let (switched, refreshed) = tokio::join!(switch(&clients[0], &session.refresh_token, "org_acme"), meanwhile);
    let switched = switched.unwrap();
    assert_eq!(
        (refreshed.organization_id.as_deref(), switched.organization_id.as_deref()),
        (Some("org_globex"), Some("org_acme"))
    );
    assert_eq!(switched.refresh_token, refreshed.refresh_token);
    refresh(&app, &switched.refresh_token).await.unwrap();
    // A session that ends meanwhile stays ended.
    bed.workos.simulator().set_fault(Fault::authenticate(FaultKind::Delay { ms: 300 }).times(1)).unwrap();
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        bed.admin.execute("select auth.revoke_sessions($1)", &[&session.user_id]).await.unwrap();
    };
    let (switched, ()) = tokio::join!(switch(&clients[0], &switched.refresh_token, "org_globex"), ending);
    refused(switched, "refresh_token_not_found");
    assert_eq!((bed.count("select count(*) from auth.sessions").await, bed.count(TOKENS).await), (0, 0));
    no_theft_and_no_deadlock(&bed).await;
}

#[tokio::test]
async fn a_switch_that_is_rolled_back_leaves_the_session_where_it_was() {
    let (bed, app) = bed("rolled_back").await;
    let session = in_acme(&app).await;
    let as_ann = reader(&bed, &bed.role("app", "").await, &session).await;
    let mut client = bed.backend().await;
    let transaction = client.transaction().await.unwrap();
    let globex = switch(&transaction, &session.refresh_token, "org_globex").await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(state(&bed).await, "org_acme 0 0");
    is_good(&as_ann, &session).await;
    refused(switch(&app, &session.refresh_token, "org_globex").await, "workos_invalid_grant");
    refresh(&app, &session.refresh_token).await.unwrap();
    // Its token is good nowhere, also once the session's rights have changed as often as it says.
    let elsewhere = bed.connect(&bed.role("other", "").await).await;
    refused(set_session(&elsewhere, &globex.access_token, false).await, "session_stale");
    bed.superuser().await.batch_execute("update auth.organization_memberships set roles = '{auditor}'").await.unwrap();
    assert_eq!(state(&bed).await, "org_acme 1 1");
    refused(set_session(&elsewhere, &globex.access_token, false).await, "session_stale");
}

/// As where the person's role has changed at WorkOS: the membership that is written makes older tokens stale, those of this session too.
#[tokio::test]
async fn under_one_snapshot_it_goes_on_too() {
    let (bed, app) = bed("snapshot").await;
    let session = in_acme(&app).await;
    bed.happens(json!({ "update_membership": { "id": "om_acme", "roles": ["auditor"] } }));
    let mut client = bed.backend().await;
    let transaction = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    transaction.query("select 1", &[]).await.unwrap();
    let again = switch(&transaction, &session.refresh_token, "org_acme").await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(again.claims["org_role"], "auditor");
    let reader = bed.connect(&bed.role("reader", "").await).await;
    set_session(&reader, &again.access_token, false).await.unwrap();
    refused(set_session(&reader, &session.access_token, false).await, "session_stale");
}

/// Whoever takes the person out meanwhile, under a snapshot in which the session is elsewhere, starts again.
#[tokio::test]
async fn a_removal_under_an_older_snapshot_does_not_miss_the_session() {
    let (bed, app) = bed("older").await;
    let globex = sign_in(&app, "provider => 'authkit', organization => 'org_globex'", EMAIL).await.unwrap();
    bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
    let session = in_acme(&app).await;
    let mut admin = bed.superuser().await;
    let transaction = admin.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await.unwrap();
    transaction.query("select 1", &[]).await.unwrap();
    switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    let remove = "select auth.remove_member($1, 'org_globex')";
    let error = transaction.execute(remove, &[&globex.user_id]).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE));
    transaction.rollback().await.unwrap();
    admin.execute(remove, &[&globex.user_id]).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
}

/// As after the restore of a dump without sessions.
#[tokio::test]
async fn a_token_without_a_session_keeps_no_data_key() {
    let (bed, app) = bed("orphan").await;
    in_acme(&app).await;
    let superuser = bed.superuser().await;
    let lose = "set session_replication_role = replica; delete from auth.sessions; reset session_replication_role";
    superuser.batch_execute(lose).await.unwrap();
    assert_eq!(bed.count(TOKENS).await, 1);
    superuser.batch_execute("select auth.become_new_installation()").await.unwrap();
    assert_eq!(bed.count(TOKENS).await, 0);
}

#[tokio::test]
async fn who_may_not_sign_in_there_does_not_get_there_so_either() {
    let (bed, app) = bed("may_not").await;
    let switched = async |error: &str| {
        let session = in_acme(&app).await;
        refused(switch(&app, &session.refresh_token, "org_globex").await, error);
        refresh(&app, &session.refresh_token).await.unwrap();
        bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
    };
    // Single sign-on is required, and WorkOS's word of one is of the organization before.
    in_acme(&app).await;
    sign_in(&app, "provider => 'authkit', organization => 'org_globex'", EMAIL).await.unwrap();
    bed.admin.batch_execute("select auth.require_sso('org_globex'); delete from auth.sessions").await.unwrap();
    let session = in_acme(&app).await;
    bed.workos.simulator().clear_requests();
    refused(switch(&app, &session.refresh_token, "org_globex").await, "sso_required");
    assert_eq!(asked(&bed), 0);
    // Within the organization, WorkOS's word counts.
    bed.admin.batch_execute("select auth.require_sso('org_acme')").await.unwrap();
    let session = in_acme(&app).await;
    bed.answer_once(&json!({"authentication_method": "GoogleOAuth"}), &json!({}));
    refused(switch(&app, &session.refresh_token, "org_acme").await, "sso_required");
    let session = in_acme(&app).await;
    switch(&app, &session.refresh_token, "org_acme").await.unwrap();
    bed.admin.batch_execute("select auth.require_sso('org_acme', false); delete from auth.sessions").await.unwrap();
    bed.admin.batch_execute("select auth.require_sso('org_globex', false)").await.unwrap();

    // The organization is another issuer's.
    let trusted = "select auth.trust_issuer('https://idp.example', 'oidc', audience => 'app', jwks_uri => 'https://idp.example/jwks')";
    bed.admin.batch_execute(trusted).await.unwrap();
    bed.admin.batch_execute("select auth.set_organization_issuer('org_globex', 'https://idp.example')").await.unwrap();
    switched("organization_of_another_issuer").await;
    bed.admin.batch_execute("select auth.set_organization_issuer('org_globex', null)").await.unwrap();

    // A hook says so, of sign-ins.
    switched_by_hook(&bed, &app).await;

    let ann = in_acme(&app).await;
    bed.admin.execute("select auth.ban_user($1)", &[&ann.user_id]).await.unwrap();
    refused(switch(&app, &ann.refresh_token, "org_globex").await, "refresh_token_not_found");
}

/// Row A2 of docs/accounts.md: Acme's identity provider can sign in as this account, which is nobody's in Globex.
#[tokio::test]
async fn an_account_that_a_customers_connection_leads_into_stays_that_customers() {
    let bed = Bed::shared("stays").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    bed.person(ALICE.email, &["org_acme", "org_globex"]);
    let session = sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await.unwrap();
    assert_eq!(session.user_id, alice.user_id);
    let in_globex = "select count(*) from auth.organization_memberships where organization_id = 'org_globex'";
    refused(switch(&app, &session.refresh_token, "org_globex").await, "cross_organization_link_disabled");
    assert_eq!(bed.count(in_globex).await, 0);
    let session = refresh(&app, &session.refresh_token).await.unwrap();
    assert_eq!(session.organization_id.as_deref(), Some("org_acme"));
}

async fn switched_by_hook(bed: &Bed<'_>, app: &Client) {
    let owner = bed.role("hooks", "").await;
    let create = format!(
        "grant create, usage on schema public to {owner}; set role {owner};
         create function public.no_globex(event jsonb) returns jsonb language plpgsql as $$ begin
             if event #>> '{{claims,org_id}}' = 'org_globex' then raise exception 'not there'; end if; return null; end $$;
         create function public.tell(event jsonb) returns jsonb language sql as $$
             select jsonb_build_object('claims', (event -> 'claims') || jsonb_build_object('by', event ->> 'authentication_method')) $$;
         reset role; insert into auth.hooks (event, function) values ('token', 'public.tell')"
    );
    bed.superuser().await.batch_execute(&create).await.unwrap();
    let session = in_acme(app).await;
    let globex = switch(app, &session.refresh_token, "org_globex").await.unwrap();
    assert_eq!(globex.claims["by"], "organization_switch");
    let hook = "insert into auth.hooks (event, function) values ('signed_in', 'public.no_globex')";
    bed.superuser().await.batch_execute(hook).await.unwrap();
    let session = in_acme(app).await;
    refused(switch(app, &session.refresh_token, "org_globex").await, "hook_failed");
    refresh(app, &session.refresh_token).await.unwrap();
    bed.superuser().await.batch_execute("delete from auth.hooks; delete from auth.sessions").await.unwrap();
}

#[tokio::test]
async fn whoever_leaves_an_organization_leaves_the_session_that_is_in_it() {
    let (bed, app) = bed("leaves").await;
    bed.follow().await;
    let session = in_acme(&app).await;
    let globex = switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    let as_ann = reader(&bed, &bed.role("app", "").await, &globex).await;
    is_good(&as_ann, &globex).await;
    // It is not in the first any more.
    bed.happens(json!({ "update_membership": { "id": "om_acme", "status": "inactive" } }));
    bed.follow().await;
    is_good(&as_ann, &globex).await;
    bed.workos.simulator().clear_requests();
    refused(switch(&app, &globex.refresh_token, "org_acme").await, "member_removed");
    assert_eq!(asked(&bed), 0, "the token at WorkOS is not spent for what is known");
    bed.happens(json!({ "delete_membership": { "id": "om_globex" } }));
    bed.follow().await;
    refused(as_ann.query("select auth.uid()", &[]).await, "session_not_found");
    refused(switch(&app, &globex.refresh_token, "org_acme").await, "refresh_token_not_found");
    assert_eq!(bed.count(TOKENS).await, 0);

    // WorkOS has ended its session, or the membership, and this database has not been told.
    bed.happens(json!({ "update_membership": { "id": "om_acme", "status": "active" } }));
    join(&bed, "om_globex_2", "org_globex", "admin");
    bed.follow().await;
    let session = in_acme(&app).await;
    bed.happens(json!({ "update_membership": { "id": "om_globex_2", "status": "inactive" } }));
    refused(switch(&app, &session.refresh_token, "org_globex").await, "authkit_refused");
    let name = format!("select authkit_session_id from auth.sessions where id = '{}'", session.session_id);
    let name = text(&bed.admin, &name).await.unwrap().unwrap();
    bed.happens(json!({ "revoke_session": { "id": name } }));
    refused(switch(&app, &session.refresh_token, "org_acme").await, "workos_invalid_grant");
    refresh(&app, &session.refresh_token).await.unwrap();
    bed.follow().await;
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_not_found");
}

#[tokio::test]
async fn the_token_is_sealed_and_goes_with_its_session() {
    let (bed, app) = bed("sealed").await;
    // As the redirect came to the database.
    bed.set("workos_auth.site_url", SITE_URL).await;
    let gateway = bed.backend().await;
    let pending =
        come_back_brokered(&gateway, &format!("{AUTHKIT_OF_ACME}, redirect_to => 'https://site.example/app'"), EMAIL)
            .await;
    let landing = callback(&gateway, &pending).await.unwrap();
    let brokered = exchange(&gateway, &Pending { code: parameter(&landing.0, "code"), ..pending }).await.unwrap();
    switch(&app, &brokered.refresh_token, "org_globex").await.unwrap();

    let one = in_acme(&app).await;
    let two = in_acme(&app).await;
    assert_eq!(bed.count(TOKENS).await, 3);
    let admin = bed.connect(&bed.role("operator", "").await).await;
    let superuser = bed.superuser().await;
    let name = text(&admin, "select current_user").await.unwrap().unwrap();
    superuser
        .batch_execute(&format!(
            "select auth.grant_admin('{name}'); select auth.grant_sign_in('{name}'); grant pg_read_all_data to {name}"
        ))
        .await
        .unwrap();
    let seen = lines(&admin, "select session_id from auth.authkit_tokens").await.unwrap_or_default();
    assert_eq!(seen, Vec::<String>::new());
    let swap = "update auth.authkit_tokens set refresh_token = (select refresh_token from auth.authkit_tokens where session_id = $1) where session_id = $2";
    superuser.execute(swap, &[&one.session_id, &two.session_id]).await.unwrap();
    let error = refused(switch(&app, &two.refresh_token, "org_globex").await, "seal_broken");
    assert!(error.hint.contains("sign in again"), "{error}");

    for (ends, left) in [
        (format!("select auth.revoke_session('{}'::uuid)", two.session_id), 2),
        (format!("delete from auth.sessions where id = '{}'", brokered.session_id), 1),
        (format!("select auth.delete_user('{}')", one.user_id), 0),
    ] {
        superuser.batch_execute(&ends).await.unwrap();
        assert_eq!(bed.count(TOKENS).await, left, "{ends}");
    }
    in_acme(&app).await;
    superuser.batch_execute("truncate auth.sessions").await.unwrap();
    assert_eq!(bed.count(TOKENS).await, 0);
}

#[tokio::test]
async fn a_data_key_stays_as_long_as_it_seals_a_token() {
    let (bed, app) = bed("keys").await;
    let session = in_acme(&app).await;
    let superuser = bed.superuser().await;
    superuser
        .batch_execute(
            "update auth.data_keys set retired_at = now() - interval '2 days' where purpose = 'flow_verifier'",
        )
        .await
        .unwrap();
    superuser.batch_execute("select auth.cleanup()").await.unwrap();
    let kept = "select count(*) from auth.data_keys where purpose = 'flow_verifier'";
    assert_eq!(bed.count(kept).await, 1);
    refused(switch(&app, &session.refresh_token, "org_globex").await, "provider_not_configured");
    superuser
        .batch_execute("update auth.data_keys set retired_at = null where purpose = 'flow_verifier'")
        .await
        .unwrap();
    let session = in_acme(&app).await;
    superuser.batch_execute("update auth.data_keys set retired_at = now() - interval '2 days' where purpose = 'flow_verifier'; delete from auth.flow_states; delete from auth.sessions").await.unwrap();
    superuser.batch_execute("select auth.cleanup()").await.unwrap();
    assert_eq!(bed.count(kept).await, 0);
    refused(switch(&app, &session.refresh_token, "org_globex").await, "refresh_token_not_found");
}

#[tokio::test]
async fn verifiers_are_never_sent_it() {
    let bed = Bed::new(logical(), "verifiers_are_never_sent_a_token").await;
    let app = bed.with_authkit().await;
    bed.person(EMAIL, &["org_acme", "org_globex"]);
    let verifier = Verifier::of(logical(), "verifies_a_switched_session").await.subscribed_to(&bed).await;
    let session = in_acme(&app).await;
    verifier.catch_up(&bed).await;
    let reads = verifier.app("reads").await;
    set_session(&reads, &session.access_token, false).await.unwrap();
    let globex = switch(&app, &session.refresh_token, "org_globex").await.unwrap();
    verifier.catch_up(&bed).await;
    refused(reads.query("select auth.uid()", &[]).await, "session_stale");
    set_session(&reads, &globex.access_token, false).await.unwrap();
    assert_eq!(text(&reads, "select auth.organization_id()").await.unwrap().as_deref(), Some("org_globex"));
    let published = "select count(*) from pg_publication_tables where tablename = 'authkit_tokens'";
    assert_eq!(bed.count(published).await, 0);
    bed.superuser().await.batch_execute("alter publication workos_auth add table auth.authkit_tokens").await.unwrap();
    let found =
        lines(&bed.admin, "select finding from auth.check() where finding like '%authkit_tokens%'").await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
}
