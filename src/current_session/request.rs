//! PostgREST: the session of a request is the bearer token of its `Authorization` header.

use std::ffi::CStr;

use pgrx::prelude::*;
use serde_json::Value;
use workos_auth_core::{Error, ErrorCode, Result, json};
use zeroize::Zeroizing;

use super::current::set_bearer;
use super::token;

/// The setting that PostgREST puts a request's headers into, as a JSON object with names in lower case.
const HEADERS: &CStr = c"request.headers";
/// PostgREST answers an error of SQLSTATE `PTxyz` with the HTTP status xyz.
const UNAUTHORIZED: &str = "PT401";

/// Makes the request's bearer token the current session of the transaction; without one, or with a visitor's key, there is no session.
///
/// `request.jwt.claims` is not looked at: whoever can run SQL can set it. So can they set `request.headers`, but not to a
/// token that verifies.
///
/// # Errors
/// Those of a bad token, all with the SQLSTATE `PT401`; what they are called stands in the detail.
pub fn use_request_token() -> Result<()> {
    let token = bearer_token().map_err(unauthorized)?;
    match token {
        None => token::assign(None, true),
        Some(token) => set_bearer(&token).map_err(|error| match error.code().http_status() {
            401 => unauthorized(error),
            _ => error,
        }),
    }
}

fn unauthorized(error: Error) -> Error {
    let detail = format!("{}: {}", error.code().name(), error.detail().unwrap_or(error.code().message()));
    error.with_sqlstate(UNAUTHORIZED, detail)
}

/// The token after `Bearer` (RFC 6750, section 2.1; the scheme's case is free, RFC 7235). Another scheme is not ours.
fn bearer_token() -> Result<Option<Zeroizing<String>>> {
    let malformed = |detail: &str| Error::with_detail(ErrorCode::BadJwt, detail);
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
    let headers = headers.to_str().ok().and_then(|headers| json::parse(headers).ok());
    let headers = headers.filter(Value::is_object).ok_or_else(|| malformed("request.headers is not a JSON object."))?;
    let authorization = match headers.get("authorization") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(malformed("The authorization member of request.headers is not a string.")),
    };
    let (scheme, token) = authorization.split_once(char::is_whitespace).unwrap_or((authorization, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then(|| Zeroizing::new(token.trim_start().to_owned())))
}
