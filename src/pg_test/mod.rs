//! The tests inside a backend, which `cargo pgrx test` runs: what can be seen nowhere else.
//!
//! | file | what it tests |
//! |---|---|
//! | `fixture.rs` | nothing: what the tests share |
//! | `running.rs` | which queries are running, and which statement is worked off |
//! | `pinned.rs` | one query, one identity, and what a query keeps |
//! | `answered_once.rs` | the same call within a query is made once |
//! | `values.rs` | values in and out |
//! | `errors.rs` | SQLSTATEs, and what an error leaves behind |
//! | `transactions.rs` | subtransactions, snapshots, settings, time |
//! | `acting.rs` | acting as other roles |
//! | `sessions.rs` | the current session: keys, parallel workers, memory |
//! | `front_page.rs` | the sign-in of the README |
//!
//! The function of a test runs in a backend, as a query of a client that then rolls back. What is marked `cfg(test)` runs in that client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what fails here fails the test")]

mod acting;
mod answered_once;
mod errors;
mod fixture;
mod front_page;
mod pinned;
mod running;
mod sessions;
mod transactions;
mod values;

/// Called by the client before each test.
#[cfg(test)]
pub fn setup(_options: Vec<&str>) {
    client::simulator();
}

/// What the server is started with. Called by the client.
#[cfg(test)]
pub fn postgresql_conf_options() -> Vec<&'static str> {
    client::configuration()
}

#[cfg(test)]
mod client {
    use std::fs;
    use std::sync::LazyLock;

    use workos_simulator::{Options, Simulator};

    use super::fixture::SIMULATOR_URL;

    static SIMULATOR: LazyLock<Simulator> = LazyLock::new(|| Simulator::start(Options::default()).unwrap());

    static CONFIGURATION: LazyLock<Vec<String>> = LazyLock::new(|| {
        // A test has the server make it; this process outlives the server.
        let key = std::env::temp_dir().join(format!("workos_auth_pg_test_{}.key", std::process::id()));
        let written = key.clone();
        pgrx_tests::add_shutdown_hook(move || drop(fs::remove_file(written)));
        vec![
            "shared_preload_libraries = 'workos_auth'".into(),
            format!("workos_auth.root_key_file = '{}'", key.display()),
            format!("{SIMULATOR_URL} = '{}'", simulator().url()),
        ]
    });

    /// WorkOS, in a thread of the client.
    pub fn simulator() -> &'static Simulator {
        &SIMULATOR
    }

    pub fn configuration() -> Vec<&'static str> {
        CONFIGURATION.iter().map(String::as_str).collect()
    }
}
