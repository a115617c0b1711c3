//! What WorkOS sends back.

use crate::error::{Error, ErrorCode};

/// The largest answer that is read, in bytes: a profile with a thousand groups takes a tenth of this.
pub const MAX_ANSWER: usize = 1024 * 1024;

/// What is said of an answer of more bytes than are read.
pub fn answer_too_large(most: usize) -> Error {
    Error::with_detail(ErrorCode::WorkosAnswerTooLarge, format!("It is larger than {most} bytes."))
}

/// An HTTP answer of WorkOS. It may hold tokens, so it does not print.
#[derive(Clone, Copy)]
pub struct HttpAnswer<'a> {
    /// HTTP status.
    pub status: u16,
    /// `X-Request-ID`, by which WorkOS's support finds the request.
    pub request_id: Option<&'a str>,
    /// `Retry-After`: seconds or an HTTP date.
    pub retry_after: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}
