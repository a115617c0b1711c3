//! Answers, whole and damaged.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;

use crate::fault::{FaultKind, RetryAfter, Taken};
use crate::socket::ResetHandle;

const CHUNK: u64 = 64 * 1024;

/// An error in the form of RFC 6749, section 5.2, as WorkOS's token endpoint uses it; always status 400.
pub(crate) fn oauth_error(error: &str, description: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error, "error_description": description }))).into_response()
}

/// An error in the form of the rest of WorkOS's API.
pub(crate) fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// What WorkOS's emulator says of a body that is not the JSON it expects.
pub(crate) fn invalid_request_body() -> Response {
    let body = json!({ "message": "Problems parsing JSON", "code": "invalid_request_body" });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// The answer of a fault that answers instead.
pub(crate) fn instead(kind: &FaultKind) -> Response {
    match kind {
        FaultKind::Status { code, body } => {
            let status = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            match body {
                Some(body) => (status, Json(body)).into_response(),
                None => message(status, status.canonical_reason().unwrap_or("Unknown")),
            }
        }
        FaultKind::RateLimited { retry_after } => {
            let mut response = message(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
            if let Some(value) = retry_after.map(retry_after_value) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            response
        }
        _ => invalid_request_body(),
    }
}

fn retry_after_value(retry_after: RetryAfter) -> HeaderValue {
    match retry_after {
        RetryAfter::Seconds(seconds) => HeaderValue::from(seconds),
        RetryAfter::Date(seconds) => {
            let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds.into()));
            HeaderValue::from_str(&date).unwrap_or(HeaderValue::from_static("0"))
        }
    }
}

/// Does to an answer what the faults ask for.
pub(crate) async fn damage(response: Response, faults: Taken, connection: &ResetHandle) -> Response {
    let response = match &faults.body {
        Some(kind) => damage_body(response, kind).await,
        None => response,
    };
    for kind in &faults.transport {
        match kind {
            FaultKind::Delay { ms } => tokio::time::sleep(Duration::from_millis(*ms)).await,
            FaultKind::Hang => std::future::pending().await,
            FaultKind::Reset => connection.reset(),
            _ => {}
        }
    }
    response
}

async fn damage_body(response: Response, kind: &FaultKind) -> Response {
    let (mut parts, body) = response.into_parts();
    // Made by a handler of this crate: in memory, and small.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    parts.headers.remove(header::CONTENT_LENGTH);
    let length = HeaderValue::from(bytes.len());
    let body = match kind {
        FaultKind::TruncatedBody => {
            parts.headers.insert(header::CONTENT_LENGTH, length);
            truncated(bytes.slice(..bytes.len() / 2))
        }
        FaultKind::OversizedBody { bytes: size, chunked } => {
            let (body, length) = oversized(&bytes, *size);
            if !chunked {
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            }
            body
        }
        FaultKind::MalformedJson => {
            let mut bytes = Vec::from(bytes);
            bytes.pop();
            bytes.push(b']');
            Body::from(bytes)
        }
        FaultKind::Html => {
            return Html("<!doctype html><title>Welcome</title><h1>Welcome to our hotel's Wi-Fi</h1>").into_response();
        }
        FaultKind::EmptyBody => {
            parts.status = StatusCode::OK;
            Body::empty()
        }
        FaultKind::Drip { ms } => {
            parts.headers.insert(header::CONTENT_LENGTH, length);
            drip(bytes, Duration::from_millis(*ms))
        }
        _ => Body::from(bytes),
    };
    Response::from_parts(parts, body)
}

fn truncated(half: Bytes) -> Body {
    Body::from_stream(stream::unfold(Some(half), async |half| match half {
        Some(half) => Some((Ok(half), None)),
        None => {
            // An error at once would keep the headers from being sent.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Err(io::Error::from(io::ErrorKind::UnexpectedEof)), None))
        }
    }))
}

/// The JSON object with a further member that fills it up, and the length of the whole.
fn oversized(object: &Bytes, size: u64) -> (Body, u64) {
    let mut head = Vec::from(object.strip_suffix(b"}").unwrap_or(b"{\"empty\":true"));
    head.extend_from_slice(b",\"padding\":\"");
    let tail = Bytes::from_static(b"\"}");
    let frame = (head.len() + tail.len()) as u64;
    let padding = size.saturating_sub(frame);
    let pieces = stream::unfold((Some(Bytes::from(head)), padding, Some(tail)), async |(head, left, tail)| {
        if head.is_some() {
            return head.map(|head| (Ok::<_, Infallible>(head), (None, left, tail)));
        }
        let next = left.min(CHUNK);
        if next > 0 {
            return Some((Ok(Bytes::from(vec![b'x'; next as usize])), (None, left - next, tail)));
        }
        tail.map(|tail| (Ok(tail), (None, 0, None)))
    });
    (Body::from_stream(pieces), frame + padding)
}

fn drip(bytes: Bytes, pause: Duration) -> Body {
    Body::from_stream(stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        Some((Ok::<_, Infallible>(rest.split_to(1)), rest))
    }))
}
