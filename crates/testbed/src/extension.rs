//! Which SQL of the extension a database gets.

/// The release whose SQL whole suites run against: the variable `WORKOS_AUTH_SQL_VERSION` in the environment. Without it, the newest.
pub fn sql_version() -> Option<String> {
    std::env::var("WORKOS_AUTH_SQL_VERSION").ok()
}

/// The statement that makes it; without a version, the newest.
pub fn create_extension(version: Option<&str>) -> String {
    let of_version = version.map(|version| format!(" version '{version}'")).unwrap_or_default();
    format!("create extension workos_auth{of_version}")
}
