//! The life of a session: opened by a sign-in, refreshed, and ended when a token of it was stolen.
//!
//! | file | to change |
//! |---|---|
//! | `open.rs` | what a new session holds |
//! | `refresh.rs` | how a decision of `core::refresh_token` is carried out |
//! | `theft.rs` | how a session ends that was stolen |
//! | `session.rs` | what the caller is given |
//! | `tokens.rs` | what a session's tokens are made of; the access token itself is `core::claims`, the refresh token `core::refresh_token` |

mod open;
mod refresh;
mod session;
mod theft;
mod tokens;

pub use open::{Opening, open};
pub use refresh::refresh;
pub use session::Session;
