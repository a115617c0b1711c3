//! Reading: what everyone may call, in policies too. Declared in `sql/40_reading.sql`.

use pgrx::prelude::*;
use pgrx::{JsonB, Uuid};
use workos_auth_core::token::{self, Claims};
use workos_auth_core::{Error, Result};

use crate::error::{or_raise, unexpected};
use crate::session;

/// Reads something of the current session; `None` without one.
fn read<T>(of: impl FnOnce(&Claims) -> Option<T>) -> Option<T> {
    or_raise(session::current()).and_then(|claims| of(&claims))
}

fn json(claims: &Claims) -> Result<JsonB> {
    serde_json::from_str(&claims.json).map(JsonB).map_err(|_| unexpected("The claims are no JSON."))
}

#[pg_extern(sql = false)]
fn session_claims() -> Option<JsonB> {
    or_raise(session::current().and_then(|claims| claims.map(|claims| json(&claims)).transpose()))
}

#[pg_extern(sql = false)]
fn uid() -> Option<Uuid> {
    read(|claims| Some(Uuid::from_bytes(claims.sub.into_bytes())))
}

#[pg_extern(sql = false)]
fn session_id() -> Option<Uuid> {
    read(|claims| Some(Uuid::from_bytes(claims.session_id.into_bytes())))
}

#[pg_extern(sql = false)]
fn role() -> Option<String> {
    read(|claims| claims.role.clone())
}

#[pg_extern(sql = false)]
fn email() -> Option<String> {
    read(|claims| claims.email.clone().filter(|email| !email.is_empty()))
}

#[pg_extern(sql = false)]
fn organization_id() -> Option<String> {
    read(|claims| claims.org_id.clone())
}

#[pg_extern(sql = false)]
fn connection_id() -> Option<String> {
    read(|claims| claims.connection_id.clone())
}

/// Whether a list of the claims holds a value. NULL without a session.
fn holds(list: fn(&Claims) -> &[String], argument: &str, value: Option<&str>) -> Option<bool> {
    let value = or_raise(value.ok_or_else(|| Error::null(argument)));
    read(|claims| Some(list(claims).iter().any(|held| held == value)))
}

/// The same, in a session of this organization only; NULL is none.
fn holds_in(
    list: fn(&Claims) -> &[String],
    argument: &str,
    value: Option<&str>,
    organization: Option<&str>,
) -> Option<bool> {
    let of_organization = read(|claims| Some(organization.is_some() && claims.org_id.as_deref() == organization));
    holds(list, argument, value).map(|holds| holds && of_organization == Some(true))
}

fn roles(claims: &Claims) -> &[String] {
    &claims.org_roles
}

fn groups(claims: &Claims) -> &[String] {
    &claims.groups
}

fn permissions(claims: &Claims) -> &[String] {
    &claims.permissions
}

#[pg_extern(sql = false)]
fn has_role(role: Option<&str>) -> Option<bool> {
    holds(roles, "role", role)
}

#[pg_extern(sql = false)]
fn has_role_in(role: Option<&str>, organization: Option<&str>) -> Option<bool> {
    holds_in(roles, "role", role, organization)
}

#[pg_extern(sql = false)]
fn in_group(group: Option<&str>) -> Option<bool> {
    holds(groups, "group", group)
}

#[pg_extern(sql = false)]
fn in_group_in(group: Option<&str>, organization: Option<&str>) -> Option<bool> {
    holds_in(groups, "group", group, organization)
}

#[pg_extern(sql = false)]
fn has_permission(permission: Option<&str>) -> Option<bool> {
    holds(permissions, "permission", permission)
}

#[pg_extern(sql = false)]
fn has_permission_in(permission: Option<&str>, organization: Option<&str>) -> Option<bool> {
    holds_in(permissions, "permission", permission, organization)
}

#[pg_extern(sql = false)]
fn set_session(access_token: Option<&str>, is_local: Option<bool>) -> JsonB {
    let access_token = or_raise(access_token.ok_or_else(|| Error::null("access_token")));
    let is_local = or_raise(is_local.ok_or_else(|| Error::null("is_local")));
    or_raise(session::set(access_token, is_local).and_then(|claims| json(&claims)))
}

#[pg_extern(sql = false)]
fn clear_session() {
    or_raise(session::clear());
}

#[pg_extern(sql = false)]
fn verify_token(access_token: Option<&str>) -> JsonB {
    let access_token = or_raise(access_token.ok_or_else(|| Error::null("access_token")));
    or_raise(session::verify(access_token).and_then(|claims| json(&claims)))
}

#[pg_extern(sql = false)]
fn jwks() -> JsonB {
    JsonB(token::jwks(session::public_keys().iter()))
}
