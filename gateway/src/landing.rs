//! Where the database sends a browser after WorkOS's redirect, and what that says of the sign-in.

use url::Url;

/// The end of a callback.
#[derive(Debug, PartialEq, Eq)]
pub enum Landing {
    /// WorkOS has answered; the application shows the code and its verifier next.
    Code,
    /// WorkOS has answered, and somebody is signed in.
    Tokens,
    /// Nobody is, for this reason: a name of `auth.error_codes`, or an error of WorkOS's redirect.
    Refused(String),
}

impl Landing {
    /// Reads the answer of `auth.handle_callback`. What the database adds to an address stands at the end of its query, or is its fragment:
    /// an address can look like an end, but only before that.
    pub fn of(url: &Url) -> Self {
        if url.fragment().is_some_and(|fragment| fragment.starts_with("access_token=")) {
            return Self::Tokens;
        }
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        if pairs.last().is_some_and(|(name, _)| name == "code") {
            return Self::Code;
        }
        let last = |name: &str| pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        Self::Refused(name(last("error_code").or(last("error")).unwrap_or_default()))
    }
}

/// A name as it may stand in a label: the database's own are no others.
fn name(text: &str) -> String {
    let is_name = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if is_name { text.to_owned() } else { "other".to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_databases_word_counts_and_not_the_address() {
        let refused = |name: &str| Landing::Refused(name.to_owned());
        for (url, expected) in [
            ("https://app/welcome?code=wac_x", Landing::Code),
            ("https://app/welcome?error=access_denied&error_code=x&code=wac_x", Landing::Code),
            ("https://app/welcome?error=x#access_token=a&sb=", Landing::Tokens),
            (
                "https://app/?code=wac_x&error=access_denied&error_code=user_banned&error_description=no#error=access_denied",
                refused("user_banned"),
            ),
            ("https://app/?error=access_denied&error_description=no#error=access_denied&sb=", refused("access_denied")),
            (
                "https://app/?error=invalid_request&error_code=bad_oauth_state&error_description=",
                refused("bad_oauth_state"),
            ),
            ("https://app/?error=x&error_code=Strange%20name&error_description=", refused("other")),
            ("https://app/", refused("other")),
        ] {
            assert_eq!(Landing::of(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
