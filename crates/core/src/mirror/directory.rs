//! Directories, their users and groups.

use serde_json::Value;

use super::moment::Moment;
use super::people::{ACTIVE, roles};
use super::reading::{Object, Read};
use crate::accounts::fold_email;
use crate::email;

/// The longest id of an identity provider, in bytes: an index cannot hold a much longer one. Whose is longer has none, and is compared by the address.
const LONGEST_ID: usize = 1000;

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// `directory_…`
    pub id: String,
    /// whose it is
    pub organization_id: Option<String>,
    /// such as `okta scim v2.0`
    pub kind: Option<String>,
    /// what people call it
    pub name: Option<String>,
    /// in the words of the REST API, which are others than those of events
    pub state: String,
    /// when it last changed
    pub updated_at: Moment,
}

/// Somebody in a directory.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryUser {
    /// `directory_user_…`
    pub id: String,
    /// where
    pub directory_id: String,
    /// whose directory it is
    pub organization_id: Option<String>,
    /// the identity provider's own id of the person
    pub idp_id: Option<String>,
    /// the address, in lower case (ASCII letters); `None` for what is no address
    pub email: Option<String>,
    /// `active`, or a state in which the person has left
    pub state: String,
    /// slugs of the roles that the directory's groups give; the first is the one of `role`
    pub roles: Vec<String>,
    /// attributes that the WorkOS dashboard maps
    pub custom_attributes: Value,
    /// when anything changed but for groups
    pub updated_at: Moment,
}

/// A group of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGroup {
    /// `directory_group_…`
    pub id: String,
    /// where
    pub directory_id: String,
    /// whose directory it is
    pub organization_id: Option<String>,
    /// the identity provider's own id of it
    pub idp_id: Option<String>,
    /// what people call it
    pub name: String,
    /// when it last changed
    pub updated_at: Moment,
}

impl Directory {
    /// Reads it as an event or a list shows it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        let object = Object::new("directory", value)?;
        Ok(Self {
            id: object.id("id", "")?,
            organization_id: object.optional_id("organization_id", "org_")?,
            kind: object.text("type"),
            name: object.text("name"),
            state: match object.word("state")?.as_str() {
                "active" => "linked".to_owned(),
                "inactive" => "unlinked".to_owned(),
                state => state.to_owned(),
            },
            updated_at: object.moment("updated_at")?,
        })
    }
}

impl DirectoryUser {
    /// As [`Directory::read`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        let object = Object::new("directory user", value)?;
        let address = object.text("email").map(|address| fold_email(address.trim()));
        Ok(Self {
            id: object.id("id", "")?,
            directory_id: object.id("directory_id", "")?,
            organization_id: object.optional_id("organization_id", "org_")?,
            idp_id: object.text("idp_id").filter(|id| id.len() <= LONGEST_ID),
            email: address.filter(|address| email::parse(address).is_ok()),
            state: object.word("state")?,
            roles: roles(&object)?,
            custom_attributes: object.attributes("custom_attributes"),
            updated_at: object.moment("updated_at")?,
        })
    }

    /// Whether the person may come in: in every other state they may not.
    pub fn is_active(&self) -> bool {
        self.state == ACTIVE
    }
}

impl DirectoryGroup {
    /// As [`Directory::read`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        let object = Object::new("directory group", value)?;
        Ok(Self {
            id: object.id("id", "")?,
            directory_id: object.id("directory_id", "")?,
            organization_id: object.optional_id("organization_id", "org_")?,
            idp_id: object.text("idp_id"),
            name: object.text("name").unwrap_or_default(),
            updated_at: object.moment("updated_at")?,
        })
    }
}
