//! WorkOS asks which of the person's organizations a sign-in is for, and `auth.select_organization` answers.

use futures_util::future::join_all;
use serde_json::json;
use tokio_postgres::{Client, Error, GenericClient};
use uuid::Uuid;
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back};
use workos_end_to_end::bed::{Bed, Pending, Session, configure_authkit, exchange, start_with};
use workos_end_to_end::brokered::{SITE_URL, callback, come_back_implicitly};
use workos_end_to_end::carried::{exchange_by_broker, exchange_request};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refusal, refused, text};
use workos_simulator::{Fault, FaultKind};

const EMAIL: &str = "ann@acme.com";
const ASKED: &str = "organization_selection_required";
const FLOWS: &str = "select count(*) from auth.flow_states";

/// A database with AuthKit, and Ann, whom WorkOS asks.
async fn bed(name: &str) -> (Bed<'static>, Client, String) {
    let bed = Bed::shared(name).await;
    let app = bed.with_authkit().await;
    let user = bed.person(EMAIL, &["org_acme", "org_globex"]);
    (bed, app, user)
}

/// What `auth.try_exchange_code` says of a sign-in that is not finished: the error's name, its detail, and the `flow_id`.
async fn tried(client: &impl GenericClient, pending: &Pending) -> (String, String, Uuid) {
    let sql = "select error_code, error_detail, flow_id, access_token from auth.try_exchange_code($1, $2, $3)";
    let row = client.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!(row.get::<_, Option<&str>>(3), None);
    (row.get(0), row.get(1), row.get(2))
}

/// A sign-in that waits for the organization.
async fn asked(client: &Client) -> (Pending, Uuid) {
    let pending = come_back(client, EMAIL).await;
    let (name, detail, flow) = tried(client, &pending).await;
    assert_eq!(name, ASKED);
    assert!(detail.contains("org_acme, org_globex"), "{detail}");
    (pending, flow)
}

async fn select(
    client: &impl GenericClient,
    flow: Uuid,
    organization: &str,
    verifier: Option<&str>,
    state: Option<&str>,
) -> Result<Session, Error> {
    let sql = "select * from auth.select_organization($1, $2, $3, $4, '192.0.2.7', 'Safari')";
    client.query_one(sql, &[&flow, &organization, &verifier, &state]).await.map(|row| Session::from(&row))
}

async fn select_as(client: &Client, (pending, flow): &(Pending, Uuid), organization: &str) -> Result<Session, Error> {
    select(client, *flow, organization, Some(&pending.verifier), Some(&pending.state)).await
}

/// What AuthKit was asked, without the secrets.
fn grants(bed: &Bed<'_>) -> Vec<String> {
    let requests =
        bed.workos.simulator().requests().into_iter().filter(|request| request.path.ends_with("/authenticate"));
    requests.map(|request| request.fields.iter().find(|(name, _)| name == "grant_type").unwrap().1.clone()).collect()
}

/// A broker that was given the request has not brought an answer in its time.
#[tokio::test]
async fn a_question_stands_in_for_what_a_broker_never_brought() {
    let (bed, app, _) = bed("never_brought").await;
    let broker = bed.broker().await;
    let pending = come_back(&app, EMAIL).await;
    exchange_request(&broker, &pending).await.unwrap();
    let late = "update auth.flow_states set exchange_until = now() - interval '1 second'";
    bed.superuser().await.batch_execute(late).await.unwrap();
    let (name, _, flow) = tried(&app, &pending).await;
    assert_eq!(name, ASKED);
    select_as(&app, &(pending, flow), "org_acme").await.unwrap();
}

#[tokio::test]
async fn whoever_is_asked_picks_and_is_signed_in() {
    let (bed, app, user) = bed("picks").await;
    bed.workos.simulator().clear_requests();
    let waiting = asked(&app).await;
    let kept = "select count(*) from auth.flow_states where pending_organizations = '{org_acme,org_globex}'";
    assert_eq!(bed.count(kept).await, 1);
    // It is no refused sign-in.
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries where action = 'login_refused'").await, 0);
    let session = select_as(&app, &waiting, "org_globex").await.unwrap();
    assert_eq!((session.organization_id.as_deref(), session.email.as_str()), (Some("org_globex"), EMAIL));
    assert_eq!((session.claims["org_id"].as_str(), session.is_new_user), (Some("org_globex"), true));
    assert_eq!(bed.count(FLOWS).await, 0);
    let row = "select concat_ws(' ', i.provider_id, s.ip, s.user_agent, s.authkit_session_id is not null)
        from auth.sessions as s join auth.identities as i on i.id = s.identity_id";
    assert_eq!(text(&bed.admin, row).await.unwrap(), Some(format!("{user} 192.0.2.7 Safari t")));
    assert_eq!(grants(&bed), ["authorization_code", "urn:workos:oauth:grant-type:organization-selection"]);
    let sent = bed.workos.simulator().requests().pop().unwrap();
    assert_eq!(sent.content_type.as_deref(), Some("application/json"));
    let mut names: Vec<&str> = sent.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = ["client_id", "client_secret", "grant_type", "organization_id", "pending_authentication_token"];
    assert_eq!(names, expected);
    refused(select_as(&app, &waiting, "org_globex").await, "flow_state_not_found");
    let members = "select organization_id from auth.organization_memberships";
    assert_eq!(lines(&bed.admin, members).await.unwrap(), ["org_globex"]);
}

#[tokio::test]
async fn a_second_exchange_says_the_same_and_asks_nobody() {
    let (bed, app, _) = bed("again").await;
    let (pending, flow) = asked(&app).await;
    bed.workos.simulator().clear_requests();
    let (name, detail, again) = tried(&app, &pending).await;
    assert_eq!((name.as_str(), again), (ASKED, flow));
    assert!(detail.contains("org_acme, org_globex"), "{detail}");
    let error = refused(exchange(&app, &pending).await, ASKED);
    assert!(
        error.detail.contains("org_acme, org_globex") && error.hint.contains("auth.select_organization"),
        "{error}"
    );
    // Nor does a broker, or a redirect.
    let broker = bed.broker().await;
    refused(exchange_request(&broker, &pending).await, ASKED);
    bed.set("workos_auth.site_url", SITE_URL).await;
    let gateway = bed.backend().await;
    let landing = callback(&gateway, &pending).await.unwrap();
    assert!(landing.0.contains("flow_state_already_used"), "{}", landing.0);
    assert_eq!(grants(&bed), Vec::<String>::new());
    select_as(&app, &(pending, flow), "org_acme").await.unwrap();
}

#[tokio::test]
async fn nothing_is_kept_where_nothing_can_be() {
    let (bed, app, _) = bed("kept").await;
    let pending = come_back(&app, EMAIL).await;
    let error = refused(exchange(&app, &pending).await, ASKED);
    assert!(error.hint.contains("auth.try_exchange_code"), "{error}");
    // What is not committed is not kept either, and the code is spent.
    let mut other = bed.backend().await;
    let pending = come_back(&app, EMAIL).await;
    let transaction = other.transaction().await.unwrap();
    let (_, _, flow) = tried(&transaction, &pending).await;
    transaction.rollback().await.unwrap();
    let error = refused(select_as(&app, &(pending.clone(), flow), "org_acme").await, "flow_state_not_found");
    assert!(error.hint.contains("committed"), "{error}");
    refused(exchange(&app, &pending).await, "workos_invalid_grant");
    // A broker's answer, and a redirect, cannot be answered.
    let pending = come_back(&app, EMAIL).await;
    refused(exchange_by_broker(&bed.broker().await, &pending).await, ASKED);
    assert_eq!(bed.count("select count(*) from auth.flow_states where pending_token is not null").await, 0);
}

/// WorkOS asks whoever asked for an organization nothing; if it did, nobody would get into another.
#[tokio::test]
async fn a_sign_in_for_an_organization_is_not_diverted() {
    let (bed, app, _) = bed("diverted").await;
    let question = json!({"code": ASKED, "message": "Which?", "pending_authentication_token": "p_1",
        "organizations": [{"id": "org_globex", "name": "Globex"}]});
    for tried in [false, true] {
        let pending = start_with(&app, AUTHKIT_OF_ACME, EMAIL).await;
        bed.fault_once(FaultKind::Status { code: 403, body: Some(question.clone()) });
        let function = if tried { "try_exchange_code" } else { "exchange_code" };
        let sql = format!("select * from auth.{function}($1, $2, $3)");
        let error = refusal(app.query_one(&sql, &[&pending.code, &pending.verifier, &pending.state]).await);
        assert_eq!(error.sqlstate, "WA335", "{error}");
        let id = "select id from auth.flow_states order by created_at desc limit 1";
        let flow: Uuid = bed.admin.query_one(id, &[]).await.unwrap().get(0);
        refused(select_as(&app, &(pending, flow), "org_globex").await, "flow_state_not_found");
    }
    assert_eq!(bed.count("select count(*) from auth.flow_states where pending_token is not null").await, 0);
    // A question that cannot be answered is an error, not a wait.
    for body in
        [json!({"code": ASKED, "message": "Which?"}), json!({"code": ASKED, "organizations": [{"id": "org_acme"}]})]
    {
        let pending = come_back(&app, EMAIL).await;
        bed.fault_once(FaultKind::Status { code: 403, body: Some(body) });
        let sql = "select * from auth.try_exchange_code($1, $2, $3)";
        refused(app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await, ASKED);
    }
}

#[tokio::test]
async fn who_did_not_begin_the_sign_in_does_not_finish_it() {
    let (bed, app, _) = bed("who").await;
    let (pending, flow) = asked(&app).await;
    let (other, other_flow) = asked(&app).await;
    bed.workos.simulator().clear_requests();
    for (flow, verifier, state, error) in [
        (flow, None, None, "code_verifier_required"),
        (flow, None, Some(&pending.state), "code_verifier_required"),
        (flow, Some(&other.verifier), Some(&pending.state), "bad_code_verifier"),
        (flow, Some(&pending.verifier), Some(&other.state), "bad_code_verifier"),
        (flow, Some(&other.verifier), Some(&other.state), "flow_state_not_found"),
        (other_flow, Some(&pending.verifier), Some(&pending.state), "flow_state_not_found"),
        (Uuid::nil(), Some(&pending.verifier), Some(&pending.state), "flow_state_not_found"),
    ] {
        case!(flow, error);
        refused(select(&app, flow, "org_acme", verifier.map(String::as_str), state.map(String::as_str)).await, error);
    }
    for organization in ["org_initech", "", "ORG_ACME"] {
        let error = refused(select_as(&app, &(pending.clone(), flow), organization).await, "validation_failed");
        assert!(error.detail.contains("organization") && error.detail.contains("org_acme, org_globex"), "{error}");
    }
    let nothing: (Option<Uuid>, Option<&str>) = (None, None);
    let sql = "select auth.select_organization($1, $2, $3, $4)";
    refused(app.query_one(sql, &[&nothing.0, &"org_acme", &pending.verifier, &pending.state]).await, "null_value");
    refused(app.query_one(sql, &[&flow, &nothing.1, &pending.verifier, &pending.state]).await, "null_value");
    let nobody = bed.connect(&bed.role("nobody", "").await).await;
    assert_eq!(refusal(select_as(&nobody, &(pending.clone(), flow), "org_acme").await).sqlstate, "42501");
    assert_eq!(grants(&bed), Vec::<String>::new());
    // The verifier alone is enough; without a challenge, the state is.
    select(&app, flow, "org_acme", Some(&pending.verifier), None).await.unwrap();
    let pending = come_back_implicitly(&app, AUTHKIT, EMAIL).await;
    let sql = "select flow_id from auth.try_exchange_code($1, null, $2)";
    let flow = app.query_one(sql, &[&pending.code, &pending.state]).await.unwrap().get(0);
    refused(select(&app, flow, "org_acme", None, None).await, "code_verifier_required");
    refused(select(&app, flow, "org_acme", None, Some(&other.state)).await, "code_verifier_required");
    select(&app, flow, "org_acme", None, Some(&pending.state)).await.unwrap();
}

#[tokio::test]
async fn what_workos_says_to_the_answer() {
    let (bed, app, user) = bed("answers").await;
    let waiting = asked(&app).await;
    // No answer spends nothing.
    for (fault, error) in [
        (FaultKind::Status { code: 503, body: None }, "workos_unavailable"),
        (FaultKind::RateLimited { retry_after: None }, "workos_rate_limited"),
    ] {
        bed.fault_once(fault);
        refused(select_as(&app, &waiting, "org_acme").await, error);
    }
    for (code, body, error) in [
        (400, json!({"error": "organization_membership_not_found", "error_description": EMAIL}), "authkit_refused"),
        (400, json!({"error": "sso_required", "error_description": EMAIL}), "sso_required"),
        (403, json!({"code": "mfa_enrollment", "message": EMAIL}), "authkit_step_required"),
    ] {
        bed.fault_once(FaultKind::Status { code, body: Some(body) });
        let refusal = refused(select_as(&app, &waiting, "org_acme").await, error);
        assert!(!refusal.to_string().contains(EMAIL), "{refusal}");
    }
    for (answer, claims, error) in [
        (json!({"organization_id": "org_globex"}), json!({"org_id": "org_globex"}), "organization_mismatch"),
        (json!({"organization_id": null}), json!({"org_id": null}), "organization_mismatch"),
        (json!({}), json!({"client_id": "client_another"}), "workos_answer_malformed"),
    ] {
        let waiting = asked(&app).await;
        bed.answer_once(&answer, &claims);
        refused(select_as(&app, &waiting, "org_acme").await, error);
        // WorkOS has taken the answer.
        let again = refused(select_as(&app, &waiting, "org_acme").await, "workos_invalid_grant");
        assert!(again.hint.contains("auth.start_sign_in"), "{again}");
    }
    // The membership that was named is gone.
    let leaving = asked(&app).await;
    select_as(&app, &waiting, "org_acme").await.unwrap();
    bed.happens(json!({ "delete_user": { "id": user } }));
    assert_eq!(refusal(select_as(&app, &leaving, "org_acme").await).sqlstate, "WA305");
    let log = bed.log();
    assert!(!log.contains(&waiting.0.verifier) && log.contains(&leaving.1.to_string()), "the log names the flow");
}

#[tokio::test]
async fn it_does_not_wait_for_ever_and_not_for_another_workos() {
    let (bed, app, _) = bed("waits").await;
    let waiting = asked(&app).await;
    let late = asked(&app).await;
    let expire = "update auth.flow_states set expires_at = now() - interval '1 second' where id = $1";
    bed.superuser().await.execute(expire, &[&late.1]).await.unwrap();
    refused(select_as(&app, &late, "org_acme").await, "flow_state_expired");
    let rights = "select has_table_privilege($1, 'auth.flow_states', 'select')";
    let role: bool = bed.admin.query_one(rights, &[&bed.role("reader", "").await]).await.unwrap().get(0);
    assert!(!role);
    // Sealed to its row.
    let other = asked(&app).await;
    let swap = "update auth.flow_states set pending_token = (select pending_token from auth.flow_states where id = $1) where id = $2";
    bed.superuser().await.execute(swap, &[&other.1, &waiting.1]).await.unwrap();
    refused(select_as(&app, &waiting, "org_acme").await, "seal_broken");
    let off = configure_authkit(&format!(", api_url => '{}', product => 'sso'", bed.workos.url()));
    bed.admin.batch_execute(&off).await.unwrap();
    refused(select_as(&app, &other, "org_acme").await, "authkit_not_configured");
}

#[tokio::test]
async fn however_many_answer_workos_sees_one() {
    let (bed, app, _) = bed("race").await;
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(bed.backend().await);
    }
    for delay in [0, 100] {
        bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
        let waiting = asked(&app).await;
        bed.workos.simulator().clear_requests();
        if delay > 0 {
            bed.workos.simulator().set_fault(Fault::authenticate(FaultKind::Delay { ms: delay }).times(1)).unwrap();
        }
        let results = join_all(clients.iter().map(|client| select_as(client, &waiting, "org_acme"))).await;
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 11));
        for result in lost {
            let refusal = refusal(result);
            assert!(["WA207", "WA201"].contains(&refusal.sqlstate.as_str()), "{refusal}");
        }
        assert_eq!(grants(&bed).len(), 1);
        assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
    }
    // A transaction that rolls back gives the sign-in free, and WorkOS's answer is spent.
    let waiting = asked(&app).await;
    let mut client = bed.backend().await;
    let transaction = client.transaction().await.unwrap();
    let sql = "select * from auth.select_organization($1, 'org_acme', $2)";
    transaction.query_one(sql, &[&waiting.1, &waiting.0.verifier]).await.unwrap();
    transaction.rollback().await.unwrap();
    refused(select_as(&app, &waiting, "org_acme").await, "workos_invalid_grant");
}
