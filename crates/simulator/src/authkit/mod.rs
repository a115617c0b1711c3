//! AuthKit: `GET /user_management/authorize`, `POST /user_management/authenticate` and `GET /user_management/sessions/logout`.
//!
//! The hosted pages are not played: whoever is named by `login_hint` signs in at once, or the first person there is. What the pages ask for
//! before they give out a code, `authenticate` refuses here, as it does for those who go past them (WorkOS's OpenAPI file of 2026-08-07).

pub(crate) mod authenticate;
pub(crate) mod authorize;
mod grants;
pub(crate) mod logout;
mod signing_in;
