//! The audit log: who did what to whom.

pub mod configuration;
mod entry;

pub use entry::{audit, audit_as};
