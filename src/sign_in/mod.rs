//! The course of a sign-in: [`start`] makes the authorize URL, [`exchange`] turns the code into a session. In brokered mode
//! [`handle_callback`] stands in between.
//!
//! | file | to change |
//! |---|---|
//! | `start.rs` | what is checked and kept when a sign-in begins; the URL itself is `core::authorize` |
//! | `exchange.rs` | the order of an exchange: guard, call, consume, write |
//! | `callback.rs` | brokered mode: what becomes of WorkOS's redirect; the URLs themselves are `core::callback` |
//! | `account.rs` | how a decision of `core::accounts` is carried out |

mod account;
mod callback;
mod exchange;
mod start;

pub use callback::{Callback, handle_callback};
pub use exchange::{Exchange, exchange};
pub use start::{Begin, start, start_with_verifier};
