//! PostgREST: the session of a request is the bearer token of its `Authorization` header.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use serde_json::{Map, Value};
use workos_auth_core::{Error, ErrorCode, Result, json};
use zeroize::Zeroizing;

use super::current::{set_bearer, unverified_identity};
use super::token;
use crate::postgres::setting::{self, Lifetime};

/// The setting that PostgREST puts a request's headers into, as a JSON object with names in lower case.
const HEADERS: &CStr = c"request.headers";
/// The setting that PostgREST puts a request's cookies into.
const COOKIES: &CStr = c"request.cookies";
/// The member of the headers with the cookies.
const COOKIE: &str = "cookie";
/// `{"` in base64: what a token's header begins with.
const BEGIN_OF_A_TOKEN: &str = "eyJ";
/// The member with the token.
const AUTHORIZATION: &str = "authorization";
/// PostgREST answers an error of SQLSTATE `PTxyz` with the HTTP status xyz.
const UNAUTHORIZED: &str = "PT401";

/// What stands in place of a token that was taken, before its SHA-256 in hexadecimal.
const TAKEN: &str = "sha256:";

/// Makes the request's bearer token the current session of the transaction; without one, or with a visitor's key, there is no
/// session. `request.headers` then holds the token's hash in its place, and no cookies: the transaction may run code of others, such as a
/// trigger of somebody's table, which reads settings.
///
/// `request.jwt.claims` is not looked at: whoever can run SQL can set it. So can they set `request.headers`, but not to a
/// token that verifies.
///
/// # Errors
/// Those of a bad token, all with the SQLSTATE `PT401`; what they are called stands in the detail.
pub fn use_request_token(function: pg_sys::Oid) -> Result<()> {
    let Some(mut headers) = headers().map_err(unauthorized)? else { return token::clear(true) };
    hide_other_tokens(&mut headers).map_err(unauthorized)?;
    let Some(token) = bearer_token(&headers).map_err(unauthorized)? else { return token::clear(true) };
    if let Some(hash) = token.strip_prefix(TAKEN) {
        return match unverified_identity().is_some_and(|own| hex(&own) == hash) {
            true => Ok(()),
            false => Err(unauthorized(malformed("The token of request.headers was taken for another transaction."))),
        };
    }
    set_bearer(&token, function).map_err(|error| match error.code().http_status() {
        401 => unauthorized(error),
        _ => error,
    })?;
    hide(headers)
}

/// Puts the hash of the current token where the token stands.
fn hide(mut headers: Map<String, Value>) -> Result<()> {
    // A visitor's key is no secret.
    let Some(hash) = unverified_identity().map(|own| hex(&own)) else { return Ok(()) };
    headers.insert(AUTHORIZATION.to_owned(), format!("Bearer {TAKEN}{hash}").into());
    set_headers(headers)
}

/// Takes the cookies away, which hold the tokens of Supabase's client on a server, in one of its encodings; and every other header that looks as
/// if a token were in it. Whoever is asked for: also a visitor's request may bring somebody's cookies.
fn hide_other_tokens(headers: &mut Map<String, Value>) -> Result<()> {
    let is_secret = |name: &str, value: &Value| {
        name.eq_ignore_ascii_case(COOKIE) || name != AUTHORIZATION && value.to_string().contains(BEGIN_OF_A_TOKEN)
    };
    if headers.iter().any(|(name, value)| is_secret(name, value)) {
        headers.retain(|name, value| !is_secret(name, value));
        set_headers(headers.clone())?;
    }
    setting::set(COOKIES, c"{}", Lifetime::Transaction);
    Ok(())
}

fn set_headers(headers: Map<String, Value>) -> Result<()> {
    let headers =
        CString::new(Value::Object(headers).to_string()).map_err(|_| malformed("request.headers holds a NUL."))?;
    setting::set(HEADERS, &headers, Lifetime::Transaction);
    Ok(())
}

fn malformed(detail: &str) -> Error {
    Error::with_detail(ErrorCode::BadJwt, detail)
}

fn unauthorized(error: Error) -> Error {
    let detail = format!("{}: {}", error.code().name(), error.detail().unwrap_or(error.code().message()));
    error.with_sqlstate(UNAUTHORIZED, detail)
}

/// `request.headers`, if it is set.
fn headers() -> Result<Option<Map<String, Value>>> {
    // SAFETY: reads a setting, which may be absent; nobody assigns it meanwhile.
    let headers = unsafe {
        let value = pg_sys::GetConfigOption(HEADERS.as_ptr(), true, false);
        if value.is_null() {
            return Ok(None);
        }
        CStr::from_ptr(value)
    };
    // What was set for a transaction that is over reads as empty.
    if headers.is_empty() {
        return Ok(None);
    }
    match headers.to_str().ok().and_then(|headers| json::parse(headers).ok()) {
        Some(Value::Object(headers)) => Ok(Some(headers)),
        _ => Err(malformed("request.headers is not a JSON object.")),
    }
}

/// The token after `Bearer` (RFC 6750, section 2.1; the scheme's case is free, RFC 7235). Another scheme is not ours.
fn bearer_token(headers: &Map<String, Value>) -> Result<Option<Zeroizing<String>>> {
    let authorization = match headers.get(AUTHORIZATION) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(malformed("The authorization member of request.headers is not a string.")),
    };
    let (scheme, token) = authorization.split_once(char::is_whitespace).unwrap_or((authorization, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| Zeroizing::new(token.trim_start().to_owned())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
