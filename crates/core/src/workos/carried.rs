//! WorkOS's answer as somebody else brings it: a broker, who has asked WorkOS because the database may not talk to the outside.

use serde_json::Value;

use super::answer::{HttpAnswer, MAX_ANSWER, answer_too_large};
use crate::error::{Error, ErrorCode, Result};

/// Why a broker has no answer to bring.
const FAILURES: [ErrorCode; 5] = [
    ErrorCode::WorkosUnreachable,
    ErrorCode::WorkosTimeout,
    ErrorCode::WorkosConnectionLost,
    ErrorCode::WorkosAnswerMalformed,
    ErrorCode::WorkosAnswerTooLarge,
];

/// What a broker brings. Everything as it came from SQL. It may hold tokens, so it does not print.
#[derive(Clone, Copy, Hash)]
pub struct CarriedAnswer<'a> {
    /// HTTP status.
    pub status: Option<i32>,
    /// HTTP headers: an object of strings, whose names are compared without case.
    pub headers: Option<&'a Value>,
    /// The body; none where there is none, or none that is text.
    pub body: Option<&'a str>,
    /// Why there is no answer, as `auth.error_codes` names it.
    pub failure: Option<&'a str>,
}

impl<'a> CarriedAnswer<'a> {
    /// Whether this is an answer, or the lack of one: a mistake here is the broker's own.
    ///
    /// # Errors
    /// [`ErrorCode::NullValue`], [`ErrorCode::InvalidArgument`].
    pub fn check(&self) -> Result<()> {
        match (self.status, self.failure) {
            (None, None) => return Err(Error::null("status")),
            (Some(_), Some(_)) => return Err(Error::invalid("failure", "there is a status, so WorkOS has answered.")),
            (None, Some(name)) => self::failure(name).map(drop)?,
            (Some(100..=599), None) => {}
            (Some(_), None) => return Err(Error::invalid("status", "an HTTP status has three digits, 100 to 599.")),
        }
        match self.headers {
            None | Some(Value::Object(_)) => Ok(()),
            Some(_) => Err(Error::invalid("headers", "it is no JSON object.")),
        }
    }

    /// The answer.
    ///
    /// # Errors
    /// Why there is none, and those of [`Self::check`].
    pub fn http(&self) -> Result<HttpAnswer<'a>> {
        self.check()?;
        if let Some(name) = self.failure {
            return Err(Error::with_detail(failure(name)?, "So says the broker that asked WorkOS."));
        }
        let body = self.body.unwrap_or_default().as_bytes();
        if body.len() > MAX_ANSWER {
            return Err(answer_too_large(MAX_ANSWER));
        }
        Ok(HttpAnswer {
            status: self.status.and_then(|status| u16::try_from(status).ok()).unwrap_or_default(),
            request_id: self.header("x-request-id"),
            retry_after: self.header("retry-after"),
            body,
        })
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        let headers = self.headers?.as_object()?;
        headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    }
}

fn failure(name: &str) -> Result<ErrorCode> {
    FAILURES.into_iter().find(|code| code.name() == name).ok_or_else(|| {
        let names = FAILURES.map(ErrorCode::name).join(", ");
        Error::invalid("failure", &format!("it is none of {names}."))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOTHING: CarriedAnswer<'_> = CarriedAnswer { status: None, headers: None, body: None, failure: None };

    fn refusal(answer: CarriedAnswer<'_>) -> Error {
        answer.http().map(drop).unwrap_err()
    }

    #[test]
    fn the_headers_that_are_read_are_found_whatever_their_case() {
        let headers = json!({ "X-REQUEST-ID": "req_1", "Retry-After": "7", "x-other": 7 });
        let answer = CarriedAnswer { status: Some(429), headers: Some(&headers), body: Some("{}"), ..NOTHING };
        let http = answer.http().unwrap();
        assert_eq!((http.status, http.request_id, http.retry_after), (429, Some("req_1"), Some("7")));
        assert_eq!(http.body, b"{}");
        // What is no text is no header.
        let headers = json!({ "x-request-id": ["req_1"], "retry-after": null });
        let http = CarriedAnswer { headers: Some(&headers), ..answer }.http().unwrap();
        assert_eq!((http.request_id, http.retry_after), (None, None));
    }

    #[test]
    fn an_answer_is_one_or_its_lack_is_explained() {
        assert_eq!(refusal(NOTHING).code(), ErrorCode::NullValue);
        for status in [i32::MIN, -1, 0, 99, 600, i32::MAX] {
            let answer = CarriedAnswer { status: Some(status), ..NOTHING };
            assert_eq!(refusal(answer).code(), ErrorCode::InvalidArgument, "{status}");
        }
        for failure in ["", "WORKOS_TIMEOUT", "workos_invalid_grant", "bad_jwt"] {
            let answer = CarriedAnswer { failure: Some(failure), ..NOTHING };
            assert_eq!(refusal(answer).code(), ErrorCode::InvalidArgument, "{failure}");
        }
        for code in FAILURES {
            let answer = CarriedAnswer { failure: Some(code.name()), ..NOTHING };
            assert_eq!(refusal(answer).code(), code);
            let answer = CarriedAnswer { status: Some(200), ..answer };
            assert_eq!(refusal(answer).code(), ErrorCode::InvalidArgument, "{}", code.name());
        }
        let list = json!([]);
        let answer = CarriedAnswer { status: Some(200), headers: Some(&list), ..NOTHING };
        assert_eq!(refusal(answer).code(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_body_may_be_so_long_and_no_longer() {
        let body = "x".repeat(MAX_ANSWER + 1);
        let answer = |length: usize| CarriedAnswer { status: Some(200), body: Some(&body[..length]), ..NOTHING };
        assert_eq!(answer(MAX_ANSWER).http().unwrap().body.len(), MAX_ANSWER);
        assert_eq!(refusal(answer(MAX_ANSWER + 1)).code(), ErrorCode::WorkosAnswerTooLarge);
    }
}
