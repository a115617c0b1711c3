//! Organizations, their domains and connections.

use serde_json::Value;

use super::moment::Moment;
use super::reading::{Object, Read};
use crate::email;

/// An organization.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    /// `org_…`
    pub id: String,
    /// what people call it
    pub name: Option<String>,
    /// the application's own id of it
    pub external_id: Option<String>,
    /// what the application wrote down of it
    pub metadata: Value,
    /// its domains, verified or not, and all of them; `None` where they are not said
    pub domains: Option<Vec<Domain>>,
    /// when it last changed
    pub updated_at: Moment,
}

/// A domain of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// `org_domain_…`
    pub id: String,
    /// whose it is
    pub organization_id: String,
    /// in lower case; `None` for what no address has behind its `@`
    pub domain: Option<String>,
    /// `verified`, `pending` or another word of WorkOS's
    pub state: String,
    /// when it last changed
    pub updated_at: Moment,
}

/// A connection of single sign-on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// `conn_…`
    pub id: String,
    /// whose it is, if it is of an organization
    pub organization_id: Option<String>,
    /// such as `OktaSAML`
    pub kind: Option<String>,
    /// what people call it
    pub name: Option<String>,
    /// `active`, `inactive` or another word of WorkOS's
    pub state: String,
    /// when it last changed
    pub updated_at: Moment,
}

impl Organization {
    /// Reads it as an event or a list shows it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        let object = Object::new("organization", value)?;
        let id = object.id("id", "org_")?;
        let updated_at = object.moment("updated_at")?;
        let domain = |domain: &Value| Domain::of(domain, Some(&id), Some(updated_at));
        Ok(Self {
            domains: object.list("domains", domain)?,
            name: object.text("name"),
            external_id: object.text("external_id"),
            metadata: object.attributes("metadata"),
            id,
            updated_at,
        })
    }
}

impl Domain {
    /// As [`Organization::read`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        Self::of(value, None, None)
    }

    /// Within an organization a domain may lack what the organization has.
    fn of(value: &Value, organization_id: Option<&str>, updated_at: Option<Moment>) -> Read<Self> {
        let object = Object::new("domain", value)?;
        let domain = object.text("domain").map(|domain| domain.to_ascii_lowercase());
        Ok(Self {
            id: object.slug("id")?,
            organization_id: match organization_id {
                Some(id) => id.to_owned(),
                None => object.id("organization_id", "org_")?,
            },
            domain: domain.filter(|domain| email::is_domain(domain)),
            state: object.word("state")?,
            updated_at: match (object.value("updated_at"), updated_at) {
                (Value::Null, Some(updated_at)) => updated_at,
                _ => object.moment("updated_at")?,
            },
        })
    }
}

impl Connection {
    /// As [`Organization::read`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Read<Self> {
        let object = Object::new("connection", value)?;
        Ok(Self {
            id: object.id("id", "")?,
            organization_id: object.optional_id("organization_id", "org_")?,
            kind: object.text("connection_type"),
            name: object.text("name"),
            state: object.word("state")?,
            updated_at: object.moment("updated_at")?,
        })
    }
}
