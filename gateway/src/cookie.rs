//! The cookie that binds an implicit sign-in to the browser that began it, or whose IdP-initiated one is begun again.
//!
//! Such a sign-in has no code verifier, so whoever brings its callback gets its tokens. Without the cookie, somebody could have a victim's
//! browser finish a sign-in that they began themselves (RFC 6749, section 10.12). It holds the state and is named after it, so that
//! several tabs can sign in at once.

use axum::http::{HeaderMap, HeaderValue, header};

/// Longer than any sign-in takes; the database decides when one has expired.
const MAX_AGE: u32 = 3600;
/// How much of the state stands in the name.
const NAME_LENGTH: usize = 16;

/// For `/authorize`, and for a restart at `/callback`: this browser begins the sign-in of this state.
pub fn set(state: &str, is_secure: bool) -> Option<HeaderValue> {
    written(state, state, MAX_AGE, is_secure)
}

/// For `/callback`: it is over.
pub fn remove(state: &str, is_secure: bool) -> Option<HeaderValue> {
    written(state, "", 0, is_secure)
}

/// Whether this browser began the sign-in of this state.
pub fn is_bound(headers: &HeaderMap, state: &str, is_secure: bool) -> bool {
    let Some(name) = name(state, is_secure) else { return false };
    let cookie = format!("{name}={state}");
    // By bytes: another application of this host may have a cookie beside ours that is no text.
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    pairs.map(<[u8]>::trim_ascii).any(|pair| pair == cookie.as_bytes())
}

fn written(state: &str, value: &str, max_age: u32, is_secure: bool) -> Option<HeaderValue> {
    let name = name(state, is_secure)?;
    // __Host- asks for Path=/ and Secure. Lax: WorkOS's redirect is a top-level navigation with GET.
    let secure = if is_secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}")).ok()
}

/// `None` for what is no state of ours.
fn name(state: &str, is_secure: bool) -> Option<String> {
    let is_state = state.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let start = state.get(..NAME_LENGTH).filter(|_| is_state)?;
    // No other host of the same domain can set it for us.
    let prefix = if is_secure { "__Host-" } else { "" };
    Some(format!("{prefix}workos-auth-{start}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    const STATE: &str = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE";

    fn sent(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    #[test]
    fn only_the_browser_of_the_state_is_bound() {
        let set = set(STATE, true).unwrap();
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        assert!(pair.starts_with("__Host-workos-auth-abcdefghijklmnop="), "{pair}");
        assert!(is_bound(&sent(pair), STATE, true));
        assert!(is_bound(&sent(&format!("a=b; {pair}; c=d")), STATE, true));
        for beside in [&b"a=\xff"[..], b"caf\xc3\xa9=1", b"\xff"] {
            let line = [beside, b"; ", pair.as_bytes()].concat();
            let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_bytes(&line).unwrap())]);
            assert!(is_bound(&headers, STATE, true), "{}", beside.escape_ascii());
        }
        // Another state with the same beginning, another scheme, no cookie, a wrong one.
        assert!(!is_bound(&sent(pair), &format!("{}x", &STATE[..42]), true));
        assert!(!is_bound(&sent(pair), STATE, false));
        assert!(!is_bound(&HeaderMap::new(), STATE, true));
        assert!(!is_bound(&sent("__Host-workos-auth-abcdefghijklmnop=1"), STATE, true));
        assert!(!is_bound(&sent("__Host-workos-auth-="), "", true));
    }

    #[test]
    fn nothing_gets_into_the_header_that_is_no_state() {
        assert_eq!(set("a; Domain=evil.test; aaaaaaaaaaaa", true), None);
        assert_eq!(set("short", true), None);
        assert_eq!(remove("ääääääääääääääääääää", true), None);
    }

    #[test]
    fn over_https_the_cookie_is_secure() {
        let https = set(STATE, true).unwrap();
        assert!(https.to_str().unwrap().ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"));
        let http = remove(STATE, false).unwrap();
        assert_eq!(http, "workos-auth-abcdefghijklmnop=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
