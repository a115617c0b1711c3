//! The end-to-end tests: one program, one Postgres cluster for all tests that change nothing that is the cluster's, and a database for
//! each of them. tests/README.md says more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// From the authorize URL to a session, and what goes wrong on the way.
mod sign_in {
    mod authorize_url;
    mod bad_exchange;
    mod bad_input;
    mod between_halves;
    mod brokers;
    mod callback;
    mod callback_races;
    mod destinations;
    mod emulator;
    mod first_sign_ins;
    mod hooks;
    mod hooks_failing;
    mod hooks_named;
    mod hooks_rights;
    mod https;
    mod implicit;
    mod json_of_any_names;
    mod network;
    mod queue;
    mod raced_losers;
    mod races;
    mod refused;
    mod same_call;
    mod tried_answers;
    mod whole_flow;
    mod workos_faults;
}

/// Signing in through AuthKit.
mod authkit {
    mod accounts;
    mod brokered;
    mod departures;
    mod emulated_sign_ins;
    mod exchanging;
    mod refusals;
    mod select_organization;
    mod sessions;
    mod signing_out;
    mod starting;
    mod switch_organization;
}

/// Which organization an e-mail address leads to, and organizations whose people sign in through it alone.
mod discovery {
    mod by_email;
    mod required_sso;
}

/// How the mirror of WorkOS is kept: events that are asked for, webhooks, and the comparison with all that WorkOS has.
mod mirror_sync {
    mod findings;
    mod random;
    mod reconciling;
    mod scheduled;
    mod sync_refused;
    mod syncing;
    mod webhooks;
}

/// What WorkOS's events tell, and what follows here.
mod mirror {
    mod groups;
    mod leavers;
    mod meanwhile;
    mod memberships;
    mod organizations;
    mod overdue;
    mod pages;
    mod roles;
    mod who_is_who;
    mod who_may_read;
}

/// Whose account it is, and what is done to people and by people.
mod accounts {
    mod account_vectors;
    mod addresses_and_ids;
    mod decision_table;
    mod find_user;
    mod imports;
    mod joining;
    mod linking;
    mod linking_brokered;
    mod names;
    mod operating;
    mod own_account;
    mod people;
    mod sign_up_triggers;
    mod unlinking;
}

/// How long a session lasts, and what renews and ends it.
mod sessions {
    mod at_once;
    mod cleanup;
    mod crashes;
    mod expiry;
    mod refresh;
    mod refresh_limits;
    mod refresh_moves;
    mod refresh_theft;
    mod refresh_together;
    mod revocation;
    mod session_checks;
    mod session_model;
    mod session_races;
}

/// Which tokens are believed, and what their claims say.
mod tokens {
    mod bad_tokens;
    mod claims;
    mod claims_as_jsonb;
    mod forged_tokens;
    mod issuer_keys;
    mod organizations_of_issuers;
    mod own_tokens;
    mod request_attacks;
    mod trusted_issuers;
    mod trusted_revocation;
    mod visitor_tokens;
}

/// Whom readers and row-level security see.
mod policies {
    mod as_user;
    mod identity_edges;
    mod one_query;
    mod one_query_loading;
    mod parallel;
    mod pooling;
    mod request_claims;
    mod results_outlive_queries;
    mod rls_attacks;
    mod rls_identity;
    mod supabase_tests;
    mod visitors;
    mod walls;
}

/// Whoever attaches, plants, sets or reads something gets no more than they had.
mod rights {
    mod administrators;
    mod attacks;
    mod attacks_postgres_settings;
    mod attacks_reading;
    mod attacks_settings;
    mod cascades;
    mod errors_of_others;
    mod large_arguments;
    mod locks_of_strangers;
    mod others_code;
    mod others_sessions;
    mod privileges;
    mod put_off;
}

/// What stays hidden, and what is written down about whom.
mod secrets {
    mod audit;
    mod backtraces;
    mod lost_root_key;
    mod reseal;
    mod root_key;
    mod root_key_command;
    mod secrecy;
    mod signing_keys;
}

/// Customers that are set up at WorkOS in SQL.
mod customers {
    mod emulated;
    mod refused;
    mod setting_up;
    mod who_may;
}

/// `auth.check()`: every fault is planted, reported, and mended by its own remedy.
mod check {
    use std::sync::LazyLock;

    use workos_testbed::Cluster;

    /// `auth.check()` looks at every role of its cluster, and no other test's are to be among them.
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start().unwrap());

    mod check_accounts;
    mod check_attached;
    mod check_functions;
    mod check_own;
    mod check_people;
    mod check_replaced;
    mod check_rights;
    mod check_settings;
    mod check_sign_up;
    mod check_sound;
    mod check_stored_settings;
    mod check_tables;
}

/// Databases that verify what another one signs.
mod verifiers {
    mod failing_closed;
    mod feeding;
    mod heartbeats;
    mod page;
    mod several;
    mod verifier_only;
}

/// The background worker of a database: what it does, what becomes of failures, and its process.
mod worker {
    use std::sync::LazyLock;

    use workos_testbed::Cluster;

    /// One with the library preloaded, and a worker for each of these databases, which each are a test's. None is there at first.
    static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
        let databases = "worker_cleans, worker_keys, worker_partly, worker_raises, worker_others, worker_dropped, worker_never, worker_follows, worker_behind";
        let databases = format!("workos_auth.worker_databases = '{databases}'");
        Cluster::start_with(&["shared_preload_libraries = 'workos_auth'", &databases]).unwrap()
    });

    mod failing;
    mod following;
    mod processes;
    mod tasks;
}

/// What CREATE EXTENSION makes, and what becomes of it in copies, dumps and standbys.
mod installation {
    mod copies;
    mod install;
    mod installed_files;
    mod moving;
    mod restores;
    mod rights_from_before;
    mod seeds;
    mod standby;
}

/// What the documents say: their SQL runs, and what they show and name is there.
mod documents {
    mod pages;
    mod promises;
    mod reference;
    mod tutorial;
    mod written;
}

/// From one release to the next: a newer library under older SQL, updates, and dumps of an older version.
mod upgrades {
    mod deviations;
    mod dumps;
    mod old_sql;
    mod planted;
    mod rehearsal;
    mod released;
    mod updates;
}
