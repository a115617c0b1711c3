//! What a person sees and changes of their own account.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result, user};

use crate::audit::audit_as;
use crate::current_session::Purpose;
use crate::error::unexpected;
use crate::postgres::jsonb::{Built, Jsonb};
use crate::postgres::transaction::require_writable;
use crate::store::Subject;
use crate::store::own_account::{self as store, OwnSession};
use crate::store::sessions::{self, Scope};
use crate::{current_session, settings};

/// `auth.get_user`
pub fn get() -> Result<Built> {
    shown(current_session::required()?.claims.sub)
}

/// `auth.get_user` of a token's person, whoever is signed in.
pub fn get_of(access_token: Option<&str>) -> Result<Built> {
    shown(current_session::of_token_for(Purpose::OwnAccount, access_token)?.claims.sub)
}

/// `auth.my_sessions`
pub fn sessions(access_token: Option<&str>) -> Result<Vec<OwnSession>> {
    let session = current_session::of_token(access_token)?;
    store::sessions(session.claims.sub, session.claims.session_id)
}

/// `auth.sign_out`: how many sessions.
pub fn sign_out(access_token: Option<&str>, scope: Option<&str>) -> Result<i64> {
    require_writable()?;
    let session = current_session::of_token_for(Purpose::SigningOut, access_token)?;
    let scope = scope.ok_or_else(|| Error::null("scope"))?;
    let claims = &session.claims;
    let which = match scope {
        "global" => Scope::Global,
        "local" => Scope::Local(claims.session_id),
        "others" => Scope::Others(claims.session_id),
        _ => return Err(Error::invalid("scope", "it must be global, local or others.")),
    };
    let ended = sessions::end(claims.sub, which)?;
    audit_as(Some(&session), "logout", &Subject::of(claims), json!({ "scope": scope, "sessions": ended }))?;
    current_session::recheck_on_next_read();
    Ok(i64::try_from(ended).unwrap_or(i64::MAX))
}

/// `auth.update_user`
pub fn update(access_token: Option<&str>, user_metadata: Option<&Jsonb>) -> Result<Built> {
    require_writable()?;
    let session = current_session::of_token_for(Purpose::OwnAccount, access_token)?;
    let changes = user_metadata.ok_or_else(|| Error::null("user_metadata"))?;
    let claims = &session.claims;
    let unreadable = || Error::invalid("user_metadata", &format!("it is {}.", Jsonb::UNREADABLE));
    let changes = changes.parse().ok_or_else(unreadable)?;
    let stored = store::lock_user_metadata(claims.sub)?.ok_or_else(|| Error::new(ErrorCode::SessionNotFound))?;
    let changed = user::change_metadata(&stored, changes, &claims.json, settings::max_token_size())?;
    store::set_user_metadata(claims.sub, changed)?;
    audit_as(Some(&session), "user_modified", &Subject::of(claims), json!({}))?;
    shown(claims.sub)
}

/// Without the checks of sessions, a token outlives its user.
fn shown(user_id: Uuid) -> Result<Built> {
    let user = store::user(user_id)?.ok_or_else(|| Error::new(ErrorCode::SessionNotFound))?;
    Built::of(&user.to_json().map_err(|_| unexpected("The user cannot be written as JSON."))?)
}
