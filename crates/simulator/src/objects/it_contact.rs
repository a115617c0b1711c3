//! The people at a customer who set single sign-on and directories up.

use serde::Serialize;

use crate::clock::Timestamp;

/// The IT contact of WorkOS's SDKs; its OpenAPI file of 2026-08 does not know it yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "it_contact")]
pub(crate) struct ItContact {
    pub id: String,
    pub email: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(skip)]
    pub organization_id: String,
    /// What the set-up link that was mailed is for; `None`: there is none that is active.
    #[serde(skip)]
    pub invited_to: Option<Vec<String>>,
}
