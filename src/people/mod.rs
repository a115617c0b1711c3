//! People and sessions that do not come through WorkOS: what an administrator makes, and what tests of policies need.
//!
//! | file | to change |
//! |---|---|
//! | `user.rs` | `auth.create_user` |
//! | `session.rs` | `auth.create_session` |
//! | `as_user.rs` | `auth.as_user` |
//!
//! What may be asked for is `core::people`.

mod as_user;
mod session;
mod user;

pub use as_user::{as_user, end_sessions_before_commit, transaction_ended};
pub use session::{Asked, create_session, microseconds};
pub use user::create_user;
