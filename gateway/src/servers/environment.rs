//! libpq's environment: what stands where a connection string says nothing.

use std::collections::HashMap;
use std::path::PathBuf;

use nix::unistd::{User, geteuid};

use super::error::ServersError;

/// Variables of libpq's that mean something which would be missing.
const UNSUPPORTED: [&str; 8] = [
    "PGSERVICE",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLCERTMODE",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
];

/// The variables, an empty one counting as absent.
#[derive(Debug, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// Of this process.
    pub fn of_process() -> Self {
        let is_known = |name: &str| name.starts_with("PG") || name == "HOME";
        let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let known = variables.filter(|(name, _)| is_known(name));
        known.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect()
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What libpq would follow and this gateway would not.
    ///
    /// # Errors
    /// The first of them that is set.
    pub fn check(&self) -> Result<(), ServersError> {
        match UNSUPPORTED.iter().find(|name| self.get(name).is_some()) {
            Some(name) => Err(ServersError::Unsupported((*name).to_owned())),
            None => Ok(()),
        }
    }

    /// A file in the home directory.
    pub fn home(&self, path: &str) -> Option<PathBuf> {
        self.get("HOME").map(|home| PathBuf::from(home).join(path))
    }

    /// Who runs this process.
    pub fn user_name(&self) -> Option<String> {
        User::from_uid(geteuid()).ok().flatten().map(|user| user.name)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
