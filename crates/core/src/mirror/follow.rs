//! From where events are asked for, and when the tables have to be compared with all that WorkOS has. Times are seconds since 1970.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::{Error, ErrorCode, Result};

/// How old what is known may be before events may be missing. WorkOS keeps them for 90 days, and answers for 30 of these at a time.
const LONGEST: i64 = 25 * 24 * 60 * 60;
/// How much of the past is asked for once more where there is no cursor: clocks differ, and WorkOS holds events back for some seconds. What was
/// applied is not applied again.
const OVERLAP: i64 = 60 * 60;

/// How far a database has followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// the last event that was applied
    pub cursor: Option<String>,
    /// when the states were begun to be read
    pub since: Option<i64>,
    /// when a page was last applied
    pub page_at: Option<i64>,
    /// when the last event of a page happened
    pub event_at: Option<i64>,
    /// when all states had been read
    pub reconciled_at: Option<i64>,
}

/// From where events are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// Behind an event.
    Cursor(String),
    /// From a time on, as WorkOS reads it: there was no event yet, or none for so long that WorkOS may not know the cursor any more.
    Time(String),
}

/// From where events are asked for now.
///
/// # Errors
/// `reconciliation_needed`
pub fn next_from(state: &State, now: i64) -> Result<From> {
    let known_at = known_at(state).ok_or_else(|| {
        Error::with_detail(ErrorCode::ReconciliationNeeded, "The tables were never compared with all that WorkOS has.")
    })?;
    if is_old(known_at, now) {
        let days = now.saturating_sub(known_at) / (24 * 60 * 60);
        let detail = format!("The last page was applied {days} days ago; after 25 days events may be gone.");
        return Err(Error::with_detail(ErrorCode::ReconciliationNeeded, detail));
    }
    match &state.cursor {
        Some(cursor) if state.event_at.is_none_or(|at| !is_old(at, now)) => Ok(From::Cursor(cursor.clone())),
        Some(_) => Ok(From::Time(date(known_at.saturating_sub(OVERLAP)))),
        None => {
            let from = state.page_at.map(|at| at.saturating_sub(OVERLAP)).max(state.since).unwrap_or(known_at);
            Ok(From::Time(date(from)))
        }
    }
}

/// Where the states are about to be read, whether the cursor is of no use any more, and from which time on events are asked for then.
pub fn begin(state: &State, now: i64) -> (bool, i64) {
    (next_from(state, now).is_err(), now.saturating_sub(OVERLAP))
}

/// Whether a background worker is to compare the tables: somebody has begun to follow WorkOS, and it was not finished, or is too long ago.
pub fn is_due(state: &State, now: i64) -> bool {
    state.since.is_some() && next_from(state, now).is_err()
}

/// Whether a background worker is to ask for events.
pub fn is_followed(state: &State) -> bool {
    state.reconciled_at.is_some()
}

/// Until when everything is known; `None` where nothing is.
fn known_at(state: &State) -> Option<i64> {
    let reconciled_at = state.reconciled_at?;
    Some(state.page_at.map_or(reconciled_at, |page_at| page_at.max(reconciled_at)))
}

fn is_old(at: i64, now: i64) -> bool {
    now.saturating_sub(at) > LONGEST
}

fn date(seconds: i64) -> String {
    let date = OffsetDateTime::from_unix_timestamp(seconds.max(0)).ok();
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// The same failure with a hint that is about events, where its own is about sign-ins.
#[must_use]
pub fn about_mirror(error: Error) -> Error {
    let hint = match error.code() {
        ErrorCode::WorkosUnreachable
        | ErrorCode::WorkosTimeout
        | ErrorCode::WorkosConnectionLost
        | ErrorCode::WorkosUnavailable => {
            "Nothing is lost: the next call asks for the same again. Check api_url, name resolution and the firewall of the database server."
        }
        ErrorCode::WorkosAnswerMalformed => {
            "Nothing is lost: the next call asks for the same again. Check that api_url is WorkOS itself and not a proxy's page."
        }
        ErrorCode::WorkosAnswerTooLarge => "Please report it: one item of WorkOS's list is larger than what is read.",
        ErrorCode::WorkosNotFound => {
            "The environment of the API key has no such thing. Compare its id with the WorkOS dashboard, and check api_url."
        }
        ErrorCode::HttpsProxyCredentialsRefused => {
            "Write user:password into the file of workos_auth.https_proxy_credentials_file."
        }
        ErrorCode::HttpsProxyFailed => {
            "Check workos_auth.https_proxy, and that the proxy lets this server reach the host and port of api_url."
        }
        _ => return error,
    };
    error.hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;
    const NOW: i64 = 1_796_000_000;

    fn state(
        cursor: Option<&str>,
        page_days_ago: Option<i64>,
        event_days_ago: Option<i64>,
        reconciled_days_ago: Option<i64>,
    ) -> State {
        let ago = |days: Option<i64>| days.map(|days| NOW - days * DAY);
        State {
            cursor: cursor.map(str::to_owned),
            since: ago(reconciled_days_ago).map(|at| at - 600),
            page_at: ago(page_days_ago),
            event_at: ago(event_days_ago),
            reconciled_at: ago(reconciled_days_ago),
        }
    }

    #[test]
    fn a_cursor_is_good_for_25_days() {
        for (what, state, expected) in [
            ("nothing is known", State::default(), None),
            ("the first states are read", State { since: Some(NOW), ..State::default() }, None),
            ("pages, and no states", state(Some("event_1"), Some(0), Some(0), None), None),
            ("a page of today", state(Some("event_1"), Some(0), Some(0), Some(60)), Some("event_1")),
            ("an event of 25 days ago", state(Some("event_1"), Some(0), Some(25), Some(60)), Some("event_1")),
            ("a page of 25 days ago", state(Some("event_1"), Some(25), Some(25), Some(60)), Some("event_1")),
            ("a page of 26 days ago", state(Some("event_1"), Some(26), Some(26), Some(60)), None),
            ("and states of today", state(Some("event_1"), Some(26), Some(20), Some(0)), Some("event_1")),
            // WorkOS may not know the event any more, and nothing has happened since.
            ("quiet for 80 days", state(Some("event_1"), Some(0), Some(80), Some(80)), Some("2026-11-29T23:53:20Z")),
            ("no event yet", state(None, None, None, Some(1)), Some("2026-11-29T00:43:20Z")),
            ("no event, and pages", state(None, Some(0), None, Some(1)), Some("2026-11-29T23:53:20Z")),
        ] {
            let found = match next_from(&state, NOW) {
                Ok(From::Cursor(from) | From::Time(from)) => Some(from),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::ReconciliationNeeded);
                    None
                }
            };
            assert_eq!(found.as_deref(), expected, "{what}");
        }
    }

    #[test]
    fn a_worker_follows_once_somebody_has_begun() {
        for (what, state, expected) in [
            ("nobody has", State::default(), (false, false)),
            ("it was not finished", State { since: Some(NOW), ..State::default() }, (true, false)),
            ("it was", state(None, None, None, Some(0)), (false, true)),
            ("it is too long ago", state(Some("event_1"), Some(26), Some(26), Some(60)), (true, true)),
        ] {
            assert_eq!((is_due(&state, NOW), is_followed(&state)), expected, "{what}");
        }
    }

    #[test]
    fn only_a_cursor_that_is_of_no_use_is_given_up() {
        assert_eq!(begin(&state(Some("event_1"), Some(0), Some(0), Some(1)), NOW), (false, NOW - 3600));
        assert!(begin(&state(Some("event_1"), Some(26), Some(26), Some(60)), NOW).0);
        assert!(begin(&State::default(), NOW).0);
    }
}
