//! `auth.create_visitor_token`: the key that a client sends while nobody is signed in.

use std::ffi::CStr;

use pgrx::prelude::*;
use serde_json::json;
use workos_auth_core::secret::AccessToken;
use workos_auth_core::token::{self, VisitorKey};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::postgres::transaction::require_writable;
use crate::store::{Subject, configuration, privileges};
use crate::{current_session, installation, secrets, settings};

/// The role that Supabase's SQL takes for the server itself, whatever rights it has here.
const SERVICE_ROLE: &str = "service_role";

/// Signs a key with which a client acts as `role`, and is nobody. `ttl` is in microseconds.
///
/// # Errors
/// `visitor_role_not_allowed`; `validation_failed` for a role that is not there and for a lifetime that is none; `installation_is_a_copy`.
pub fn create_visitor_token(role: Option<&CStr>, ttl: Option<i128>) -> Result<AccessToken> {
    require_writable()?;
    let role = role.ok_or_else(|| Error::null("role"))?;
    let ttl = token::visitor_lifetime(ttl.ok_or_else(|| Error::null("ttl"))?)?;
    let name = check_role(role)?;
    installation::minting()?;
    let key = secrets::signing_key()?;
    let now = current_session::now();
    let expires_at = now.saturating_add_unsigned(ttl.as_secs());
    let claims = VisitorKey {
        issuer: &current_session::issuer()?,
        audience: &settings::audience(),
        role: &name,
        issued_at: now,
        expires_at,
    };
    let (token, _) = key.sign(&claims.to_json())?;
    configuration::note_visitors(key.kid(), expires_at)?;
    audit(
        "visitor_token_created",
        &Subject::default(),
        json!({ "kid": key.kid(), "role": name, "expires_at": expires_at }),
    )?;
    Ok(token)
}

/// The role's name, if whoever has read the key may act as it.
fn check_role(role: &CStr) -> Result<String> {
    // SAFETY: a catalog look-up by a C string; missing_ok.
    let oid = unsafe { pg_sys::get_role_oid(role.as_ptr(), true) };
    if oid == pg_sys::InvalidOid {
        return Err(Error::invalid("role", "there is no such role."));
    }
    let name = role.to_string_lossy().into_owned();
    let refuse = |why: String| Err(Error::with_detail(ErrorCode::VisitorRoleNotAllowed, why));
    if settings::is_allowed_role(&name) {
        return refuse(format!("The role {name} is in workos_auth.allowed_roles: it is for people who are signed in."));
    }
    if name == SERVICE_ROLE {
        return refuse("The role service_role stands for the server: guards let it pass by its name.".to_owned());
    }
    match privileges::more_than_a_visitors(oid)? {
        Some(what) => refuse(format!("The role {name} {what}.")),
        None => Ok(name),
    }
}
