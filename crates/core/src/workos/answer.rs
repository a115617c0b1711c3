//! What WorkOS sends back.

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
