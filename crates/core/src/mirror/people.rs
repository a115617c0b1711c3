//! Roles, and memberships of AuthKit.

use serde_json::Value;

use super::moment::Moment;
use super::reading::{Object, Read};

/// The one state in which a membership, or a directory user, counts.
pub const ACTIVE: &str = "active";

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// whose it is; none for one of the whole environment
    pub organization_id: Option<String>,
    /// its name in tokens
    pub slug: String,
    /// what it allows; `None` where that is not said
    pub permissions: Option<Vec<String>>,
    /// when it last changed
    pub updated_at: Moment,
}

/// A membership of somebody in an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// `om_…`
    pub id: String,
    /// where
    pub organization_id: String,
    /// who: `user_…`
    pub user_id: String,
    /// `active`, `inactive`, `pending`
    pub status: String,
    /// whether a directory decides about it
    pub directory_managed: bool,
    /// slugs of the roles; the first is the one of `role`
    pub roles: Vec<String>,
    /// when it last changed
    pub updated_at: Moment,
}

impl Role {
    /// Reads it as an event shows it, or the list of an organization's roles, which does not say whose they are: that of `organization_id`,
    /// where WorkOS says that it is the organization's own. `None` for a role on something else than organizations, which no token has.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value, organization_id: Option<&str>) -> Read<Option<Self>> {
        let object = Object::new("role", value)?;
        if !matches!(object.value("resource_type_slug").as_str(), None | Some("organization")) {
            return Ok(None);
        }
        let is_environments = object.value("type").as_str() == Some("EnvironmentRole");
        let organization_id = match object.optional_id("organization_id", "org_")? {
            None if is_environments => None,
            None => organization_id.map(str::to_owned),
            id => id,
        };
        Ok(Some(Self {
            organization_id,
            slug: object.slug("slug")?,
            permissions: object.slugs("permissions")?,
            updated_at: object.moment("updated_at")?,
        }))
    }
}

impl Membership {
    /// Reads it as an event or a list shows it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        let object = Object::new("membership", value)?;
        Ok(Self {
            id: object.id("id", "om_")?,
            organization_id: object.id("organization_id", "org_")?,
            user_id: object.id("user_id", "user_")?,
            status: object.word("status")?,
            directory_managed: object.flag("directory_managed"),
            roles: roles(&object)?,
            updated_at: object.moment("updated_at")?,
        })
    }

    /// Whether the person may come in.
    pub fn is_active(&self) -> bool {
        self.status == ACTIVE
    }
}

/// `role` and `roles`, of which one may be missing.
pub(super) fn roles(object: &Object) -> Read<Vec<String>> {
    let first = object.slug_of("role")?;
    let mut roles: Vec<String> = first.into_iter().collect();
    for slug in object.slugs_of("roles")?.unwrap_or_default() {
        if !roles.contains(&slug) {
            roles.push(slug);
        }
    }
    Ok(roles)
}
