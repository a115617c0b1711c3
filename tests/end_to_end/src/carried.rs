//! A broker: what carries the request to WorkOS, and its answer, for a database that may not talk to the outside.

use reqwest::Client as Http;
use serde_json::{Map, Value};
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Error, GenericClient, Row};
use uuid::Uuid;

use crate::bed::{Bed, Pending, Session};
use crate::brokered::Landing;

/// What the database has a broker ask WorkOS.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of auth.exchange_request")]
pub struct Request {
    pub exchange_id: Uuid,
    pub url: String,
    pub headers: Value,
    pub body: String,
    pub json_body: String,
}

/// What WorkOS answered, or the name of the error where it did not.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "the arguments of auth.exchange_answer")]
pub struct Answer {
    pub status: Option<i32>,
    pub headers: Option<Value>,
    pub body: Option<String>,
    pub failure: Option<String>,
}

impl Bed<'_> {
    /// A connection of a role that may sign people in and broker.
    pub async fn broker(&self) -> Client {
        let role = format!("{}_broker", self.database);
        let sql = format!(
            "do $$ begin if to_regrole('{role}') is null then create role {role} login; end if; end $$;
             select auth.grant_sign_in('{role}'), auth.grant_broker('{role}')"
        );
        self.admin.batch_execute(&sql).await.unwrap();
        self.connect(&role).await
    }
}

/// `auth.exchange_request`
///
/// # Errors
/// What the server said.
pub async fn exchange_request(client: &impl GenericClient, pending: &Pending) -> Result<Request, Error> {
    let sql = "select * from auth.exchange_request($1, $2, $3)";
    client.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.map(|row| request(&row))
}

/// `auth.callback_request`: where the browser goes, or what WorkOS is to be asked.
///
/// # Errors
/// What the server said.
pub async fn callback_request(
    client: &impl GenericClient,
    pending: &Pending,
) -> Result<Result<Request, Landing>, Error> {
    let row = client.query_one("select * from auth.callback_request($1, $2)", &[&pending.code, &pending.state]).await?;
    Ok(match row.get::<_, Option<String>>("redirect_to") {
        Some(url) => Err(Landing(url)),
        None => Ok(request(&row)),
    })
}

fn request(row: &Row) -> Request {
    Request {
        exchange_id: row.get("exchange_id"),
        url: row.get("url"),
        headers: row.get("headers"),
        body: row.get("body"),
        json_body: row.get("json_body"),
    }
}

/// `auth.exchange_answer`
///
/// # Errors
/// What the server said.
pub async fn exchange_answer(client: &impl GenericClient, exchange: Uuid, answer: &Answer) -> Result<Session, Error> {
    let sql = "select * from auth.exchange_answer($1, $2, $3, $4, $5)";
    let headers = answer.headers.as_ref().map(Json);
    let row = client.query_one(sql, &[&exchange, &answer.status, &headers, &answer.body, &answer.failure]).await?;
    Ok(Session::from(&row))
}

/// `auth.callback_answer`
///
/// # Errors
/// What the server said.
pub async fn callback_answer(client: &impl GenericClient, exchange: Uuid, answer: &Answer) -> Result<Landing, Error> {
    let sql = "select auth.callback_answer($1, $2, $3, $4, $5)";
    let headers = answer.headers.as_ref().map(Json);
    let row = client.query_one(sql, &[&exchange, &answer.status, &headers, &answer.body, &answer.failure]).await?;
    Ok(Landing(row.get(0)))
}

/// Asks WorkOS, as the database would: once more as JSON where it reads no forms.
pub async fn ask(request: &Request) -> Answer {
    let answer = post(request, &request.body, None).await;
    let reads_no_form = answer.body.as_deref().is_some_and(|body| body.contains("invalid_request_body"));
    if reads_no_form { post(request, &request.json_body, Some("application/json")).await } else { answer }
}

async fn post(request: &Request, body: &str, content_type: Option<&str>) -> Answer {
    let mut post = Http::builder().no_proxy().build().unwrap().post(&request.url).body(body.to_owned());
    for (name, value) in request.headers.as_object().unwrap() {
        let value = content_type.filter(|_| name == "content-type").or(value.as_str()).unwrap();
        post = post.header(name, value);
    }
    let answer = post.send().await.unwrap();
    let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().into())
    };
    let headers: Map<String, Value> = answer.headers().iter().map(header).collect();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    Answer {
        status: Some(status.into()),
        headers: Some(headers.into()),
        body: String::from_utf8(body.into()).ok(),
        failure: None,
    }
}

/// The whole exchange.
///
/// # Errors
/// What the server said.
pub async fn exchange_by_broker(client: &impl GenericClient, pending: &Pending) -> Result<Session, Error> {
    let request = exchange_request(client, pending).await?;
    exchange_answer(client, request.exchange_id, &ask(&request).await).await
}

/// The whole callback.
///
/// # Errors
/// What the server said.
pub async fn callback_by_broker(client: &impl GenericClient, pending: &Pending) -> Result<Landing, Error> {
    match callback_request(client, pending).await? {
        Err(landing) => Ok(landing),
        Ok(request) => callback_answer(client, request.exchange_id, &ask(&request).await).await,
    }
}
