//! Roles, of the environment and of one organization.

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// A role. Events and the REST API show it in different ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleObject {
    pub id: String,
    /// `None`: the environment's.
    pub organization_id: Option<String>,
    pub slug: String,
    pub name: String,
    pub permissions: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl RoleObject {
    /// `role` or `organization_role`: what its events begin with, and its object's name in them.
    pub fn kind(&self) -> &'static str {
        if self.organization_id.is_some() { "organization_role" } else { "role" }
    }

    /// As events have it: a role of the environment without its name.
    pub fn event_json(&self) -> Value {
        let mut object = json!({
            "object": self.kind(),
            "slug": self.slug,
            "resource_type_slug": "organization",
            "permissions": self.permissions,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        });
        if let Some(organization) = &self.organization_id {
            object["organization_id"] = organization.as_str().into();
            object["name"] = self.name.as_str().into();
            object["description"] = Value::Null;
        }
        object
    }

    /// As the REST API has it.
    pub fn json(&self) -> Value {
        json!({
            "object": "role",
            "id": self.id,
            "slug": self.slug,
            "name": self.name,
            "description": null,
            "type": if self.organization_id.is_some() { "OrganizationRole" } else { "EnvironmentRole" },
            "resource_type_slug": "organization",
            "permissions": self.permissions,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        })
    }
}
