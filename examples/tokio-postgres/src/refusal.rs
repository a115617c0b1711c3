//! What goes wrong, as an HTTP answer.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use deadpool_postgres::PoolError;
use maud::html;

use crate::cookies::{refresh_cookie, removal, session_cookie};
use crate::page::{page, sign_in_links};

/// A status, a sentence for the person, and a cookie to set or to take away.
pub struct Refusal {
    status: StatusCode,
    message: String,
    cookie: Option<Cookie<'static>>,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), cookie: None }
    }

    pub fn with_cookie(self, cookie: Cookie<'static>) -> Self {
        Self { cookie: Some(cookie), ..self }
    }

    /// Where it is not trouble of ours, nobody is signed in any more.
    pub fn ending_the_session(self) -> Self {
        match self.status {
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                Self { status: StatusCode::UNAUTHORIZED, cookie: None, ..self }
            }
            _ => self,
        }
    }
}

impl From<tokio_postgres::Error> for Refusal {
    /// The SQLSTATE as an HTTP status; the view `auth.error_codes` lists them one by one.
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else { return Self::later(&error) };
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| told.code().code().starts_with(prefix));
        if is(&["WA508", "WA510"]) {
            // Expired, or older than the person's rights: the next request refreshes it.
            Self::new(StatusCode::UNAUTHORIZED, told.message()).with_cookie(removal(session_cookie("")))
        } else if is(&["WA5"]) {
            Self::new(StatusCode::UNAUTHORIZED, told.message()) // no good session any more
        } else if is(&["WA0", "WA2", "WA4", "WA304", "22", "23"]) {
            Self::new(StatusCode::BAD_REQUEST, told.message()) // what the browser sent, or who it is, does not do
        } else {
            Self::later(&error)
        }
    }
}

impl From<PoolError> for Refusal {
    fn from(error: PoolError) -> Self {
        Self::later(&error)
    }
}

impl Refusal {
    fn later(error: &dyn std::error::Error) -> Self {
        eprintln!("{error}: {:?}", error.source().map(ToString::to_string));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "That did not work. Please try again later.")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let cookies = match (self.cookie, self.status) {
            (Some(cookie), _) => Some(CookieJar::new().add(cookie)),
            (None, StatusCode::UNAUTHORIZED) => {
                Some(CookieJar::new().add(removal(session_cookie(""))).add(removal(refresh_cookie(""))))
            }
            (None, _) => None,
        };
        let page = page(html! { p { (self.message) } (sign_in_links()) });
        (self.status, cookies, page).into_response()
    }
}
