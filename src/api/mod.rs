//! The SQL functions, grouped by what they are for. Each is declared, with its labels, rights and COMMENT, in the file of
//! `sql/` with the same name.

mod brokering;
mod customers;
mod identities;
mod mirror;
mod operating;
mod own_account;
mod people_without_workos;
mod reading;
mod setting_up;
mod signing_in;
mod triggers;
mod trusted_issuers;
mod verifiers;
mod versions;
mod workos_sync;
