//! The two bundles of rights.

use pgrx::prelude::*;
use serde_json::json;
use workos_auth_core::{Result, error};

use super::Subject;
use crate::error::{sqlstate, unexpected};

/// What a backend needs to sign people in.
const SIGN_IN: &[&str] = &[
    "EXECUTE ON FUNCTION auth.start_sign_in(text, text, text, text, text, text, jsonb)",
    "EXECUTE ON FUNCTION auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb)",
    "EXECUTE ON FUNCTION auth.handle_callback(text, text, text, text, text, text, boolean)",
    "EXECUTE ON FUNCTION auth.exchange_code(text, text, text, inet, text)",
    "EXECUTE ON FUNCTION auth.refresh_session(text, inet, text)",
];

/// What an administrator needs who is no superuser.
const ADMIN: &[&str] = &[
    "EXECUTE ON FUNCTION auth.configure_workos(text, text, text, text, text, boolean)",
    "EXECUTE ON FUNCTION auth.rotate_signing_key(text), auth.retire_signing_key(text)",
    "EXECUTE ON FUNCTION auth.ban_user(uuid, timestamptz), auth.unban_user(uuid), auth.delete_user(uuid)",
    "EXECUTE ON FUNCTION auth.revoke_sessions(uuid), auth.revoke_organization(text), auth.cleanup(integer)",
    "EXECUTE ON FUNCTION auth.grant_sign_in(regrole), auth.revoke_sign_in(regrole)",
    "EXECUTE ON FUNCTION auth.check(), auth.check_facts(), auth.check_attached(), auth.check_installed()",
    "EXECUTE ON FUNCTION auth.create_user(text, text, uuid), auth.as_user(uuid, name)",
    "EXECUTE ON FUNCTION auth.create_session(uuid, text, text, text, text, interval)",
    "SELECT, INSERT, DELETE ON auth.redirect_urls, auth.organization_domains",
    "SELECT, INSERT, UPDATE, DELETE ON auth.hooks",
    "SELECT ON auth.audit_log_entries",
    "REFERENCES ON auth.users",
];

/// A bundle of rights.
#[derive(Debug, Clone, Copy)]
pub enum Bundle {
    /// for the backend's role
    SignIn,
    /// for administrators
    Admin,
}

impl Bundle {
    fn granted(self) -> &'static str {
        match self {
            Bundle::SignIn => "sign_in_granted",
            Bundle::Admin => "admin_granted",
        }
    }

    fn revoked(self) -> &'static str {
        match self {
            Bundle::SignIn => "sign_in_revoked",
            Bundle::Admin => "admin_revoked",
        }
    }

    fn rights(self) -> &'static [&'static str] {
        match self {
            Bundle::SignIn => SIGN_IN,
            Bundle::Admin => ADMIN,
        }
    }
}

/// Gives a bundle to a role, and writes that down.
pub fn grant(bundle: Bundle, role: pg_sys::Oid) -> Result<()> {
    let name = each(bundle, role, |right, role| format!("GRANT {right} TO {role}"))?;
    super::audit(bundle.granted(), &Subject::default(), json!({ "role": name }))
}

/// Takes a bundle back from a role, and writes that down.
pub fn revoke(bundle: Bundle, role: pg_sys::Oid) -> Result<()> {
    let name = each(bundle, role, |right, role| format!("REVOKE {right} FROM {role}"))?;
    super::audit(bundle.revoked(), &Subject::default(), json!({ "role": name }))
}

fn each(bundle: Bundle, role: pg_sys::Oid, statement: impl Fn(&str, &str) -> String) -> Result<String> {
    // SAFETY: looks a name up; missing_ok.
    let name = unsafe { pg_sys::GetUserNameFromId(role, true) };
    if name.is_null() {
        return Err(error::Error::invalid("role", "there is no such role."));
    }
    // SAFETY: a C string that Postgres has just made.
    let name = unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy();
    let role = pgrx::spi::quote_identifier(name.as_ref());
    sqlstate::kept(|_| {
        bundle
            .rights()
            .iter()
            .try_for_each(|right| Spi::run(&statement(right, &role)))
            .map_err(|error| unexpected(&format!("SPI failed: {error}")))
    })?;
    Ok(name.into_owned())
}
