//! Login with WorkOS, done by the database: axum and tokio-postgres.
//!
//! ```text
//! psql -f ../schema.sql       and auth.configure_workos(redirect_uri => 'http://127.0.0.1:3000/callback', …)
//! DATABASE_URL=postgres://app@localhost/app cargo run
//! ```
//! `PUBLIC_URL` is the address that browsers use, if it is another: `https://app.example.com`.

#![forbid(unsafe_code)]

mod cookies;
mod page;
mod refusal;

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::SystemTime;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use deadpool_postgres::{Client, Manager, Pool, Transaction};
use serde::{Deserialize, Serialize};
use tokio_postgres::{NoTls, Row};

use cookies::{flow_cookie, refresh_cookie, removal, session_cookie, until};
use refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let manager = Manager::new(env::var("DATABASE_URL")?.parse()?, NoTls);
    let pool = Pool::builder(manager).max_size(10).build()?;
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned()).parse()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let app = Router::new()
        .route("/", get(home))
        .route("/logout", post(logout))
        .route("/todos", get(read_todos).post(add_todo))
        .layer(middleware::from_fn_with_state(pool.clone(), refresh))
        // Who is about to sign in needs no session.
        .route("/login", get(login))
        .route("/callback", get(callback))
        .with_state(pool);
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

// ANCHOR: as-user
/// One transaction as the person whose token it is: rolled back when dropped, so commit it. The next user of the pooled
/// connection finds neither role nor session: both end with the transaction.
async fn as_user<'a>(db: &'a mut Client, jar: &CookieJar) -> Result<Transaction<'a>> {
    let token = access_token(jar).ok_or_else(nobody)?;
    let transaction = db.transaction().await?;
    transaction.batch_execute("set local role authenticated").await?;
    transaction.execute("select auth.set_session($1)", &[&token]).await?;
    Ok(transaction)
}
// ANCHOR_END: as-user

// ANCHOR: refresh
/// A browser drops the cookie of an access token when the token expires. The refresh token then gets the next one.
async fn refresh(
    State(pool): State<Pool>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    jar: CookieJar,
    mut request: Request,
    next: Next,
) -> Result<Response> {
    let (None, Some(token)) = (jar.get("session"), jar.get("refresh")) else { return Ok(next.run(request).await) };
    let renew = "select * from auth.refresh_session(refresh_token => $1, ip => $2, user_agent => $3)";
    let agent = user_agent(request.headers());
    let session = pool.get().await?.query_one(renew, &[&token.value(), &client.ip(), &agent]).await.map_err(refused)?;
    let cookie = format!("session={}", session.get::<_, &str>("access_token"));
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        request.headers_mut().append(header::COOKIE, cookie);
    }
    let response = next.run(request).await;
    let sets_session = |value: &HeaderValue| value.as_bytes().starts_with(b"session=");
    if response.headers().get_all(header::SET_COOKIE).iter().any(sets_session) {
        return Ok(response); // it has signed the person in or out
    }
    Ok((keep(CookieJar::new(), &session), response).into_response())
}

/// The person signs in again. Trouble passes, and so does WA207, of tabs that refresh at the same time.
fn refused(error: tokio_postgres::Error) -> Refusal {
    let is_conflict = error.code().is_some_and(|code| code.code() == "WA207");
    let refusal = Refusal::from(error);
    if is_conflict { refusal } else { refusal.ending_the_session() }
}

/// Both tokens of a sign-in or a refresh take the place of those before.
fn keep(jar: CookieJar, session: &Row) -> CookieJar {
    let access = until(session_cookie(session.get("access_token")), session.get::<_, SystemTime>("expires_at"));
    jar.add(access).add(refresh_cookie(session.get("refresh_token")))
}
// ANCHOR_END: refresh

fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn access_token(jar: &CookieJar) -> Option<&str> {
    jar.get("session").map(Cookie::value)
}

fn nobody() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "Nobody is signed in.")
}

async fn home(State(pool): State<Pool>, jar: CookieJar) -> Result<Html<String>> {
    if jar.get("session").is_none() {
        return Ok(page::page(page::sign_in_links()));
    }
    let mut db = pool.get().await?;
    let db = as_user(&mut db, &jar).await?;
    let me = db.query_one("select auth.email(), auth.organization_id()", &[]).await?;
    let todos = db.query("select title from todos order by id", &[]).await?;
    db.commit().await?;
    let todos = todos.iter().map(|row| row.get(0)).collect();
    Ok(page::page(page::todos(me.get(0), me.get(1), todos)))
}

// ANCHOR: login
#[derive(Deserialize)]
struct Login {
    organization: Option<String>,
    redirect_to: Option<String>,
}

async fn login(State(pool): State<Pool>, jar: CookieJar, Query(ask): Query<Login>) -> Result<(CookieJar, Redirect)> {
    let start = "select * from auth.start_sign_in(organization => $1, redirect_to => $2)";
    let flow = pool.get().await?.query_one(start, &[&ask.organization, &ask.redirect_to]).await?;
    let cookie = flow_cookie(flow.get("state"), flow.get("code_verifier"));
    Ok((jar.add(cookie), Redirect::to(flow.get("url"))))
}
// ANCHOR_END: login

// ANCHOR: callback
#[derive(Deserialize)]
struct Callback {
    code: Option<String>,
    #[serde(default)]
    state: String,
    error: Option<String>,
    #[serde(default)]
    error_description: String,
}

async fn callback(
    State(pool): State<Pool>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    jar: CookieJar,
    Query(answer): Query<Callback>,
) -> Result<(CookieJar, Redirect)> {
    // Only the browser that began a sign-in may finish it; nobody else can even make this page say something.
    let flow = flow_cookie(&answer.state, "");
    let kept = jar.get(flow.name()).and_then(|cookie| cookie.value().split_once('.'));
    let Some((_, verifier)) = kept.filter(|(state, _)| *state == answer.state) else {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "This sign-in was not begun in this browser, or it is over.",
        ));
    };
    if let Some(error) = answer.error {
        let message = format!("WorkOS says {error}: {}", answer.error_description);
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message).with_cookie(removal(flow)));
    }
    let exchange = "select access_token, refresh_token, expires_at, redirect_to
        from auth.exchange_code(code => $1, verifier => $2, state => $3, ip => $4, user_agent => $5)";
    let agent = user_agent(&headers);
    let db = pool.get().await?;
    let session = db.query_one(exchange, &[&answer.code, &verifier, &answer.state, &client.ip(), &agent]).await?;
    // Checked against auth.redirect_urls when the sign-in began.
    let target: Option<&str> = session.get("redirect_to");
    Ok((keep(jar.add(removal(flow)), &session), Redirect::to(target.unwrap_or("/"))))
}
// ANCHOR_END: callback

async fn logout(State(pool): State<Pool>, jar: CookieJar) -> Result<(CookieJar, Redirect)> {
    // Everywhere; 'local' as a second argument for here only.
    let token = access_token(&jar).ok_or_else(nobody)?;
    pool.get().await?.execute("select auth.sign_out($1)", &[&token]).await?;
    Ok((jar.add(removal(session_cookie(""))).add(removal(refresh_cookie(""))), Redirect::to("/")))
}

#[derive(Serialize)]
struct Todo {
    id: i64,
    title: String,
}

async fn read_todos(State(pool): State<Pool>, jar: CookieJar) -> Result<Json<Vec<Todo>>> {
    let mut db = pool.get().await?;
    let db = as_user(&mut db, &jar).await?;
    let rows = db.query("select id, title from todos order by id", &[]).await?;
    db.commit().await?;
    Ok(Json(rows.iter().map(|row| Todo { id: row.get(0), title: row.get(1) }).collect()))
}

#[derive(Deserialize)]
struct NewTodo {
    title: String,
}

async fn add_todo(State(pool): State<Pool>, jar: CookieJar, Form(todo): Form<NewTodo>) -> Result<Redirect> {
    let mut db = pool.get().await?;
    let db = as_user(&mut db, &jar).await?;
    db.execute("insert into todos (title) values ($1)", &[&todo.title]).await?;
    db.commit().await?;
    Ok(Redirect::to("/"))
}
