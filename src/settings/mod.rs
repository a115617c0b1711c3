//! Every setting of the extension, with the help text a DBA reads in `pg_settings`.
//!
//! All but `workos_auth.session_token` (see `current_session::token`) are superuser-only.
//!
//! | file | what is in it |
//! |---|---|
//! | `variables.rs` | the variables that Postgres keeps the settings in |
//! | `declarations.rs` | names, help texts, limits |
//! | `values.rs` | what they say now |
//! | `stored.rs` | what is wrong with settings where nobody looked at them |
//! | `prefix.rs` | what is done to all of them while the library is loaded |

mod declarations;
mod prefix;
mod stored;
mod values;
mod variables;

pub use declarations::define;
pub use prefix::{flags, refuse_options, reserve_prefix, settle_flags};
pub use stored::{finding, is_preloaded};
pub use values::*;
pub use variables::{Deprovision, RlsGuard};
