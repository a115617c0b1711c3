//! What a session of AuthKit's says: when and how the person signed in, who acts, and which session it is at WorkOS.

use serde_json::json;
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, sign_in};
use workos_end_to_end::bed::{Bed, refresh};
use workos_end_to_end::sql::{lines, refused, text};
use workos_simulator::{Change, ConnectionState};

#[tokio::test]
async fn it_knows_which_session_of_workos_it_began_with() {
    let bed = Bed::shared("sid").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &[]);
    let session = sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap();
    let events = bed.workos.simulator().events();
    let created = events.iter().find(|event| event["event"] == "session.created").unwrap();
    let row = bed
        .admin
        .query_one("select authkit_session_id from auth.sessions where id = $1", &[&session.session_id])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), created["data"]["id"].as_str().unwrap());
}

#[tokio::test]
async fn a_session_that_went_on_in_the_browser_is_no_new_sign_in() {
    let bed = Bed::shared("auth_time").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &[]);
    bed.answer_once(&json!({"authentication_method": "Passkey"}), &json!({"auth_time": 1_700_000_000}));
    let session = sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap();
    assert_eq!(session.claims["auth_time"], 1_700_000_000);
    assert_eq!(session.claims["amr"], json!([{"method": "webauthn", "timestamp": 1_700_000_000}]));
    // A refresh is none either.
    let refreshed = refresh(&app, &session.refresh_token).await.unwrap();
    assert_eq!(refreshed.claims["auth_time"], 1_700_000_000);
    // WorkOS's clock does not date it into the future, and what is not said is now.
    for claims in [json!({"auth_time": 4_000_000_000_i64}), json!({"auth_time": null})] {
        bed.answer_once(&json!({}), &claims);
        let session = sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap();
        assert_eq!(session.claims["auth_time"], session.claims["iat"], "{claims}");
    }
}

#[tokio::test]
async fn whoever_acts_as_somebody_is_told_from_them() {
    let bed = Bed::shared("acts").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    for (answer, claims, reason) in [
        (json!({"impersonator": {"email": "sue@example.com", "reason": "case 7"}}), json!({}), "case 7"),
        (json!({}), json!({"act": {"sub": "sue@example.com"}}), "-"),
    ] {
        bed.answer_once(&answer, &claims);
        let sql = "select access_token, refresh_token, claims, expires_at from auth.exchange_code($1, $2, $3)";
        let pending = workos_end_to_end::authkit::come_back(&app, "ann@acme.com").await;
        let row = app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
        assert_eq!(row.get::<_, Option<&str>>(1), None, "no refresh token");
        assert_eq!(row.get::<_, serde_json::Value>(2)["act"], json!({"sub": "sue@example.com"}));
        let said = "select concat_ws(' ', payload ->> 'actor', coalesce(payload ->> 'reason', '-')) from auth.audit_log_entries
            where action = 'session_impersonated' order by created_at desc limit 1";
        assert_eq!(text(&bed.admin, said).await.unwrap(), Some(format!("sue@example.com {reason}")));
    }
    let longest = "select max(not_after - created_at) <= interval '1 hour' from auth.sessions where actor is not null";
    assert_eq!(text(&bed.admin, longest).await.unwrap().as_deref(), Some("t"));
}

#[tokio::test]
async fn an_organization_that_requires_single_sign_on_takes_nothing_else() {
    let bed = Bed::shared("sso").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    bed.admin.batch_execute("select auth.require_sso('org_acme')").await.unwrap();
    for method in ["Password", "GoogleOAuth", "MagicAuth"] {
        bed.answer_once(&json!({"authentication_method": method}), &json!({}));
        refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, "sso_required");
    }
    let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    refresh(&app, &session.refresh_token).await.unwrap();
    // Where WorkOS has nothing but passwords left, nobody comes in.
    let state = Change::SetConnectionState { id: "conn_acme".into(), state: ConnectionState::Inactive };
    bed.workos.simulator().change(state).unwrap();
    refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, "sso_required");
    let refusals = "select distinct payload ->> 'method' from auth.audit_log_entries where action = 'login'";
    assert_eq!(lines(&bed.admin, refusals).await.unwrap().len(), 1);
}

/// A sign-in that is not committed when single sign-on is required.
#[tokio::test]
async fn a_sign_in_without_single_sign_on_that_comes_first_ends() {
    let bed = Bed::shared("first").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    bed.answer_once(&json!({"authentication_method": "Password"}), &json!({}));
    let mut backend = bed.superuser().await;
    let transaction = backend.transaction().await.unwrap();
    sign_in(&transaction, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let admin = bed.superuser().await;
    let committing = async {
        bed.until_waiting(1).await;
        transaction.commit().await.unwrap();
    };
    let (required, ()) = tokio::join!(admin.batch_execute("select auth.require_sso('org_acme')"), committing);
    required.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
}
