//! Why no answer came.

use std::error::Error as _;
use std::time::Duration;

use workos_auth_core::{Error, ErrorCode, workos};

use super::deadline::Deadline;
use super::proxy::HttpsProxy;

/// A shorter wait for its turn is not spoken of.
const NOTICEABLE: Duration = Duration::from_millis(50);

/// Why a request has no answer.
pub enum Failure {
    /// The client's, which says where it stood.
    Http(reqwest::Error),
    /// The answer has more bytes than are read, which are so many.
    TooLarge(usize),
}

impl Failure {
    /// What the caller is told.
    pub fn into_error(self, deadline: &Deadline, proxy: Option<&HttpsProxy>) -> Error {
        match self {
            Failure::TooLarge(most) => workos::answer_too_large(most),
            // Name look-up and connecting: WorkOS has not seen the code.
            Failure::Http(error) if error.is_connect() => proxy
                .and_then(|proxy| proxy.error(&causes(&error), error.is_timeout()))
                .unwrap_or_else(|| Error::with_detail(ErrorCode::WorkosUnreachable, causes(&error))),
            Failure::Http(error) if error.is_timeout() => {
                let limit = deadline.limit.as_secs();
                let waited = match deadline.waited {
                    waited if waited < NOTICEABLE => String::new(),
                    waited => format!(", {:.1} s of which the call waited for its turn", waited.as_secs_f64()),
                };
                Error::with_detail(ErrorCode::WorkosTimeout, format!("No whole answer came within {limit} s{waited}."))
            }
            Failure::Http(error) if error.is_request() => {
                Error::with_detail(ErrorCode::WorkosConnectionLost, causes(&error))
            }
            // The head of an answer came, and a body that ends too soon.
            Failure::Http(error) => Error::with_detail(ErrorCode::WorkosAnswerMalformed, causes(&error)),
        }
    }
}

/// What an error says down to its root, without the URL.
pub fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    // Bounded, since nothing promises that a chain of sources ends.
    for _ in 0..8 {
        let Some(error) = cause else { break };
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
