//! The life of a session: opened by a sign-in, refreshed, and ended when a token of it was stolen.
//!
//! | file | to change |
//! |---|---|
//! | `open.rs` | what a new session holds |
//! | `presented.rs` | how a presented refresh token is judged, and its decision carried out |
//! | `refresh.rs` | what a refresh gives, and what it looks at besides |
//! | `moved.rs` | how a session goes on in another organization |
//! | `theft.rs` | how a session ends that was stolen |
//! | `session.rs` | what the caller is given |
//! | `tokens.rs` | what a session's tokens are made of; the access token itself is `core::claims`, the refresh token `core::refresh_token` |

mod moved;
mod open;
mod presented;
mod refresh;
mod session;
mod theft;
mod tokens;

pub use moved::go_on;
pub use open::{Opening, open};
pub use presented::Presentation;
pub use refresh::refresh;
pub use session::Session;
