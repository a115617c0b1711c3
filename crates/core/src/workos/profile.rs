//! WorkOS's profile: lenient on what is new, strict on what a sign-in stands on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ErrorCode;
use crate::{email, json, jsonb, workos_id};

/// The longest id, role or connection type, in bytes.
const MAX_ID_BYTES: usize = workos_id::MAX_BYTES;
/// The longest name or group, in bytes; groups can be distinguished names.
const MAX_TEXT_BYTES: usize = 1024;
/// The most groups, and the most roles.
const MAX_ITEMS: usize = 1000;

/// Who signed in, as WorkOS tells it (`Profile` of its API reference). No text in it contains NUL, which Postgres
/// cannot store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// `prof_…`
    pub id: String,
    /// `org_…`; none for OAuth providers without an organization.
    pub organization_id: Option<String>,
    /// `conn_…`
    pub connection_id: String,
    /// Such as `OktaSAML` or `GoogleOAuth`; WorkOS adds to the list, so it is open text.
    pub connection_type: String,
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
    /// The groups that the identity provider tells, at most 1000.
    pub groups: Vec<String>,
    /// Attributes that the WorkOS dashboard maps.
    #[serde(deserialize_with = "json::members")]
    pub custom_attributes: Map<String, Value>,
    /// What the identity provider sent; empty at WorkOS since April 2026.
    #[serde(deserialize_with = "json::members")]
    pub raw_attributes: Map<String, Value>,
}

/// A failure and a sentence without its full stop, that names members and never shows values.
type Refused<T> = Result<T, (ErrorCode, String)>;

fn malformed<T>(member: &str, why: &str) -> Refused<T> {
    Err((ErrorCode::WorkosAnswerMalformed, format!("The profile's {member} {why}")))
}

fn incomplete<T>(member: &str, why: &str) -> Refused<T> {
    Err((ErrorCode::WorkosProfileIncomplete, format!("The profile's {member} {why}")))
}

impl Profile {
    /// Reads the `profile` member of an answer.
    pub(super) fn from_json(profile: Value) -> Refused<Self> {
        let profile = match profile {
            Value::Object(profile) => profile,
            Value::Null => return Err((ErrorCode::WorkosProfileIncomplete, "The answer has no profile".to_owned())),
            _ => return Err((ErrorCode::WorkosAnswerMalformed, "The profile is not an object".to_owned())),
        };
        if let Some((member, _)) = profile.iter().find(|(_, value)| !jsonb::fits(value)) {
            // The member's own name may be anything, so only one that is known is shown.
            let member = if KNOWN.contains(&member.as_str()) { member } else { "unknown member" };
            return malformed(member, "contains what Postgres cannot hold: a NUL character, or a number too long");
        }
        let email = match email::parse(required(&profile, "email")?) {
            Ok(email) => email.to_owned(),
            Err(why) => return incomplete("email", &format!("is not an e-mail address: it {why}")),
        };
        let role = slug("role", profile.get("role").unwrap_or(&Value::Null))?;
        let mut roles = Vec::new();
        for item in items(&profile, "roles")? {
            roles.extend(slug("roles", item)?);
        }
        if roles.is_empty() {
            roles.extend(role.clone());
        }
        let mut groups = Vec::new();
        for item in items(&profile, "groups")? {
            groups.extend(text("groups", Some(item), MAX_TEXT_BYTES)?);
        }
        Ok(Self {
            id: id("id", required(&profile, "id")?)?,
            organization_id: match text("organization_id", profile.get("organization_id"), MAX_ID_BYTES)? {
                Some(organization) => Some(id("organization_id", &organization)?),
                None => None,
            },
            connection_id: id("connection_id", required(&profile, "connection_id")?)?,
            connection_type: {
                required(&profile, "connection_type")?;
                identifier("connection_type", profile.get("connection_type"))?.unwrap_or_default()
            },
            idp_id: identifier("idp_id", profile.get("idp_id"))?,
            email,
            first_name: text("first_name", profile.get("first_name"), MAX_TEXT_BYTES)?,
            last_name: text("last_name", profile.get("last_name"), MAX_TEXT_BYTES)?,
            name: text("name", profile.get("name"), MAX_TEXT_BYTES)?,
            role,
            roles,
            groups,
            custom_attributes: attributes(&profile, "custom_attributes")?,
            raw_attributes: attributes(&profile, "raw_attributes")?,
        })
    }
}

const KNOWN: [&str; 14] = [
    "id",
    "organization_id",
    "connection_id",
    "connection_type",
    "idp_id",
    "email",
    "first_name",
    "last_name",
    "name",
    "role",
    "roles",
    "groups",
    "custom_attributes",
    "raw_attributes",
];

/// A member that no sign-in can do without.
fn required<'a>(profile: &'a Map<String, Value>, member: &str) -> Refused<&'a str> {
    match profile.get(member) {
        Some(Value::String(value)) if value.trim().is_empty() => incomplete(member, "is empty"),
        Some(Value::String(value)) => Ok(value),
        None | Some(Value::Null) => incomplete(member, "is missing"),
        Some(_) => incomplete(member, "is not a string"),
    }
}

/// An id of WorkOS's own.
fn id(member: &str, value: &str) -> Refused<String> {
    match workos_id::check(value) {
        Ok(()) => Ok(value.to_owned()),
        Err(why) => malformed(member, why),
    }
}

/// A name or an id that is not WorkOS's own: text that is compared and shown to operators, so without control characters. A blank names nobody.
fn identifier(member: &str, value: Option<&Value>) -> Refused<Option<String>> {
    match text(member, value, MAX_ID_BYTES)? {
        Some(value) if value.trim().is_empty() => Ok(None),
        Some(value) if value.contains(char::is_control) => malformed(member, "contains a control character"),
        value => Ok(value),
    }
}

/// `None` for what is missing, null or empty; anything else but a string would otherwise pass for missing.
fn text(member: &str, value: Option<&Value>, most: usize) -> Refused<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) if value.is_empty() => Ok(None),
        Some(Value::String(value)) if value.len() <= most => Ok(Some(value.clone())),
        Some(Value::String(_)) => malformed(member, &format!("is longer than {most} bytes")),
        Some(_) => malformed(member, "is not a string"),
    }
}

/// A role is `{"slug": …}` or null.
fn slug(member: &str, role: &Value) -> Refused<Option<String>> {
    match role {
        Value::Null => Ok(None),
        Value::Object(role) => text(member, role.get("slug"), MAX_ID_BYTES),
        _ => malformed(member, "is not an object with a slug"),
    }
}

fn items<'a>(profile: &'a Map<String, Value>, member: &str) -> Refused<&'a [Value]> {
    match profile.get(member) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) if items.len() <= MAX_ITEMS => Ok(items),
        Some(Value::Array(_)) => malformed(member, &format!("has more than {MAX_ITEMS} items")),
        Some(_) => malformed(member, "is not an array"),
    }
}

fn attributes(profile: &Map<String, Value>, member: &str) -> Refused<Map<String, Value>> {
    match profile.get(member) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(attributes)) => Ok(attributes.clone()),
        Some(_) => malformed(member, "is not an object"),
    }
}
