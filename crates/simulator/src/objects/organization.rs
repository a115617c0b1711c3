//! Organizations and their domains.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Timestamp;

/// The Organization object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "organization")]
pub(crate) struct OrganizationObject {
    pub id: String,
    pub name: String,
    pub domains: Vec<DomainObject>,
    pub metadata: BTreeMap<String, String>,
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_customer_id: Option<String>,
    pub allow_profiles_outside_organization: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The Organization Domain object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "organization_domain")]
pub(crate) struct DomainObject {
    pub id: String,
    pub organization_id: String,
    pub domain: String,
    pub state: DomainState,
    pub verification_strategy: VerificationStrategy,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_token: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether an organization has shown that a domain is its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainState {
    /// WorkOS looks for the TXT record.
    Pending,
    /// By the TXT record, or by whoever has the API key.
    Verified,
    /// WorkOS no longer looks for the TXT record.
    Failed,
}

/// How a domain is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerificationStrategy {
    /// By a TXT record.
    Dns,
    /// By the word of whoever has the API key.
    Manual,
}

impl OrganizationObject {
    /// The domains that are verified: a pending one says nothing.
    pub fn verified_domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().filter(|domain| domain.state == DomainState::Verified).map(|domain| domain.domain.as_str())
    }

    /// As `domains` of a connection or a directory: `object` says of which.
    pub fn domains_of(&self, object: &str, prefix: &str) -> Vec<Value> {
        let of_domain = |domain| json!({ "object": object, "id": format!("{prefix}{domain}"), "domain": domain });
        self.verified_domains().map(of_domain).collect()
    }
}
