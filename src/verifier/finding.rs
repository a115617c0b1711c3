//! One finding of `auth.check()`.

/// One row of `auth.check()`.
pub struct Finding {
    /// error, warning or info
    pub severity: &'static str,
    /// what it is about
    pub object: String,
    /// what is wrong
    pub finding: String,
    /// the one statement that mends it
    pub remedy: String,
}

/// A remedy that no statement is.
pub fn by_hand(what: &str) -> String {
    format!("SELECT '{}' AS by_hand;", what.replace('\'', "''"))
}
