//! The course of a sign-in: [`start()`] makes the authorize URL, [`exchange()`] turns the code into a session. In brokered mode
//! [`handle_callback`] stands in between.
//!
//! | file | to change |
//! |---|---|
//! | `start.rs` | what is checked and kept when a sign-in begins; the URL itself is `core::authorize` |
//! | `discovery.rs` | which organization an e-mail address leads to |
//! | `exchange.rs` | the order of an exchange: lock, call, consume, write |
//! | `redemption.rs` | what WorkOS is asked, and by whom: the database, or a broker in two halves |
//! | `selection.rs` | how a sign-in ends of which WorkOS asks for the organization |
//! | `switch.rs` | how a session gets into another organization |
//! | `granted.rs` | what both ask WorkOS |
//! | `link.rs` | how an identity is linked to the account of somebody who is signed in |
//! | `unlink.rs` | how it is unlinked |
//! | `accept.rs` | how the person of another issuer's token becomes known |
//! | `callback.rs` | brokered mode: what becomes of WorkOS's redirect; the URLs themselves are `core::callback` |
//! | `refused.rs` | what the audit log and the server's log have of a refused sign-in |
//! | `redirects.rs` | which rules say where a browser may be sent; the rules themselves are `core::redirect` |
//! | `account.rs` | how a decision of `core::accounts` is carried out |
//! | `authkit.rs` | the same of `core::accounts::by_authkit`, for people of AuthKit |

mod accept;
mod account;
mod authkit;
mod callback;
mod discovery;
mod exchange;
mod granted;
mod link;
mod redemption;
mod redirects;
mod refused;
mod selection;
mod start;
mod switch;
mod unlink;

pub use accept::accept;
pub use account::{change_email, lock_email, lock_identity};
pub use callback::{CallbackQuery, CallbackStep, callback_answer, callback_request, handle_callback};
pub use discovery::{organization_for_email, start_by_email};
pub use exchange::{
    ExchangeRequest, Exchanged, exchange, exchange_answer, exchange_request, try_exchange, try_exchange_answer,
};
pub use link::link;
pub use redemption::CarriedRequest;
pub use selection::{SelectionRequest, select};
pub use start::{SignInRequest, StartedSignIn, start, start_with_verifier};
pub use switch::switch;
pub use unlink::unlink;
