//! A page for people: what a browser shows of a failure that no application is told of, in place of JSON.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use url::form_urlencoded;
use uuid::Uuid;

use crate::error::{ApiError, ERROR_CODE_HEADER};

/// Where browsers come by themselves.
const ENDPOINTS: [&str; 3] = ["/authorize", "/callback", "/verify"];

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1.5rem}\
    h1{font-size:1.5rem}p:last-child{font-size:.8rem;opacity:.75;overflow-wrap:anywhere}";

/// Whether an error is shown to a person: a browser goes to a page. Programs, which ask for JSON or for anything, get JSON, and so does
/// who asks with `skip_http_redirect`, as Supabase's client does for its `skipBrowserRedirect`.
pub fn is_wanted(endpoint: &str, query: Option<&str>, headers: &HeaderMap) -> bool {
    let skips = |query: &str| {
        form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "skip_http_redirect" && value == "true")
    };
    ENDPOINTS.contains(&endpoint)
        && !query.is_some_and(skips)
        && quality(headers, "text/html") > quality(headers, "application/json")
}

/// How much a media type is wanted, in thousandths (RFC 9110, section 12.5.1). Wildcards do not count: programs send them.
fn quality(headers: &HeaderMap, media_type: &str) -> u16 {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let of_range = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(media_type) {
            return None;
        }
        let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        match q.map(str::parse::<f32>) {
            None => Some(1000),
            Some(Ok(q)) if (0.0..=1.0).contains(&q) => Some((q * 1000.0) as u16),
            Some(_) => Some(0),
        }
    };
    lines.flat_map(|line| line.split(',')).filter_map(of_range).max().unwrap_or_default()
}

/// The page. What other layers have put into `headers` stays.
pub fn of(error: &ApiError, mut headers: HeaderMap, request_id: &str) -> Response {
    let wait = headers.get(header::RETRY_AFTER).and_then(|wait| wait.to_str().ok()).unwrap_or("a few").to_owned();
    let (title, advice) = match error.status {
        StatusCode::TOO_MANY_REQUESTS => {
            ("Too many sign-ins at once", format!("Wait {wait} seconds, and then reload this page."))
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => (
            "You cannot be signed in at the moment",
            "Wait a moment, and then reload this page. If it stays like this, tell the people who run the application.".into(),
        ),
        status if status.is_server_error() => (
            "You could not be signed in",
            "Go back to the application and sign in again. If it fails again, tell the people who run the application, and show them \
             the line below."
                .into(),
        ),
        _ => (
            "This sign-in cannot begin",
            "Go back to the application and sign in again. If it fails again, its link is wrong: tell the people who run the \
             application, and show them the line below."
                .into(),
        ),
    };
    let nonce = Uuid::new_v4().simple();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{advice}</p>\n\
         <p>{message} ({code}, request {request_id})</p>\n</main>\n</body>\n</html>\n",
        advice = escaped(&advice),
        message = escaped(&error.message),
        code = escaped(&error.code),
        request_id = escaped(request_id),
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    headers.remove(header::CONTENT_LENGTH);
    let mut own = vec![
        (header::CONTENT_TYPE, Ok(HeaderValue::from_static("text/html; charset=utf-8"))),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy)),
        (ERROR_CODE_HEADER, HeaderValue::from_str(&error.code)),
    ];
    for (name, value) in own.drain(..) {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = error.status;
    *response.headers_mut() = headers;
    response
}

/// As text of an element or of a quoted attribute.
fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len().saturating_mul(2));
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_a_page_and_a_program_json() {
        // Firefox, Chromium, Safari.
        for accept in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
             application/signed-exchange;v=b3;q=0.7",
            "application/json;q=0.5, TEXT/HTML",
        ] {
            assert!(wants(Some(accept), None), "{accept}");
        }
        for accept in [
            None,
            Some("*/*"),
            Some("application/json"),
            Some("application/json, text/plain, */*"),
            Some("application/json, text/html;q=0.9"),
            Some("text/html, application/json"),
            Some("text/html;q=0, */*"),
            Some("text/html;q=x"),
        ] {
            assert!(!wants(accept, None), "{accept:?}");
        }
        assert!(!wants(Some("text/html"), Some("provider=workos&skip_http_redirect=true")));
        assert!(wants(Some("text/html"), Some("provider=workos&skip_http_redirect=false")));
    }

    fn wants(accept: Option<&str>, query: Option<&str>) -> bool {
        let headers = accept.map(|accept| (header::ACCEPT, accept.parse().unwrap())).into_iter().collect();
        assert!(!is_wanted("/token", query, &headers));
        ENDPOINTS.iter().all(|endpoint| is_wanted(endpoint, query, &headers))
    }

    #[test]
    fn nothing_of_a_message_is_markup() {
        assert_eq!(escaped("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
        assert_eq!(escaped("plain"), "plain");
    }
}
