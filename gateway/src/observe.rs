//! Around every request: its id, its time limit, its log line, its figures, and the form of its errors.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::field::display;
use uuid::Uuid;

use crate::about::About;
use crate::address::{Address, Peer, client, is_trusted};
use crate::app::App;
use crate::error::ApiError;
use crate::json::{drain, too_large};
use crate::page;
use crate::places::Seat;

/// Where a request's id stands, in it and in its answer.
const REQUEST_ID: &str = "x-request-id";
/// Where proxies write whom a request comes from.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The longest id that is taken over from a proxy.
const LONGEST_ID: usize = 64;

/// The outermost layer.
pub async fn observe(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let _in_flight = app.metrics.begin();
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip());
    let address = client(peer, request.headers(), &app.config.trusted_proxies);
    warn_of_proxy(&app, peer, request.headers());
    let id = request_id(&app, peer, request.headers());
    request.extensions_mut().insert(Address(address));

    let endpoint = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("other", |path| path.as_str().strip_prefix(app.config.path()).unwrap_or(path.as_str()))
        .to_owned();
    let method = request.method().clone();
    let headers = request.headers().clone();
    let wants_page = page::is_wanted(&endpoint, request.uri().query(), &headers);

    let mut response = match app.limits.at_once.enter(address) {
        Ok(under_way) => {
            if let Some(seat) = request.extensions().get::<Arc<Seat>>() {
                seat.counted(under_way);
            }
            answer(&app, request, next).await
        }
        Err(refusal) => *refusal,
    };
    let error = response.extensions_mut().remove::<ApiError>();
    let about = response.extensions_mut().remove::<About>().unwrap_or_default();
    let error = if endpoint == "/token" { error.map(ApiError::of_token) } else { error };
    if let Some(error) = &error {
        let others = std::mem::take(response.headers_mut());
        response = if wants_page { page::of(error, others, &id) } else { error.respond(&headers, others, &id) };
    }
    dress(response.headers_mut(), &id);

    let status = response.status().as_u16();
    let code = error.as_ref().map(|error| error.code.as_str());
    app.metrics.count(&endpoint, known(&method), status, code, began.elapsed());
    log(&Line { id: &id, method: &method, endpoint: &endpoint, status, address, began, error: error.as_ref(), about });
    response
}

/// Says once that a proxy may be missing from the list: behind it, all clients would be one.
fn warn_of_proxy(app: &App, peer: IpAddr, headers: &HeaderMap) {
    if headers.contains_key(FORWARDED_FOR) && !is_trusted(peer, &app.config.trusted_proxies) {
        app.has_warned_of_proxy.call_once(|| {
            tracing::warn!(
                peer = %peer,
                "X-Forwarded-For is not believed: --trusted-proxies does not name who sent it. Its clients count as one address. This is said once"
            );
        });
    }
}

/// Refuses what no endpoint has to look at, and asks the endpoint.
async fn answer(app: &App, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !has_host(request.version(), headers) {
        return ApiError::validation("A request needs one Host header, which names a host").into_response();
    }
    if announced_length(headers).is_some_and(|length| length > app.config.max_body) {
        // Who asks first, with Expect: 100-continue, has not sent it and need not.
        if !headers.contains_key(header::EXPECT) {
            drain(request.into_body()).await;
        }
        return too_large(app.config.max_body).into_response();
    }
    match timeout(app.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "request_timeout",
            "Processing this request timed out, please retry after a moment.",
        )
        .into_response(),
    }
}

/// RFC 9112, section 3.2: one line, which may be empty, and must not be missing from HTTP/1.1 on.
fn has_host(version: Version, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::HOST).iter();
    match (lines.next(), lines.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(host), None) => {
            let host = host.as_bytes();
            host.is_empty() || (!host.contains(&b'@') && Authority::try_from(host).is_ok())
        }
        (Some(_), Some(_)) => false,
    }
}

struct Line<'a> {
    id: &'a str,
    method: &'a Method,
    endpoint: &'a str,
    status: u16,
    address: IpAddr,
    began: Instant,
    error: Option<&'a ApiError>,
    about: About,
}

/// The endpoint, never the path or the query, where codes and tokens travel.
fn log(line: &Line<'_>) {
    let cause = line.error.and_then(|error| error.cause.as_ref());
    let (id, method, endpoint, status) = (line.id, known(line.method), line.endpoint, line.status);
    let ms = u64::try_from(line.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let address = display(line.address);
    let code = line.error.map(|error| error.code.as_str()).or(line.about.refused.as_deref());
    let sqlstate = cause.and_then(|cause| cause.sqlstate.as_deref());
    let detail = cause.map(|cause| cause.detail.as_str());
    let flow = line.about.flow.or(cause.and_then(|cause| cause.flow)).map(display);
    let organization = line.about.organization.as_deref();
    let (user, session) = (line.about.user.map(display), line.about.session.map(display));
    // Both of one form, which is read by programs.
    macro_rules! write {
        ($level:ident) => {
            tracing::$level!(
                request_id = id,
                method,
                endpoint,
                status,
                ms,
                address,
                code,
                sqlstate,
                detail,
                flow,
                organization,
                user,
                session,
                "request"
            )
        };
    }
    if status >= 500 { write!(error) } else { write!(info) }
}

/// Headers that every answer has.
fn dress(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// A trusted proxy's, so that its log and ours can be read together; otherwise a fresh one.
fn request_id(app: &App, peer: IpAddr, headers: &HeaderMap) -> String {
    let is_id = |text: &&str| {
        (1..=LONGEST_ID).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let mut lines = headers.get_all(REQUEST_ID).iter();
    // Of several, a client may have written one.
    let given = match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_str().ok().filter(is_id),
        _ => None,
    };
    match given {
        Some(id) if is_trusted(peer, &app.config.trusted_proxies) => id.to_owned(),
        _ => Uuid::new_v4().to_string(),
    }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A method's name, of the few that there are: figures must not grow by what somebody sends.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}
