//! The three bundles of rights: given to a role and taken back.

use pgrx::prelude::*;
use serde_json::json;
use workos_auth_core::{Error, Result};

use crate::audit::audit;
use crate::postgres::transaction::require_writable;
use crate::store::Subject;
use crate::store::privileges::{self as store, Bundle};

/// `auth.grant_sign_in`, `auth.grant_broker`, `auth.grant_admin`. NULL is no role.
pub fn grant(bundle: Bundle, role: Option<pg_sys::Oid>) -> Result<()> {
    let action = match bundle {
        Bundle::SignIn => "sign_in_granted",
        Bundle::Broker => "broker_granted",
        Bundle::Admin => "admin_granted",
    };
    change(role, action, |role| store::grant(bundle, role))
}

/// `auth.revoke_sign_in`, `auth.revoke_broker`, `auth.revoke_admin`. NULL is no role.
pub fn revoke(bundle: Bundle, role: Option<pg_sys::Oid>) -> Result<()> {
    let action = match bundle {
        Bundle::SignIn => "sign_in_revoked",
        Bundle::Broker => "broker_revoked",
        Bundle::Admin => "admin_revoked",
    };
    change(role, action, |role| store::revoke(bundle, role))
}

fn change(role: Option<pg_sys::Oid>, action: &str, how: impl FnOnce(pg_sys::Oid) -> Result<String>) -> Result<()> {
    require_writable()?;
    let name = how(role.ok_or_else(|| Error::null("role"))?)?;
    audit(action, &Subject::default(), json!({ "role": name }))
}
