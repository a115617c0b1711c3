//! What reading a profile comes to, beside the profile.

use crate::error::{Error, ErrorCode};

/// What of a profile was left out, since it cannot be kept: half a sentence that names the member and shows nothing of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut(pub String);

/// Why a profile signs nobody in.
#[derive(Debug)]
pub struct Refusal {
    code: ErrorCode,
    /// A sentence without its full stop, that names members and never shows values.
    why: String,
    hint: Option<String>,
}

impl Refusal {
    /// With a sentence of its own.
    pub fn new(code: ErrorCode, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), hint: None }
    }

    /// Of a member that a customer maps: at their identity provider, or in the WorkOS dashboard.
    pub fn of_mapped(code: ErrorCode, member: &str, why: &str, remedy: &str) -> Self {
        let hint = format!("Map {member} {remedy}, at the identity provider or in the WorkOS dashboard.");
        Self { hint: Some(hint), ..Self::new(code, format!("The profile's {member} {why}")) }
    }

    /// Of a member that WorkOS itself gives.
    pub fn of_workos(code: ErrorCode, member: &str, why: &str) -> Self {
        let hint =
            format!("WorkOS gives {member}: look at the profile in the WorkOS dashboard, and report it to WorkOS.");
        Self { hint: Some(hint), ..Self::new(code, format!("The profile's {member} {why}")) }
    }

    /// As an error; `request` says which request it was, and is empty where nobody knows.
    pub fn into_error(self, request: &str) -> Error {
        let error = Error::with_detail(self.code, format!("{}{request}.", self.why));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// What reading a part of a profile comes to.
pub type Read<T> = Result<T, Refusal>;
