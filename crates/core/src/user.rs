//! A user as Supabase Auth shows them, and what they may change about themselves.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::{Error, ErrorCode, Result};
use crate::{json, jsonb};

/// The most bytes of JSON that a person may make their `user_metadata`: it stands in every access token.
pub const MAX_METADATA: usize = 4096;

/// How much deeper than by itself `user_metadata` stands where it is read again: in the claims, and in what holds the claims.
const WITHIN: usize = 8;

/// What a token has beside its payload: header, signature and dots, in bytes.
const AROUND_PAYLOAD: usize = 200;

/// A row of `users`. JSON is as Postgres writes a `jsonb`; times are UTC with six decimals and no zone, such as `2026-11-23T21:00:00.120000`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of auth.users")]
pub struct User {
    pub id: Uuid,
    pub aud: String,
    pub role: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub app_metadata: Box<RawValue>,
    pub user_metadata: Box<RawValue>,
    pub is_anonymous: bool,
    pub created_at: String,
    pub updated_at: String,
    pub email_confirmed_at: Option<String>,
    pub phone_confirmed_at: Option<String>,
    pub last_sign_in_at: Option<String>,
    pub banned_until: Option<String>,
    pub deleted_at: Option<String>,
    /// the oldest first
    pub identities: Vec<Identity>,
}

/// A row of `identities`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of auth.identities")]
pub struct Identity {
    pub id: Uuid,
    pub provider_id: String,
    pub provider: String,
    pub email: String,
    pub identity_data: Box<RawValue>,
    pub last_sign_in_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

/// Supabase Auth's `GET /user`: some members are always there, others only where they say something.
#[derive(Serialize)]
struct ShownUser<'a> {
    id: Uuid,
    aud: &'a str,
    role: &'a str,
    email: &'a str,
    phone: &'a str,
    app_metadata: &'a RawValue,
    user_metadata: &'a RawValue,
    identities: Vec<ShownIdentity<'a>>,
    created_at: String,
    updated_at: String,
    is_anonymous: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_confirmed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_confirmed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_in_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    banned_until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<String>,
}

#[derive(Serialize)]
struct ShownIdentity<'a> {
    identity_id: Uuid,
    id: &'a str,
    user_id: Uuid,
    provider: &'a str,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_in_at: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    email: &'a str,
}

impl User {
    /// As Supabase Auth shows them.
    ///
    /// # Errors
    /// None, while the structure has no maps.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let shown = |time: &Option<String>| time.as_deref().map(rfc3339);
        // Generated in Supabase's table: the earlier of the two. The texts are in the order of the times.
        let confirmed_at = [&self.email_confirmed_at, &self.phone_confirmed_at].into_iter().flatten().min();
        serde_json::to_string(&ShownUser {
            id: self.id,
            aud: &self.aud,
            role: &self.role,
            email: self.email.as_deref().unwrap_or_default(),
            phone: self.phone.as_deref().unwrap_or_default(),
            app_metadata: &self.app_metadata,
            user_metadata: &self.user_metadata,
            identities: self.identities.iter().map(|identity| identity.shown(self.id)).collect(),
            created_at: rfc3339(&self.created_at),
            updated_at: rfc3339(&self.updated_at),
            is_anonymous: self.is_anonymous,
            email_confirmed_at: shown(&self.email_confirmed_at),
            phone_confirmed_at: shown(&self.phone_confirmed_at),
            confirmed_at: confirmed_at.map(|time| rfc3339(time)),
            last_sign_in_at: shown(&self.last_sign_in_at),
            banned_until: shown(&self.banned_until),
            deleted_at: shown(&self.deleted_at),
        })
    }
}

impl Identity {
    fn shown(&self, user_id: Uuid) -> ShownIdentity<'_> {
        let data = self.identity_data.get();
        ShownIdentity {
            identity_id: self.id,
            id: &self.provider_id,
            user_id,
            provider: &self.provider,
            created_at: rfc3339(&self.created_at),
            updated_at: rfc3339(&self.updated_at),
            identity_data: (data.starts_with('{') && data != "{}").then(|| &*self.identity_data),
            last_sign_in_at: self.last_sign_in_at.as_deref().map(rfc3339),
            email: &self.email,
        }
    }
}

/// As Go writes a time into JSON (`time.RFC3339Nano`): without zeros at the end of the second's fraction.
fn rfc3339(utc: &str) -> String {
    let time = match utc.split_once('.') {
        Some((seconds, fraction)) => match fraction.trim_end_matches('0') {
            "" => seconds.to_owned(),
            fraction => format!("{seconds}.{fraction}"),
        },
        None => utc.to_owned(),
    };
    time + "Z"
}

/// `user_metadata` after a person's own change, as Supabase Auth's `PUT /user` makes it: each member replaces the stored one of its
/// name, and null removes that. `claims` is the payload of the person's present token, as JSON.
///
/// # Errors
/// `validation_failed` (22023) for what is no object, or what no token could carry; `user_metadata_too_large`, and `token_too_large`
/// for what would make the next token exceed `max_token_size`. A change that makes the metadata no larger is refused for neither.
pub fn change_metadata(stored: &Value, changes: Value, claims: &str, max_token_size: usize) -> Result<Value> {
    let Value::Object(changes) = changes else {
        return Err(Error::invalid("user_metadata", "it must be a JSON object."));
    };
    let mut members = stored.as_object().cloned().unwrap_or_default();
    for (name, value) in changes {
        match value {
            Value::Null => drop(members.remove(&name)),
            value => drop(members.insert(name, value)),
        }
    }
    let changed = Value::Object(members);
    let text = changed.to_string();
    let within = [&*"[".repeat(WITHIN), &*text, &*"]".repeat(WITHIN)].concat();
    if !jsonb::fits_text(&within) {
        return Err(Error::invalid("user_metadata", "it is nested too deeply, or has a number that is too large."));
    }
    check_size(stored.to_string().len(), text.len(), claims, max_token_size)?;
    Ok(changed)
}

/// Of the claims of a token.
#[derive(Deserialize)]
struct Carried<'a> {
    #[serde(borrow)]
    user_metadata: Option<&'a RawValue>,
}

fn check_size(stored: usize, changed: usize, claims: &str, max_token_size: usize) -> Result<()> {
    if changed > MAX_METADATA && changed > stored {
        let detail = format!("It would have {changed} bytes of JSON, {MAX_METADATA} are allowed.");
        return Err(Error::with_detail(ErrorCode::UserMetadataTooLarge, detail));
    }
    // What the token says may be older than what is stored.
    let carried = json::borrow::<Carried<'_>>(claims).ok().and_then(|claims| claims.user_metadata);
    let carried = carried.map_or(0, |metadata| metadata.get().len());
    let payload = (claims.len() + changed).saturating_sub(carried);
    let token = payload.saturating_mul(4).div_ceil(3).saturating_add(AROUND_PAYLOAD);
    if token > max_token_size && changed > stored {
        let detail = format!("The next one would have about {token} bytes, {max_token_size} are allowed.");
        return Err(Error::with_detail(ErrorCode::TokenTooLarge, detail).hint("Keep less in user_metadata."));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
