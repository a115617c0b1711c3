//! A user as Supabase Auth shows them, and what they may change about themselves.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::error::{Error, ErrorCode, Result};
use crate::jsonb;

/// The most bytes of JSON that a person may make their `user_metadata`: it stands in every access token.
pub const MAX_METADATA: usize = 4096;

/// How much deeper than by itself `user_metadata` stands where it is read again: in the claims, and in what holds the claims.
const WITHIN: usize = 8;

/// What a token has beside its payload: header, signature and dots, in bytes.
const AROUND_PAYLOAD: usize = 200;

/// A row of `users`. Times are UTC with six decimals and no zone, such as `2026-11-23T21:00:00.120000`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of auth.users")]
pub struct User {
    pub id: Uuid,
    pub aud: String,
    pub role: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub app_metadata: Value,
    pub user_metadata: Value,
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
    pub identity_data: Value,
    pub last_sign_in_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
}

impl User {
    /// The JSON of Supabase Auth's `GET /user`: some members are always there, others only where they say something.
    pub fn to_json(&self) -> Value {
        let mut user = json!({
            "id": self.id,
            "aud": self.aud,
            "role": self.role,
            "email": self.email.as_deref().unwrap_or_default(),
            "phone": self.phone.as_deref().unwrap_or_default(),
            "app_metadata": self.app_metadata,
            "user_metadata": self.user_metadata,
            "identities": self.identities.iter().map(|identity| identity.to_json(self.id)).collect::<Vec<_>>(),
            "created_at": rfc3339(&self.created_at),
            "updated_at": rfc3339(&self.updated_at),
            "is_anonymous": self.is_anonymous,
        });
        // Generated in Supabase's table: the earlier of the two. The texts are in the order of the times.
        let confirmed_at = [&self.email_confirmed_at, &self.phone_confirmed_at].into_iter().flatten().min();
        for (name, time) in [
            ("email_confirmed_at", self.email_confirmed_at.as_ref()),
            ("phone_confirmed_at", self.phone_confirmed_at.as_ref()),
            ("confirmed_at", confirmed_at),
            ("last_sign_in_at", self.last_sign_in_at.as_ref()),
            ("banned_until", self.banned_until.as_ref()),
            ("deleted_at", self.deleted_at.as_ref()),
        ] {
            if let Some(time) = time {
                user[name] = json!(rfc3339(time));
            }
        }
        user
    }
}

impl Identity {
    fn to_json(&self, user_id: Uuid) -> Value {
        let mut identity = json!({
            "identity_id": self.id,
            "id": self.provider_id,
            "user_id": user_id,
            "provider": self.provider,
            "created_at": rfc3339(&self.created_at),
            "updated_at": rfc3339(&self.updated_at),
        });
        if self.identity_data.as_object().is_some_and(|data| !data.is_empty()) {
            identity["identity_data"] = self.identity_data.clone();
        }
        if let Some(time) = &self.last_sign_in_at {
            identity["last_sign_in_at"] = json!(rfc3339(time));
        }
        if !self.email.is_empty() {
            identity["email"] = json!(self.email);
        }
        identity
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

fn check_size(stored: usize, changed: usize, claims: &str, max_token_size: usize) -> Result<()> {
    if changed > MAX_METADATA && changed > stored {
        let detail = format!("It would have {changed} bytes of JSON, {MAX_METADATA} are allowed.");
        return Err(Error::with_detail(ErrorCode::UserMetadataTooLarge, detail));
    }
    // What the token says may be older than what is stored.
    let carried = serde_json::from_str::<Map<String, Value>>(claims)
        .ok()
        .and_then(|claims| claims.get("user_metadata").map(|metadata| metadata.to_string().len()))
        .unwrap_or_default();
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
