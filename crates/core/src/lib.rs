//! The rules of `workos_auth`, free of Postgres and of I/O, so that they can be read and tested in seconds.
//!
//! | module | what it decides |
//! |---|---|
//! | [`error`] | every failure: SQLSTATE, name, message, hint |
//! | [`pkce`] | code verifiers and challenges (RFC 7636) |
//! | [`redirect`] | where a browser may be sent after a sign-in |
//! | [`authorize`] | the authorize URL and its parameters |
//! | [`callback`] | WorkOS's redirect in brokered mode: our own code, and where the browser goes |
//! | [`workos`] | WorkOS's requests and answers |
//! | [`mirror`] | WorkOS's events, and what they tell of |
//! | [`installation`] | where an installation lives, and what is a copy of it |
//! | [`refused_sign_in`] | what is written down of a sign-in that was refused |
//! | [`accounts`] | whose account a profile belongs to |
//! | [`claims`] | what an access token says |
//! | [`user`] | a user as Supabase Auth shows them, and what they may change |
//! | [`email`] | what an e-mail address is |
//! | [`workos_id`] | what an id of WorkOS is |
//! | [`hook`] | which function may be a hook, and what one may change |
//! | [`lock_name`] | what locks are called where everybody sees them |
//! | [`metadata`] | what is kept of a profile beside its columns |
//! | [`admin`] | people and sessions that do not come through WorkOS |
//! | [`customers`] | what may be said of a customer who is set up at WorkOS |
//! | [`signing_key`] | the keys of access tokens (RFC 7517) |
//! | [`token`] | signing and verifying access tokens (RFC 7515, 7519) |
//! | [`verifier`] | what a database believes that verifies what another one signs |
//! | [`trusted_issuer`] | tokens that somebody else signed: whose keys, which kind, what their claims mean |
//! | `token_hash` | what a token is known by before anybody has looked into it |
//! | [`refresh_token`] | refresh tokens, and what becomes of a session when one is presented |
//! | [`json`] | JSON from outside: the one way in |
//! | `jsonb` | what Postgres can hold of what JSON can say, and how |
//! | [`call_hash`] | what a call with secrets among its arguments is known by |
//! | [`worker`] | when the background worker does what |
//! | [`random`] | randomness |
//! | [`seal`] | sealing secrets under data keys and the root key |
//! | [`secret`] | types of values that must not be seen |
//! | `session_model` | what tests compare sessions with; there with the feature `model` alone |

#![forbid(unsafe_code)]

pub mod accounts;
pub mod admin;
pub mod authorize;
pub mod call_hash;
pub mod callback;
pub mod claims;
pub mod customers;
pub mod email;
pub mod email_copies;
pub mod error;
pub mod hook;
pub mod import;
pub mod installation;
pub mod json;
pub mod jsonb;
pub mod lock_name;
pub mod metadata;
pub mod mirror;
pub mod pkce;
pub mod random;
pub mod redirect;
pub mod refresh_token;
pub mod refused_sign_in;
pub mod seal;
pub mod secret;
#[cfg(any(test, feature = "model"))]
pub mod session_model;
pub mod signing_key;
pub mod token;
mod token_hash;
pub mod trusted_issuer;
pub mod user;
pub mod verifier;
pub mod worker;
pub mod workos;
pub mod workos_id;

pub use error::{Error, ErrorCode, Result};
