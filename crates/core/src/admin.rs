//! People and sessions that do not come through WorkOS: what administrators may ask for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::accounts::fold_email;
use crate::email;
use crate::error::{Error, ErrorCode, Result};

/// How long somebody may act as somebody else at most.
pub const LONGEST_IMPERSONATION: Duration = Duration::from_secs(60 * 60);

/// The address as it is stored.
///
/// # Errors
/// `validation_failed` if it is none.
pub fn check_email(email: &str) -> Result<String> {
    let address = email::parse(email);
    address.map(fold_email).map_err(|why| Error::invalid("email", &format!("it {why}.")))
}

/// `users.raw_app_meta_data` of somebody whom no provider vouches for.
pub fn app_metadata() -> Value {
    json!({ "provider": "custom", "providers": ["custom"] })
}

/// How somebody signed in, for the claim `amr`.
///
/// # Errors
/// `validation_failed` for what is no word of 1 to 50 characters.
pub fn check_method(method: &str) -> Result<&str> {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'/' | b'-');
    match (1..=50).contains(&method.len()) && method.bytes().all(is_word) {
        true => Ok(method),
        false => Err(Error::invalid("method", "it must be 1 to 50 characters from a-z 0-9 _ / -.")),
    }
}

/// Somebody who acts as somebody else, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor<'a> {
    /// Who; the claim `act.sub` (RFC 8693, section 4.1).
    pub name: &'a str,
    /// Why; stands in the audit log.
    pub reason: &'a str,
}

impl<'a> Actor<'a> {
    /// `None` if nobody acts.
    ///
    /// # Errors
    /// `reason_required`; `validation_failed` for an actor or a reason that says nothing or too much, and for a reason alone: a caller
    /// whose actor got lost must not be given a session that is the person's own.
    pub fn new(actor: Option<&'a str>, reason: Option<&'a str>) -> Result<Option<Self>> {
        match (actor, reason) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::invalid("reason", "there is no actor who would need it.")),
            (Some(_), None) => Err(ErrorCode::ReasonRequired.into()),
            (Some(name), Some(reason)) => {
                check_line("actor", name, 255)?;
                check_line("reason", reason, 1000)?;
                Ok(Some(Self { name, reason }))
            }
        }
    }
}

/// Refuses what is empty, longer than so many characters, or more than one line.
pub(crate) fn check_line(argument: &str, text: &str, longest: usize) -> Result<()> {
    if text.trim().is_empty() || text.chars().count() > longest || text.contains(char::is_control) {
        let why = format!("it must be 1 to {longest} characters on one line.");
        return Err(Error::invalid(argument, &why));
    }
    Ok(())
}

/// How long a session lasts at most: `asked`, in microseconds, or the longest that is allowed.
///
/// # Errors
/// `validation_failed` for less than a second and for more than `session_ttl`, or than 60 minutes for somebody who acts.
pub fn lifetime(asked: Option<i128>, session_ttl: Duration, acts: bool) -> Result<Duration> {
    let longest = if acts { session_ttl.min(LONGEST_IMPERSONATION) } else { session_ttl };
    let Some(asked) = asked else { return Ok(longest) };
    match u64::try_from(asked).map(Duration::from_micros) {
        Ok(ttl) if ttl >= Duration::from_secs(1) && ttl <= longest => Ok(ttl),
        _ => Err(Error::invalid(
            "ttl",
            &format!(
                "it must be 1 second to {} seconds here, by workos_auth.session_ttl and 60 minutes for an actor.",
                longest.as_secs()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const WEEK: Duration = Duration::from_secs(7 * 86400);

    fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
        result.unwrap_err().code()
    }

    #[test]
    fn an_address_is_stored_in_lower_case_and_without_blanks_around_it() {
        assert_eq!(check_email(" Ann@Acme.COM ").unwrap(), "ann@acme.com");
        assert_eq!(check_email("JÜRGEN@initech.com").unwrap(), "jÜrgen@initech.com");
        for bad in [
            "",
            "ann",
            "@",
            "ann@",
            "@acme.com",
            "ann @acme.com",
            "ann@acme.com\n",
            "a\u{0}@acme.com",
            "a@acme.com@evil.com",
        ] {
            assert_eq!(code(check_email(bad)), ErrorCode::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn a_method_is_a_word() {
        for good in ["custom", "sso/saml", "magic_link-2", &"x".repeat(50)] {
            assert_eq!(check_method(good).unwrap(), good);
        }
        for bad in ["", "Custom", "a b", "é", "a\"", &"x".repeat(51)] {
            assert_eq!(code(check_method(bad)), ErrorCode::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn who_acts_says_why() {
        assert_eq!(Actor::new(None, None), Ok(None));
        let wanted = Actor { name: "support@example.com", reason: "ticket 7: él no puede" };
        assert_eq!(Actor::new(Some(wanted.name), Some(wanted.reason)), Ok(Some(wanted)));
        assert_eq!(code(Actor::new(Some("a"), None)), ErrorCode::ReasonRequired);
        assert_eq!(code(Actor::new(None, Some("why"))), ErrorCode::InvalidArgument);
        let (longest, most) = ("é".repeat(255), "é".repeat(1000));
        assert!(Actor::new(Some(&longest), Some(&most)).is_ok());
        let (longer, more) = ("é".repeat(256), "é".repeat(1001));
        for (actor, reason) in
            [("", "why"), (" ", "why"), ("a\n", "why"), (&longer, "why"), ("a", ""), ("a", "\t"), ("a", &more)]
        {
            assert_eq!(code(Actor::new(Some(actor), Some(reason))), ErrorCode::InvalidArgument, "{actor}, {reason}");
        }
    }

    #[test]
    fn a_session_lasts_as_long_as_asked_and_allowed() {
        let hour = 3600 * 1_000_000;
        assert_eq!(lifetime(None, WEEK, false), Ok(WEEK));
        assert_eq!(lifetime(None, WEEK, true), Ok(LONGEST_IMPERSONATION));
        assert_eq!(lifetime(None, Duration::from_secs(60), true), Ok(Duration::from_secs(60)));
        assert_eq!(lifetime(Some(hour), WEEK, true), Ok(LONGEST_IMPERSONATION));
        assert_eq!(lifetime(Some(7 * 24 * hour), WEEK, false), Ok(WEEK));
        assert_eq!(lifetime(Some(1_000_000), WEEK, false), Ok(Duration::from_secs(1)));
        for (asked, acts) in
            [(999_999, false), (0, false), (-hour, false), (i128::MIN, false), (i128::MAX, false), (hour + 1, true)]
        {
            assert_eq!(code(lifetime(Some(asked), WEEK, acts)), ErrorCode::InvalidArgument, "{asked}");
        }
        assert_eq!(code(lifetime(Some(7 * 24 * hour + 1), WEEK, false)), ErrorCode::InvalidArgument);
    }
}
