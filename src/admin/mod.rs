//! People and sessions that do not come through WorkOS: what an administrator makes, and what tests of policies need.
//!
//! | file | to change |
//! |---|---|
//! | `find_user.rs` | `auth.find_user` |
//! | `user.rs` | `auth.create_user` |
//! | `import.rs` | `auth.import_supabase` |
//! | `session.rs` | `auth.create_session` |
//! | `as_user.rs` | `auth.as_user` |
//! | `joining.rs` | `auth.move_identity`, `auth.merge_users` |
//! | `issuers.rs` | `auth.trust_issuer` and its like |
//! | `visitor_token.rs` | `auth.create_visitor_token` |
//! | `customers.rs` | `auth.workos_create_organization` and its like |
//! | `signing_keys.rs` | `auth.add_signing_key` and its like |
//! | `stored_settings.rs` | `auth.reset_setting` |
//! | `sealed_data.rs` | `auth.reseal`, `auth.abandon_sealed_data` |
//!
//! What may be asked for is `core::admin`, and of customers `core::customers`.

mod as_user;
pub mod configure;
pub mod customers;
mod find_user;
mod import;
pub mod issuers;
pub mod joining;
pub mod operating;
pub mod privileges;
pub mod sealed_data;
mod session;
pub mod signing_keys;
pub mod stored_settings;
mod user;
mod visitor_token;

pub use as_user::{as_user, end_sessions_before_commit, transaction_ended};
pub use find_user::find_user;
pub use import::import_supabase;
pub use session::{CreateSessionRequest, create_session, microseconds};
pub use user::create_user;
pub use visitor_token::create_visitor_token;
