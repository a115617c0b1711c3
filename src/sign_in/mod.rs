//! The course of a sign-in: [`start()`] makes the authorize URL, [`exchange()`] turns the code into a session. In brokered mode
//! [`handle_callback`] stands in between.
//!
//! | file | to change |
//! |---|---|
//! | `start.rs` | what is checked and kept when a sign-in begins; the URL itself is `core::authorize` |
//! | `exchange.rs` | the order of an exchange: lock, call, consume, write |
//! | `link.rs` | how an identity is linked to the account of somebody who is signed in |
//! | `unlink.rs` | how it is unlinked |
//! | `callback.rs` | brokered mode: what becomes of WorkOS's redirect; the URLs themselves are `core::callback` |
//! | `redirects.rs` | which rules say where a browser may be sent; the rules themselves are `core::redirect` |
//! | `account.rs` | how a decision of `core::accounts` is carried out |

mod account;
mod callback;
mod exchange;
mod link;
mod redirects;
mod start;
mod unlink;

pub use account::{lock_email, lock_identity};
pub use callback::{CallbackQuery, handle_callback};
pub use exchange::{ExchangeRequest, exchange};
pub use link::link;
pub use start::{SignInRequest, StartedSignIn, start, start_with_verifier};
pub use unlink::unlink;
