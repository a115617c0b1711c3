//! What the tests of a database in trouble share.

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_postgres::Client;

use super::{Gateway, PATIENCE, Program, eventually};

pub async fn send(request: RequestBuilder) -> Response {
    timeout(PATIENCE, request.send()).await.unwrap().unwrap()
}

pub async fn refresh(gateway: &Program, session: &Value) -> Response {
    timeout(PATIENCE, gateway.refresh(&session["refresh_token"])).await.unwrap()
}

/// Waits until one of the gateway's backends waits for something: a type of `pg_stat_activity`.
pub async fn until_it_waits(admin: &Client, role: &str, wait_event_type: &str) {
    let sql = "select count(*) from pg_stat_activity where usename = $1 and wait_event_type = $2";
    let waits = async || admin.query_one(sql, &[&role, &wait_event_type]).await.unwrap().get::<_, i64>(0) > 0;
    eventually(wait_event_type, waits).await;
}

/// As an administrator does, or a failover.
pub async fn end_backends(gateway: &Gateway) {
    let sql = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity where usename = $1";
    gateway.bed.admin.query_one(sql, &[&gateway.role]).await.unwrap();
}

/// Nobody is told where the database is, nor as whom it is asked.
pub async fn unavailable(answer: Response, what: &str) {
    let headers = answer.headers().clone();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {status} {text}"));
    let said = (&body["code"], &body["error_code"], &body["msg"]);
    assert_eq!(said, (&json!(503), &json!("unexpected_failure"), &json!("The database is not available")), "{what}");
    assert_eq!((status, &headers["x-sb-error-code"]), (503, &"unexpected_failure".parse().unwrap()), "{what}");
    assert_eq!(
        (&headers["cache-control"], &body["error_id"]),
        (&"no-store".parse().unwrap(), &json!(headers["x-request-id"].to_str().unwrap())),
        "{what}"
    );
}

pub async fn is_ready(gateway: &Program) -> bool {
    send(gateway.get("/ready")).await.status() == 200
}
