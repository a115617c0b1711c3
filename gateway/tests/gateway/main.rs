//! The tests of the gateway as a program: one test program, one Postgres cluster for all tests that change nothing that is the cluster's, and
//! a database for each of them. tests/README.md says more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "they read what the gateway wrote")]

mod common;

/// From `/authorize` to a session, and what becomes of it.
mod sign_in {
    mod authkit;
    mod clients;
    mod ends;
    mod flows;
    mod idp_initiated;
    mod linking;
    mod sso;
}

/// What clients send that is wrong, or meant to do harm.
mod requests {
    mod bad_requests;
    mod injection;
    mod pages;
    mod secrets;
    mod switched_off;
    mod tokens_of_issuers;
    mod visitors;
    mod webhooks;
}

/// The server itself: connections, limits, TLS, signals, figures, log.
mod serving {
    mod command_lines;
    mod figures;
    mod limits;
    mod log;
    mod operation;
    mod places;
    mod tls;
}

/// What the database does, and what becomes of requests then.
mod database {
    mod asking;
    mod encryption;
    mod failover;
    mod pgbouncer;
    mod refusals;
    mod restart;
    mod root_key;
    mod sign_ins;
    mod trouble;
}
