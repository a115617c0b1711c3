//! Refresh tokens, and what becomes of a session when one is presented.
//!
//! A token passes three gates, each by a type that only the one before it gives:
//! [`Presented::parse`] (its form), [`Presented::authenticate`] (its tag), [`decide`] (what becomes of the session).

mod decision;
mod refusal;
#[cfg(test)]
mod tests;
mod theft_order;
mod token;

pub use decision::{Moment, RefreshDecision, RefreshLimits, SessionRow, Theft, decide};
pub use refusal::RefreshRefusal;
pub use theft_order::TheftOrder;
pub use token::{Authentic, Parts, Presented, mint};
