//! From AuthKit's code to a session.

use serde_json::json;
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back, sign_in};
use workos_end_to_end::bed::{Bed, Pending, exchange, set_session, start_with};
use workos_end_to_end::sql::{lines, refused, text};
use workos_simulator::{Change, Role};
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET};

#[tokio::test]
async fn a_member_of_one_organization_is_signed_in_there() {
    let bed = Bed::shared("flow").await;
    let app = bed.with_authkit().await;
    let role = Role { organization: None, slug: "member".into(), permissions: vec!["todos:read".into()] };
    bed.workos.simulator().change(Change::CreateRole(role)).unwrap();
    let user = bed.person("Ann@Acme.com", &["org_acme"]);
    bed.workos.simulator().clear_requests();

    let session = sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap();
    assert_eq!((session.email.as_str(), session.is_new_user), ("ann@acme.com", true));
    assert_eq!((session.organization_id.as_deref(), session.provider_token), (Some("org_acme"), None));
    for (name, value) in [
        ("org_id", json!("org_acme")),
        ("org_role", json!("member")),
        ("org_roles", json!(["member"])),
        ("permissions", json!(["todos:read"])),
        ("role", json!("authenticated")),
        ("email", json!("ann@acme.com")),
        ("app_metadata", json!({"provider": "authkit", "providers": ["authkit"]})),
    ] {
        assert_eq!(session.claims[name], value, "{name}");
    }
    assert_eq!(session.claims.get("connection_id"), None);
    let identity =
        "select concat_ws(' ', provider, provider_id, coalesce(organization_id, '-'), email) from auth.identities";
    assert_eq!(text(&bed.admin, identity).await.unwrap(), Some(format!("authkit {user} - ann@acme.com")));

    app.batch_execute("begin").await.unwrap();
    set_session(&app, &session.access_token, true).await.unwrap();
    let sql = "select auth.uid(), auth.organization_id(), auth.has_permission('todos:read', 'org_acme')";
    let row = app.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, uuid::Uuid>(0), row.get::<_, &str>(1), row.get(2)), (session.user_id, "org_acme", true));
    app.batch_execute("commit").await.unwrap();

    let requests = bed.workos.simulator().requests();
    let paths: Vec<_> = requests.iter().map(|request| (request.method.as_str(), request.path.as_str())).collect();
    assert_eq!(paths, [("GET", "/user_management/authorize"), ("POST", "/user_management/authenticate")]);
    let sent = &requests[1];
    assert_eq!(sent.content_type.as_deref(), Some("application/json"));
    let mut fields = sent.fields.clone();
    fields.retain(|(name, _)| name != "code" && name != "code_verifier");
    let expected = [("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET), ("grant_type", "authorization_code")];
    assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(sent.fields.len(), 5);
}

#[tokio::test]
async fn a_code_is_good_once_and_with_its_own_verifier() {
    let bed = Bed::shared("codes").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &[]);
    let pending = come_back(&app, "ann@acme.com").await;
    let session = exchange(&app, &pending).await.unwrap();
    assert_eq!(session.organization_id, None);
    refused(exchange(&app, &pending).await, "flow_state_not_found");
    let next = come_back(&app, "ann@acme.com").await;
    let used = Pending { code: pending.code.clone(), ..next.clone() };
    refused(exchange(&app, &used).await, "workos_invalid_grant");
    // WorkOS's own check of the verifier that it was promised.
    let other = come_back(&app, "ann@acme.com").await;
    refused(exchange(&app, &Pending { code: other.code.clone(), ..next.clone() }).await, "workos_invalid_grant");
    // A code of single sign-on is none of AuthKit's.
    let sso = start_with(&app, "organization => 'org_acme'", "alice@acme.com").await;
    refused(exchange(&app, &Pending { code: sso.code.clone(), ..next.clone() }).await, "workos_invalid_grant");
    exchange(&app, &next).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_asked_for_signs_nobody_in() {
    let bed = Bed::shared("asked").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    let globex = json!("org_globex");
    for (answer, claims, name) in [
        (json!({"organization_id": globex}), json!({"org_id": globex}), "organization_mismatch"),
        (json!({"organization_id": null}), json!({"org_id": null}), "organization_mismatch"),
        (json!({"organization_id": globex}), json!({}), "workos_answer_malformed"),
        (json!({}), json!({"org_id": globex}), "workos_answer_malformed"),
        (json!({}), json!({"sub": "user_another"}), "workos_answer_malformed"),
        (json!({}), json!({"client_id": "client_another"}), "workos_answer_malformed"),
        (json!({}), json!({"sid": null}), "workos_answer_malformed"),
        (json!({}), json!({"sub_profile": "agent"}), "workos_answer_malformed"),
        (json!({"access_token": null}), json!({}), "workos_answer_malformed"),
        (json!({"user": null}), json!({}), "workos_answer_malformed"),
        (json!({"user": {"email": null}}), json!({}), "workos_profile_incomplete"),
    ] {
        bed.answer_once(&answer, &claims);
        refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, name);
    }
    let nobody = "select (select count(*) from auth.users) + (select count(*) from auth.sessions)";
    assert_eq!(text(&bed.admin, nobody).await.unwrap().as_deref(), Some("0"));
    sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    assert_eq!(lines(&bed.admin, "select id from auth.organizations").await.unwrap(), ["org_acme"]);
}
