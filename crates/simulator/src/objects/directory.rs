//! Directories, and their users and groups.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::objects::organization::OrganizationObject;

/// A directory. Events and the REST API have different words for its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryObject {
    pub id: String,
    pub organization_id: String,
    pub kind: String,
    pub name: String,
    pub state: DirectoryState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The state of a directory, in the words of the REST API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "WorkOS's own words, which it does not explain further")]
pub enum DirectoryState {
    #[default]
    Linked,
    Validating,
    InvalidCredentials,
    Unlinked,
    Deleting,
}

/// A directory user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryUserObject {
    pub id: String,
    pub directory_id: String,
    pub organization_id: String,
    pub idp_id: String,
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub username: Option<String>,
    pub job_title: Option<String>,
    pub state: DirectoryUserState,
    pub role: Option<String>,
    pub custom_attributes: BTreeMap<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether a directory user may come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryUserState {
    /// Assigned.
    #[default]
    Active,
    /// In WorkOS's OpenAPI file, and nowhere explained.
    Suspended,
    /// No longer assigned.
    Inactive,
}

/// A group of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "directory_group")]
pub(crate) struct DirectoryGroupObject {
    pub id: String,
    pub idp_id: String,
    pub directory_id: String,
    pub organization_id: String,
    pub name: String,
    pub raw_attributes: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Ids of directory users.
    #[serde(skip)]
    pub members: IndexSet<String>,
}

impl DirectoryObject {
    /// As the REST API has it; `users` says how many are active and how many are not.
    pub fn json(&self, users: (usize, usize), groups: usize) -> Value {
        let mut object = self.common();
        object["external_key"] = self.external_key().into();
        object["state"] = json!(self.state);
        object["metadata"] = json!({ "users": { "active": users.0, "inactive": users.1 }, "groups": groups });
        object
    }

    /// As `dsync.activated` has it.
    pub fn activated_json(&self, organization: Option<&OrganizationObject>) -> Value {
        let mut object = self.common();
        object["external_key"] = self.external_key().into();
        object["state"] = "active".into();
        let domains = organization.map(|own| own.domains_of("organization_domain", "org_domain_"));
        object["domains"] = domains.unwrap_or_default().into();
        object
    }

    /// As `dsync.deleted` has it.
    pub fn deleted_json(&self) -> Value {
        let mut object = self.common();
        object["state"] = "deleting".into();
        object
    }

    fn external_key(&self) -> String {
        format!("key_{}", self.id)
    }

    fn common(&self) -> Value {
        json!({
            "object": "directory",
            "id": self.id,
            "organization_id": self.organization_id,
            "type": self.kind,
            "name": self.name,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}

impl DirectoryUserObject {
    /// As events have it; the REST API adds the groups.
    pub fn json(&self) -> Value {
        let name: Vec<_> = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        let mut object = json!({
            "object": "directory_user",
            "id": self.id,
            "directory_id": self.directory_id,
            "organization_id": self.organization_id,
            "idp_id": self.idp_id,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "name": (!name.is_empty()).then(|| name.join(" ")),
            "emails": self.email.iter().map(|email| json!({ "primary": true, "type": "work", "value": email })).collect::<Vec<_>>(),
            "username": self.username,
            "job_title": self.job_title,
            "state": self.state,
            "raw_attributes": {},
            "custom_attributes": self.custom_attributes,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        });
        if let Some(slug) = &self.role {
            object["role"] = json!({ "slug": slug });
            object["roles"] = json!([{ "slug": slug }]);
        }
        object
    }
}
