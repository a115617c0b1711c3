//! WorkOS's profile: strict on what a sign-in stands on, lenient on everything else.
//!
//! - A sign-in stands on `id`, `email`, `organization_id` and `connection_id`: what is wrong there refuses it.
//! - Groups, roles and permissions decide what somebody may do, also by what they lack: they are read in every form that says them, and
//!   refused in any other. None is left out.
//! - All else is kept where it can be, and left out where it cannot ([`LeftOut`]).

mod attributes;
mod authkit;
mod grants;
mod outcome;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ErrorCode;
use crate::json::Free;
use crate::{email, workos_id};
pub use authkit::{AuthkitSession, Impersonator};
pub use outcome::LeftOut;
use outcome::{Read, Refusal};

/// Who signed in, as WorkOS tells it (`Profile` of its API reference). No text in it contains NUL, which Postgres
/// cannot store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// `prof_…`; of AuthKit, `user_…`
    pub id: String,
    /// `org_…`; none for OAuth providers without an organization.
    pub organization_id: Option<String>,
    /// `conn_…`; AuthKit does not say it.
    pub connection_id: Option<String>,
    /// Such as `OktaSAML` or `GoogleOAuth`; WorkOS adds to the list, so it is open text.
    pub connection_type: Option<String>,
    /// The identity provider's own id of the person.
    pub idp_id: Option<String>,
    /// As the identity provider tells it, but for blanks around it: an address ([`email::parse`]).
    pub email: String,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Full name.
    pub name: Option<String>,
    /// Slug of the role in the organization.
    pub role: Option<String>,
    /// Slugs of all roles; the one of `role` where WorkOS names no others.
    pub roles: Vec<String>,
    /// The groups that the identity provider tells.
    pub groups: Vec<String>,
    /// Slugs of the permissions, where WorkOS names any.
    #[serde(default)]
    pub permissions: Option<Vec<String>>,
    /// Attributes that the WorkOS dashboard maps: an object, or what there is in its place.
    pub custom_attributes: Free,
    /// What the identity provider sent; empty at WorkOS since April 2026.
    pub raw_attributes: Free,
    /// What AuthKit says besides, where it was asked.
    #[serde(default)]
    pub authkit: Option<AuthkitSession>,
}

/// What an answer of AuthKit says beside its `user`.
#[derive(Debug)]
pub(super) struct Membership {
    /// `org_…`
    pub organization_id: Option<String>,
    /// Slug of the role there.
    pub role: Option<String>,
    /// Slugs of all roles there.
    pub roles: Vec<String>,
    /// Slugs of the permissions there.
    pub permissions: Vec<String>,
}

impl Profile {
    /// Whether somebody vouches that the address is the person's: the identity provider, or AuthKit, which then has verified it.
    pub fn has_verified_email(&self) -> bool {
        self.authkit.as_ref().is_none_or(|session| session.email_verified)
    }

    /// Reads the `user` member of AuthKit's answer; says what had to be left out.
    pub(super) fn of_user(user: Value, membership: Membership, session: AuthkitSession) -> Read<(Self, Vec<LeftOut>)> {
        let Value::Object(mut user) = user else {
            return Err(Refusal::new(ErrorCode::WorkosAnswerMalformed, "The answer has no user"));
        };
        let (id, email) = (required_id(&user, "id")?, address(&user)?);
        let email_verified = matches!(user.get("email_verified"), Some(Value::Bool(true)));
        let mut left_out = Vec::new();
        let mut name = |member: &str| match attributes::name(user.remove(member).unwrap_or_default()) {
            Ok(text) => text,
            Err(why) => {
                left_out.push(LeftOut(format!("{member} {why}")));
                None
            }
        };
        let (first_name, last_name, name) = (name("first_name"), name("last_name"), name("name"));
        let Membership { organization_id, role, mut roles, permissions } = membership;
        if roles.is_empty() {
            roles.extend(role.clone());
        }
        let profile = Self {
            id,
            organization_id,
            connection_id: None,
            connection_type: None,
            idp_id: None,
            email,
            first_name,
            last_name,
            name,
            role,
            roles,
            groups: Vec::new(),
            permissions: Some(permissions),
            custom_attributes: Free(Value::Object(Map::new())),
            raw_attributes: Free(Value::Object(Map::new())),
            authkit: Some(AuthkitSession { email_verified, ..session }),
        };
        Ok((profile, left_out))
    }

    /// Reads the `profile` member of an answer; says what had to be left out.
    pub(super) fn from_json(profile: Value) -> Read<(Self, Vec<LeftOut>)> {
        let mut profile = match profile {
            Value::Object(profile) => profile,
            Value::Null => return Err(Refusal::new(ErrorCode::WorkosProfileIncomplete, "The answer has no profile")),
            _ => return Err(Refusal::new(ErrorCode::WorkosAnswerMalformed, "The profile is not an object")),
        };
        let id = required_id(&profile, "id")?;
        let connection_id = required_id(&profile, "connection_id")?;
        let organization_id = match profile.get("organization_id") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(checked_id("organization_id", text)?),
            Some(_) => {
                let why = "is not a string";
                return Err(Refusal::of_workos(ErrorCode::WorkosProfileMalformed, "organization_id", why));
            }
        };
        let email = address(&profile)?;
        let role = grants::single(&profile, "role")?;
        let mut roles = grants::list(&profile, "roles")?.unwrap_or_default();
        if roles.is_empty() {
            roles.extend(role.clone());
        }
        let groups = grants::list(&profile, "groups")?.unwrap_or_default();
        let permissions = grants::list(&profile, "permissions")?;

        let mut left_out = Vec::new();
        let mut kept = |member: &str, read: fn(Value) -> Result<Option<String>, &'static str>| match read(
            profile.remove(member).unwrap_or_default(),
        ) {
            Ok(text) => text,
            Err(why) => {
                left_out.push(LeftOut(format!("{member} {why}")));
                None
            }
        };
        let connection_type = kept("connection_type", attributes::identifier);
        let idp_id = kept("idp_id", attributes::identifier);
        let first_name = kept("first_name", attributes::name);
        let last_name = kept("last_name", attributes::name);
        let name = kept("name", attributes::name);
        let mut all = |member: &str| attributes::all(member, profile.remove(member), &mut left_out);
        let (custom_attributes, raw_attributes) = (all("custom_attributes"), all("raw_attributes"));
        let profile = Self {
            id,
            organization_id,
            connection_id: Some(connection_id),
            connection_type,
            idp_id,
            email,
            first_name,
            last_name,
            name,
            role,
            roles,
            groups,
            permissions,
            custom_attributes,
            raw_attributes,
            authkit: None,
        };
        Ok((profile, left_out))
    }
}

/// An id that no sign-in can do without.
fn required_id(profile: &Map<String, Value>, member: &str) -> Read<String> {
    let incomplete = |why| Err(Refusal::of_workos(ErrorCode::WorkosProfileIncomplete, member, why));
    match profile.get(member) {
        None | Some(Value::Null) => incomplete("is missing"),
        Some(Value::String(id)) if id.trim().is_empty() => incomplete("is empty"),
        Some(Value::String(id)) => checked_id(member, id),
        Some(_) => incomplete("is not a string"),
    }
}

fn checked_id(member: &str, id: &str) -> Read<String> {
    match workos_id::check(id) {
        Ok(()) => Ok(id.to_owned()),
        Err(why) => Err(Refusal::of_workos(ErrorCode::WorkosProfileMalformed, member, why)),
    }
}

fn address(profile: &Map<String, Value>) -> Read<String> {
    let incomplete = |why: &str| {
        let remedy = "to the person's e-mail address";
        Err(Refusal::of_mapped(ErrorCode::WorkosProfileIncomplete, "email", why, remedy))
    };
    match profile.get("email") {
        None | Some(Value::Null) => incomplete("is missing"),
        Some(Value::String(text)) if text.trim().is_empty() => incomplete("is empty"),
        Some(Value::String(text)) => match email::parse(text) {
            Ok(address) => Ok(address.to_owned()),
            Err(why) => incomplete(&format!("is not an e-mail address: it {why}")),
        },
        Some(_) => incomplete("is not a string"),
    }
}
