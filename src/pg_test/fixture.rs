//! What the tests share.

use std::path::Path;

use pgrx::prelude::*;
use workos_auth_core::ErrorCode;

use crate::postgres::runs::without_running_queries;
use crate::settings;

/// The setting that says where the simulator is.
pub const SIMULATOR_URL: &str = "pg_test.simulator_url";
/// A client of the simulator, its API key and its redirect URI.
const CLIENT: [&str; 3] = ["client_demo", "sk_test_demo", "http://localhost:3000/callback"];

/// Runs SQL as if the client had sent it: the query that runs the test is not around it.
pub fn run(sql: &str) {
    without_running_queries(|| Spi::run(sql).unwrap());
}

/// The one value of a query, as text; `None` for NULL.
pub fn text_or_null(value: &str) -> Option<String> {
    without_running_queries(|| Spi::get_one::<String>(&format!("select ({value})::text")).unwrap())
}

/// The one value of a query, as text.
pub fn text(value: &str) -> String {
    text_or_null(value).unwrap_or_else(|| panic!("{value} is NULL"))
}

/// As an SQL literal.
pub fn quoted(text: &str) -> String {
    pgrx::spi::quote_literal(text)
}

/// The SQLSTATE that a statement is refused with.
pub fn sqlstate_of(statement: &str) -> String {
    // Not by a function: a query that calls one would be pinned too.
    run(&format!(
        "do $sqlstate_of$ begin
             execute {}; perform set_config('pg_test.sqlstate', 'nothing was refused', true);
         exception when others then perform set_config('pg_test.sqlstate', sqlstate, true);
         end $sqlstate_of$",
        quoted(statement)
    ));
    text("current_setting('pg_test.sqlstate')")
}

/// Whether a statement is refused for this reason.
pub fn assert_refused(statement: &str, code: ErrorCode) {
    assert_eq!(sqlstate_of(statement), code.sqlstate(), "{statement}");
}

/// Sets the extension up against the simulator, for this transaction.
pub fn configure() {
    // One test at a time: an installation is one row of the database, and a setting of a role.
    run("select pg_advisory_xact_lock(hashtext('workos_auth_pg_test'))");
    let key = settings::root_key_files().unwrap().remove(0);
    if !Path::new(&key).exists() {
        run(&format!("select auth.create_root_key(path => {})", quoted(&key.to_string_lossy())));
    }
    let [id, secret, redirect_uri] = CLIENT;
    run(&format!(
        "select auth.configure_workos(client_id => '{id}', client_secret => '{secret}', redirect_uri => '{redirect_uri}',
                                      api_url => current_setting('{SIMULATOR_URL}'))"
    ));
    run("insert into auth.redirect_urls (pattern) values ('http://localhost:3000/**')");
    // The test is a superuser, whom row-level security does not bind.
    run("set local workos_auth.rls_guard = 'off'");
}

/// Somebody with a session.
pub struct Person {
    pub id: String,
    pub email: &'static str,
    pub token: String,
}

impl Person {
    /// Makes somebody, in an extension that is set up.
    pub fn new(email: &'static str) -> Self {
        let id = text(&format!("select auth.create_user(email => '{email}')"));
        let token = text(&format!("select access_token from auth.create_session(user_id => '{id}')"));
        Self { id, email, token }
    }

    /// The call that makes this person the current one.
    pub fn set_session(&self) -> String {
        format!("auth.set_session({})", quoted(&self.token))
    }

    /// Makes this person the current one.
    pub fn become_current(&self) {
        run(&format!("select {}", self.set_session()));
    }
}

/// An extension that is set up, with two people in it.
pub fn two_people() -> (Person, Person) {
    configure();
    (Person::new("alice@acme.com"), Person::new("bob@globex.com"))
}
