//! What a person sees and changes of their own account.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result, user};

use crate::error::unexpected;
use crate::json::{Built, Jsonb};
use crate::store::own_account as store;
use crate::store::transaction::require_writable;
use crate::store::{Subject, audit};
use crate::{session, settings};

/// `auth.get_user`
pub fn get() -> Result<Built> {
    shown(session::required()?.claims.sub)
}

/// `auth.get_user` of a token's person, whoever is signed in.
pub fn get_of(access_token: Option<&str>) -> Result<Built> {
    let access_token = access_token.ok_or_else(|| Error::null("access_token"))?;
    shown(session::verify(access_token)?.claims.sub)
}

/// `auth.update_user`
pub fn update(user_metadata: Option<&Jsonb>) -> Result<Built> {
    require_writable()?;
    let changes = user_metadata.ok_or_else(|| Error::null("user_metadata"))?;
    let session = session::required()?;
    let claims = &session.claims;
    let changes = changes.parse().ok_or_else(|| {
        Error::invalid("user_metadata", "it is nested too deeply, or has a member that the parser keeps for itself.")
    })?;
    let stored = store::lock_user_metadata(claims.sub)?.ok_or_else(|| Error::new(ErrorCode::SessionNotFound))?;
    let changed = user::change_metadata(&stored, changes, &claims.json, settings::max_token_size())?;
    store::set_user_metadata(claims.sub, changed)?;
    let subject = Subject {
        user_id: Some(claims.sub),
        session_id: Some(claims.session_id),
        organization_id: claims.org_id.as_deref(),
        connection_id: claims.connection_id.as_deref(),
        ..Subject::default()
    };
    audit("user_modified", &subject, json!({}))?;
    shown(claims.sub)
}

/// Without the checks of sessions, a token outlives its user.
fn shown(user_id: Uuid) -> Result<Built> {
    let user = store::user(user_id)?.ok_or_else(|| Error::new(ErrorCode::SessionNotFound))?;
    Built::of(&user.to_json().map_err(|_| unexpected("The user cannot be written as JSON."))?)
}
