//! The two bundles of rights.

use pgrx::prelude::*;
use workos_auth_core::{Result, error};

use crate::error::{sqlstate, unexpected};

/// What a backend needs to sign people in.
const SIGN_IN: &[&str] = &[
    "EXECUTE ON FUNCTION auth.start_sign_in(text, text, text, text, text, text, jsonb)",
    "EXECUTE ON FUNCTION auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb)",
    "EXECUTE ON FUNCTION auth.handle_callback(text, text, text, text, text, text)",
    "EXECUTE ON FUNCTION auth.exchange_code(text, text, text, inet, text)",
];

/// What an administrator needs who is no superuser.
const ADMIN: &[&str] = &[
    "EXECUTE ON FUNCTION auth.configure_workos(text, text, text, text, text, boolean)",
    "EXECUTE ON FUNCTION auth.rotate_signing_key(text), auth.retire_signing_key(text)",
    "EXECUTE ON FUNCTION auth.grant_sign_in(regrole), auth.revoke_sign_in(regrole)",
    "EXECUTE ON FUNCTION auth.check(), auth.check_facts(), auth.check_attached(), auth.check_installed()",
    "SELECT, INSERT, DELETE ON auth.redirect_urls, auth.organization_domains",
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
    fn rights(self) -> &'static [&'static str] {
        match self {
            Bundle::SignIn => SIGN_IN,
            Bundle::Admin => ADMIN,
        }
    }
}

/// Gives a bundle to a role.
pub fn grant(bundle: Bundle, role: pg_sys::Oid) -> Result<()> {
    each(bundle, role, |right, role| format!("GRANT {right} TO {role}"))
}

/// Takes a bundle back from a role.
pub fn revoke(bundle: Bundle, role: pg_sys::Oid) -> Result<()> {
    each(bundle, role, |right, role| format!("REVOKE {right} FROM {role}"))
}

fn each(bundle: Bundle, role: pg_sys::Oid, statement: impl Fn(&str, &str) -> String) -> Result<()> {
    // SAFETY: looks a name up; missing_ok.
    let name = unsafe { pg_sys::GetUserNameFromId(role, true) };
    if name.is_null() {
        return Err(error::Error::invalid("role", "there is no such role."));
    }
    // SAFETY: a C string that Postgres has just made.
    let name = unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy();
    let role = pgrx::spi::quote_identifier(name.as_ref());
    sqlstate::kept(|| {
        bundle
            .rights()
            .iter()
            .try_for_each(|right| Spi::run(&statement(right, &role)))
            .map_err(|error| unexpected(&format!("SPI failed: {error}")))
    })
}
