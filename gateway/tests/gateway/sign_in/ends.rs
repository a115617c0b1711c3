//! How a session ends, as clients are told of it: a sign-out is one whatever has become of the token, and nothing else looks like the end.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tokio::time::sleep;
use workos_end_to_end::{ALICE, ANNA, Bed};

use crate::common::{Gateway, REFRESH, database_port, ok, send, token, told};

/// A gateway whose connections all have the settings: what ALTER DATABASE says counts for connections made later.
async fn start_with(database: &str, settings: &[(&str, &str)]) -> Gateway {
    let bed = Bed::shared(database).await;
    for (setting, value) in settings {
        bed.set(setting, value).await;
    }
    let port = database_port(&bed);
    Gateway::start_through(bed, port, &[]).await
}

async fn log_out(gateway: &Gateway, session: &Value, scope: &str) -> Response {
    send(gateway.http.post(gateway.at(&format!("/logout?scope={scope}"))).bearer_auth(token(session))).await
}

async fn run(gateway: &Gateway, sql: &str) {
    gateway.bed.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

const STALE: &str = "update auth.sessions set claims_version = claims_version + 1";
const BANNED: &str = "update auth.users set banned_until = now() + interval '1 hour'";

#[tokio::test]
async fn a_sign_out_ends_the_session_of_a_stale_token_and_of_somebody_who_is_banned() {
    let gateway = Gateway::start("ends_stale", &[]).await;
    for (i, change) in [STALE, BANNED].iter().enumerate() {
        for scope in ["local", "global", "others"] {
            let (one, other) = (gateway.sign_in(ALICE).await, gateway.sign_in(ALICE).await);
            run(&gateway, change).await;
            assert_eq!(log_out(&gateway, &one, scope).await.status(), 204, "{i} {scope}");
            run(&gateway, "update auth.users set banned_until = null").await;
            let one_lives = gateway.refresh(&one["refresh_token"]).await.status().is_success();
            let other_lives = gateway.refresh(&other["refresh_token"]).await.status().is_success();
            assert_eq!((one_lives, other_lives), (scope == "others", scope == "local"), "{i} {scope}");
            run(&gateway, "delete from auth.sessions").await;
        }
    }
}

#[tokio::test]
async fn a_sign_out_ends_the_session_of_an_expired_token() {
    let gateway = start_with("ends_expired", &[("workos_auth.access_token_ttl", "1s")]).await;
    let session = gateway.sign_in(ALICE).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(told(gateway.user(&session).await).await, (401, "bad_jwt".into()));
    assert_eq!(log_out(&gateway, &session, "local").await.status(), 204);
    assert_eq!(told(gateway.refresh(&session["refresh_token"]).await).await, (400, "refresh_token_not_found".into()));
    // It is out already.
    assert_eq!(told(log_out(&gateway, &session, "local").await).await, (401, "session_not_found".into()));
}

#[tokio::test]
async fn nobody_is_signed_out_by_a_token_that_is_not_good() {
    let gateway = Gateway::start("ends_forged", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let (signed, signature) = token(&session).rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    for forged in ["x".to_owned(), format!("{signed}.{first}{}", &signature[1..]), format!("{signed}.")] {
        let answer = log_out(&gateway, &json!({ "access_token": forged }), "global").await;
        assert_eq!(told(answer).await, (401, "bad_jwt".into()), "{forged}");
    }
    ok(gateway.user(&session).await).await;
}

#[tokio::test]
async fn a_stale_token_is_good_for_ones_own_account() {
    let gateway = Gateway::start("ends_user", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    run(&gateway, STALE).await;
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
    let put = gateway.http.put(gateway.at("/user")).bearer_auth(token(&session)).json(&json!({ "data": { "a": 1 } }));
    assert_eq!(ok(send(put).await).await["user_metadata"]["a"], 1);
    // What acts as the person is told, and a refresh mends it.
    let act = "select auth.verify_token($1)";
    assert!(gateway.bed.superuser().await.query_one(act, &[&token(&session)]).await.is_err());
    let fresh = ok(gateway.refresh(&session["refresh_token"]).await).await;
    gateway.bed.superuser().await.query_one(act, &[&token(&fresh)]).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_session_has_supabases_name() {
    let settings = [("workos_auth.session_idle_timeout", "1h"), ("workos_auth.single_session_per_user", "on")];
    let gateway = start_with("ends_names", &settings).await;
    let expired = "session_expired";
    let gone = "refresh_token_not_found";
    for (end, name) in [
        (
            "update auth.sessions set created_at = now() - interval '2 hours', refreshed_at = now() - interval '2 hours'",
            expired,
        ),
        ("update auth.sessions set not_after = now() - interval '1 s'", expired),
        ("update auth.sessions set refresh_token_counter = 9223372036854775807", "refresh_token_already_used"),
        ("update auth.users set deleted_at = now()", gone),
        ("delete from auth.sessions", gone),
    ] {
        let session = gateway.sign_in(ALICE).await;
        run(&gateway, end).await;
        assert_eq!(told(gateway.refresh(&session["refresh_token"]).await).await, (400, name.into()), "{end}");
        run(&gateway, "update auth.users set deleted_at = null; delete from auth.sessions").await;
    }
    let older = gateway.sign_in(ALICE).await;
    gateway.sign_in(ALICE).await;
    assert_eq!(told(gateway.refresh(&older["refresh_token"]).await).await, (400, expired.into()));
    // What another server made, and what no server did.
    for foreign in ["vzUYnXkzQ1ZnR0rZ", "x", &"A".repeat(60), &"A".repeat(61), "a\0b"] {
        let answer = send(gateway.post(REFRESH, &json!({ "refresh_token": foreign }))).await;
        assert_eq!(told(answer).await, (400, gone.into()), "{foreign:?}");
    }
}

#[tokio::test]
async fn a_refresh_that_may_be_tried_again_is_not_the_end() {
    let gateway = Gateway::start("ends_conflict", &[]).await;
    let first = gateway.sign_in(ANNA).await;
    let second = ok(gateway.refresh(&first["refresh_token"]).await).await;
    let third = ok(gateway.refresh(&second["refresh_token"]).await).await;
    // Replaced twice a moment ago, and while the client tries again.
    for ago in ["0 s", "12 s", "35 s"] {
        run(&gateway, &format!("update auth.sessions set refreshed_at = now() - interval '{ago}'")).await;
        assert_eq!(told(gateway.refresh(&first["refresh_token"]).await).await, (503, "conflict".into()), "{ago}");
    }
    ok(gateway.user(&third).await).await;
    ok(gateway.refresh(&third["refresh_token"]).await).await;
}
