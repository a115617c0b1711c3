//! People who move in from Supabase Auth: what a row of its `auth.users` and rows of its `auth.identities` say, and what is believed of them.
//!
//! The rule above all others stays what it is in [`accounts`](crate::accounts): one customer's identity provider never gets into another
//! customer's account. Supabase Auth joins WorkOS identities of any organization to an account by their address alone, so that an account
//! there may already have been entered by two customers. Whose it is, only a person can say: it is refused.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::accounts::fold_email;
use crate::error::{Error, ErrorCode, Result};
use crate::{email, workos_id};

/// A row of Supabase's `auth.users`, but for its times.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedUser {
    /// `id`, which is kept.
    pub id: Uuid,
    /// `aud`
    pub audience: String,
    /// `role`
    pub role: String,
    /// `email` as it is stored here, where it is an address that somebody has confirmed, an administrator has invited, or WorkOS has said.
    pub email: Option<Address>,
    /// `phone`
    pub phone: Option<String>,
    /// `raw_app_meta_data`
    pub app_metadata: Value,
    /// `raw_user_meta_data`
    pub user_metadata: Value,
    /// `is_sso_user`
    pub is_sso_user: bool,
    /// `is_anonymous`
    pub is_anonymous: bool,
    /// Whether `deleted_at` is set.
    pub is_deleted: bool,
    /// The WorkOS identities, each once.
    pub identities: Vec<ImportedIdentity>,
}

/// An address that may become `auth.users.email`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// In lower case.
    pub address: String,
    /// Whether an organization's identity provider alone has said it: then `workos_auth.trust_email_domains` decides.
    pub is_an_organizations: bool,
}

/// A row of Supabase's `auth.identities` whose provider is WorkOS.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedIdentity {
    /// `id`, where it is a uuid: before 2023 it was the provider's.
    pub id: Option<Uuid>,
    /// WorkOS's profile id.
    pub provider_id: String,
    /// `custom_claims.organization_id`
    pub organization_id: Option<String>,
    /// `custom_claims.connection_id`
    pub connection_id: Option<String>,
    /// `identity_data`
    pub data: Value,
    /// The whole row, for its times.
    pub row: Value,
}

/// Reads the rows. `identity_rows` is a list, or null for none.
///
/// # Errors
/// `validation_failed` for what are no such rows, naming the argument and the column; among them an identity of another user, and one whose
/// id is none of WorkOS's.
pub fn read(user_row: Value, identity_rows: Value) -> Result<ImportedUser> {
    let Value::Object(user) = user_row else {
        return Err(Error::invalid("user_row", "it must be an object: a row of Supabase's auth.users, by to_jsonb."));
    };
    let rows = match identity_rows {
        Value::Null => Vec::new(),
        Value::Array(rows) => rows,
        _ => return Err(Error::invalid("identity_rows", "it must be a list of rows of Supabase's auth.identities.")),
    };
    let id = uuid(&user, "id").ok_or_else(|| Error::invalid("user_row", "its id is no uuid."))?;
    let mut identities: Vec<ImportedIdentity> = Vec::new();
    for row in rows {
        if let Some(identity) = identity(id, row)?
            && identities.iter().all(|other| other.provider_id != identity.provider_id)
        {
            identities.push(identity);
        }
    }
    let metadata = |name| match user.get(name) {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(value) => value.clone(),
    };
    let role_or = |name| text(&user, name).unwrap_or("authenticated").to_owned();
    Ok(ImportedUser {
        id,
        audience: role_or("aud"),
        role: role_or("role"),
        email: address(&user, &identities),
        phone: text(&user, "phone").map(str::to_owned),
        app_metadata: metadata("raw_app_meta_data"),
        user_metadata: metadata("raw_user_meta_data"),
        is_sso_user: is_true(&user, "is_sso_user"),
        is_anonymous: is_true(&user, "is_anonymous"),
        is_deleted: text(&user, "deleted_at").is_some(),
        identities,
    })
}

impl ImportedUser {
    /// Whether the person is known by an address alone, and may be let in by the organization that the address belongs to.
    pub fn is_known_by_address(&self) -> bool {
        self.identities.is_empty() && self.email.is_some() && !self.is_anonymous && !self.is_deleted
    }

    /// Refuses an account that identities of several organizations would lead into; `here` are the organizations that it belongs to in this
    /// database already. An identity of no organization is one of another than any.
    ///
    /// # Errors
    /// `identities_of_several_organizations`
    pub fn check_organizations<'a>(&'a self, here: impl IntoIterator<Item = Option<&'a str>>) -> Result<()> {
        let mut all: Vec<Option<&str>> = self.identities.iter().map(|other| other.organization_id.as_deref()).collect();
        all.extend(here);
        all.sort_unstable();
        all.dedup();
        if all.len() < 2 {
            return Ok(());
        }
        let names: Vec<&str> = all.into_iter().map(|organization| organization.unwrap_or("none")).collect();
        Err(Error::with_detail(
            ErrorCode::IdentitiesOfSeveralOrganizations,
            format!("The user {} has identities of these organizations: {}.", self.id, names.join(", ")),
        ))
    }
}

/// A row of WorkOS's; `None` for one of another provider, and for one of an old version that does not say which organization it is of.
fn identity(user: Uuid, row: Value) -> Result<Option<ImportedIdentity>> {
    let invalid = |why: &str| Error::invalid("identity_rows", why);
    let Value::Object(members) = &row else { return Err(invalid("it holds something that is no object.")) };
    if uuid(members, "user_id") != Some(user) {
        return Err(invalid("it holds a row whose user_id is not the id of user_row."));
    }
    if !text(members, "provider").is_some_and(|provider| provider.eq_ignore_ascii_case("workos")) {
        return Ok(None);
    }
    let Some(data @ Value::Object(said)) = members.get("identity_data") else {
        return Err(invalid("a row's identity_data is no object."));
    };
    let Some(Value::Object(claims)) = said.get("custom_claims") else { return Ok(None) };
    let id = |value: &str, name: &str| match workos_id::check(value) {
        Ok(()) => Ok(value.to_owned()),
        Err(why) => Err(invalid(&format!("the {name} of a row {why}."))),
    };
    let claim = |name| match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) if value.is_empty() => Ok(None),
        Some(Value::String(value)) => id(value, name).map(Some),
        Some(_) => Err(invalid(&format!("the {name} of a row is no string."))),
    };
    // Before the column provider_id there was, id was it.
    let provider_id = text(members, "provider_id").or_else(|| text(members, "id")).unwrap_or_default();
    Ok(Some(ImportedIdentity {
        id: uuid(members, "id"),
        provider_id: id(provider_id, "provider_id")?,
        organization_id: claim("organization_id")?,
        connection_id: claim("connection_id")?,
        data: data.clone(),
        row,
    }))
}

/// The address, if somebody stands for it: whoever may register an address there that they do not have must not keep it from its owner here.
fn address(user: &Map<String, Value>, identities: &[ImportedIdentity]) -> Option<Address> {
    let address = email::parse(text(user, "email")?).map(fold_email).ok()?;
    let says_it = |identity: &&ImportedIdentity| {
        identity.data.get("email").and_then(Value::as_str).is_some_and(|said| fold_email(said) == address)
    };
    let mut saying = identities.iter().filter(says_it).peekable();
    let is_stood_for = |name| text(user, name).is_some();
    match saying.peek().is_some() {
        true => {
            let is_an_organizations = saying.all(|identity| identity.organization_id.is_some());
            Some(Address { address, is_an_organizations })
        }
        false if is_stood_for("email_confirmed_at") || is_stood_for("invited_at") => {
            Some(Address { address, is_an_organizations: false })
        }
        false => None,
    }
}

/// A member that is a text and not empty.
fn text<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn uuid(row: &Map<String, Value>, name: &str) -> Option<Uuid> {
    Uuid::try_parse(text(row, name)?).ok()
}

fn is_true(row: &Map<String, Value>, name: &str) -> bool {
    row.get(name) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests;
