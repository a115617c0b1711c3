//! The cookies: of a flow, and the two of the session.
//!
//! They are not signed: the database verifies the token at every use, and a verifier is good for nothing but the flow of
//! its own state. SameSite=Lax keeps other sites' forms from using them; the callback, a link, still gets its own.

use std::env;
use std::time::SystemTime;

use axum_extra::extract::cookie::{Cookie, SameSite};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

/// What a sign-in needs in `/callback`. One cookie a flow, so that two tabs can sign in at the same time.
pub fn flow_cookie(state: &str, verifier: &str) -> Cookie<'static> {
    let hash: String = Sha256::digest(state).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut cookie = cookie(format!("flow_{hash}"), format!("{state}.{verifier}"), "/callback");
    cookie.set_max_age(Duration::minutes(15));
    cookie
}

/// Who is signed in.
pub fn session_cookie(token: &str) -> Cookie<'static> {
    cookie("session".to_owned(), token.to_owned(), "/")
}

/// What gets the next access token, for as long as `workos_auth.session_ttl`.
pub fn refresh_cookie(token: &str) -> Cookie<'static> {
    let mut cookie = cookie("refresh".to_owned(), token.to_owned(), "/");
    cookie.set_max_age(Duration::days(7));
    cookie
}

/// The cookie, dropped by the browser at that time.
pub fn until(mut cookie: Cookie<'static>, time: SystemTime) -> Cookie<'static> {
    cookie.set_expires(OffsetDateTime::from(time));
    cookie
}

/// What takes a cookie of that name and path away.
pub fn removal(mut cookie: Cookie<'static>) -> Cookie<'static> {
    cookie.make_removal();
    cookie
}

fn cookie(name: String, value: String, path: &'static str) -> Cookie<'static> {
    let secure = env::var("PUBLIC_URL").is_ok_and(|url| url.starts_with("https:"));
    Cookie::build((name, value)).path(path).http_only(true).same_site(SameSite::Lax).secure(secure).build()
}
