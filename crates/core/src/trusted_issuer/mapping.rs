//! Which claim of an issuer's tokens means what.

use serde_json::Value;

use super::kind::Kind;
use super::text::MAX_TEXT;
use crate::error::{Error, Result};
use crate::jsonb::{Members, Node};

/// The most names that lead to a claim.
const MAX_DEPTH: usize = 8;

/// The names from the payload's top down to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<String>);

impl Path {
    fn top(name: &str) -> Option<Self> {
        Some(Self(vec![name.to_owned()]))
    }

    fn read(value: &Value) -> Option<Option<Self>> {
        let is_name = |name: &&str| !name.is_empty() && name.len() <= MAX_TEXT;
        match value {
            Value::Null => Some(None),
            Value::String(name) => is_name(&name.as_str()).then(|| Some(Self(vec![name.clone()]))),
            Value::Array(names) if (1..=MAX_DEPTH).contains(&names.len()) => {
                let names: Option<Vec<String>> =
                    names.iter().map(|name| name.as_str().filter(is_name).map(str::to_owned)).collect();
                names.map(|names| Some(Self(names)))
            }
            _ => None,
        }
    }

    /// The claim, and what an error calls it.
    pub(super) fn find<'a, 'b>(&self, claims: &'b Members<'a>) -> Option<&'b Node<'a>> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |node, name| match node {
            Node::Object(members) => members.get(name),
            _ => None,
        })
    }

    pub(super) fn name(&self) -> String {
        self.0.join(" → ")
    }
}

/// Where a token's claims say what our readers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub(super) organization: Option<Path>,
    /// one role, where `roles` says nothing
    pub(super) role: Option<Path>,
    pub(super) roles: Option<Path>,
    pub(super) groups: Option<Path>,
    pub(super) permissions: Option<Path>,
    pub(super) features: Option<Path>,
    pub(super) email: Option<Path>,
}

impl Mapping {
    /// What is meant where nothing is said.
    pub fn of_kind(kind: Kind) -> Self {
        let top = Path::top;
        let none = Self {
            organization: None,
            role: None,
            roles: None,
            groups: None,
            permissions: None,
            features: None,
            email: top("email"),
        };
        match kind {
            Kind::WorkosAuth => Self {
                organization: top("org_id"),
                roles: top("org_roles"),
                groups: top("groups"),
                permissions: top("permissions"),
                features: top("feature_flags"),
                ..none
            },
            Kind::Authkit => Self {
                organization: top("org_id"),
                role: top("role"),
                roles: top("roles"),
                permissions: top("permissions"),
                features: top("feature_flags"),
                ..none
            },
            Kind::AuthkitM2m => Self { organization: top("org_id"), permissions: top("scope"), email: None, ..none },
            // Which organization is whose, and what a role is called, each identity provider has in its own way.
            Kind::Oidc => Self { groups: top("groups"), ..none },
        }
    }

    /// The same, with what an administrator says: `{"organization": "tid", "roles": ["realm_access", "roles"], "email": null}`.
    ///
    /// # Errors
    /// `validation_failed`
    pub fn read(kind: Kind, claims: &Value) -> Result<Self> {
        let invalid = |why: &str| Error::invalid("claims", why);
        let members = claims.as_object().ok_or_else(|| invalid("it must be a JSON object."))?;
        let mut mapping = Self::of_kind(kind);
        for (name, value) in members {
            let place = match name.as_str() {
                "organization" => &mut mapping.organization,
                "role" => &mut mapping.role,
                "roles" => &mut mapping.roles,
                "groups" => &mut mapping.groups,
                "permissions" => &mut mapping.permissions,
                "features" => &mut mapping.features,
                "email" => &mut mapping.email,
                _ => {
                    return Err(invalid(
                        "its members are organization, role, roles, groups, permissions, features and email.",
                    ));
                }
            };
            *place = Path::read(value).ok_or_else(|| {
                invalid("each member is the name of a claim, a list of the names that lead to it, or null.")
            })?;
        }
        Ok(mapping)
    }
}
