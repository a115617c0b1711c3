//! People of AuthKit, their memberships and sessions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Timestamp;

/// The User object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "user")]
pub(crate) struct UserObject {
    pub id: String,
    pub email: String,
    pub email_verified: bool,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub name: Option<String>,
    pub profile_picture_url: Option<String>,
    pub external_id: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub last_sign_in_at: Option<Timestamp>,
    pub locale: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A membership. Events show less of it than the REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MembershipObject {
    pub id: String,
    pub user_id: String,
    pub organization_id: String,
    pub status: MembershipStatus,
    pub directory_managed: bool,
    /// Slugs; the first is `role`.
    pub roles: Vec<String>,
    /// What a deactivation took away, for the reactivation.
    pub earlier_roles: Option<Vec<String>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether a membership counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as their names say")]
pub enum MembershipStatus {
    #[default]
    Active,
    Inactive,
    Pending,
}

/// The Session object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "session")]
pub(crate) struct SessionObject {
    pub id: String,
    pub user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    pub auth_method: String,
    pub status: SessionStatus,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether a session lives. There is no event of one that expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SessionStatus {
    Active,
    Revoked,
}

impl MembershipObject {
    /// As events have it: "the event form has no user".
    pub fn event_json(&self) -> Value {
        json!({
            "object": "organization_membership",
            "id": self.id,
            "user_id": self.user_id,
            "organization_id": self.organization_id,
            "status": self.status,
            "directory_managed": self.directory_managed,
            "role": self.roles.first().map(|slug| json!({ "slug": slug })),
            "roles": self.roles.iter().map(|slug| json!({ "slug": slug })).collect::<Vec<_>>(),
            "custom_attributes": {},
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }

    /// As the REST API has it.
    pub fn json(&self, user: Option<&UserObject>, organization_name: Option<&str>) -> Value {
        let mut object = self.event_json();
        object["user"] = json!(user);
        if let Some(name) = organization_name {
            object["organization_name"] = name.into();
        }
        object
    }
}
