//! The parameters of a query or a form.

use url::form_urlencoded;

use crate::error::{ApiError, Result};
use crate::json::without_nul;

/// Names and values in their order. What is empty counts as absent, as Supabase Auth has it.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// 400 `validation_failed` for a NUL character.
    pub fn parse(encoded: &[u8]) -> Result<Self> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(encoded) {
            without_nul("A parameter", &name)?;
            without_nul("A parameter", &value)?;
            if !value.is_empty() {
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self(pairs))
    }

    /// The same, where what holds a NUL character counts as absent.
    pub fn parse_usable(encoded: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(encoded)
            .filter(|(name, value)| !value.is_empty() && !name.contains('\0') && !value.contains('\0'))
            .map(|(name, value)| (name.into_owned(), value.into_owned()));
        Self(pairs.collect())
    }

    /// The one value of this name.
    ///
    /// # Errors
    /// 400 `validation_failed` where it stands more than once (RFC 6749, section 3.1).
    pub fn one(&self, name: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::validation(format!("The parameter {name} stands more than once"))),
        }
    }

    /// The value of this name where it stands once.
    pub fn single(&self, name: &str) -> Option<&str> {
        self.one(name).ok().flatten()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
