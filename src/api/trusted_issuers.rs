//! Trusted issuers: what administrators call. Declared in `sql/22_trusted_issuers.sql`.

use pgrx::prelude::*;

use crate::admin::issuers::{self, Trust};
use crate::error::or_raise;
use crate::postgres::jsonb::Jsonb;

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "those of the SQL function")]
fn trust_issuer(
    issuer: Option<&str>,
    kind: Option<&str>,
    jwks_uri: Option<&str>,
    jwks: Option<Jsonb>,
    audience: Option<&str>,
    client_id: Option<&str>,
    database_role: Option<&str>,
    claims: Option<Jsonb>,
) {
    or_raise(issuers::trust(Trust { issuer, kind, jwks_uri, jwks, audience, client_id, database_role, claims }));
}

#[pg_extern(sql = false)]
fn trust_workos() {
    or_raise(issuers::trust_workos());
}

#[pg_extern(sql = false)]
fn distrust_issuer(issuer: Option<&str>) -> i64 {
    or_raise(issuers::distrust(issuer))
}

#[pg_extern(sql = false)]
fn set_issuer_keys(issuer: Option<&str>, jwks: Option<Jsonb>) -> i64 {
    or_raise(issuers::set_keys(issuer, jwks))
}

#[pg_extern(sql = false)]
fn refresh_issuer_keys(issuer: Option<&str>) -> i64 {
    or_raise(issuers::refresh_keys(issuer))
}

#[pg_extern(sql = false)]
fn set_organization_issuer(organization: Option<&str>, issuer: Option<&str>) -> i64 {
    or_raise(issuers::assign_organization(organization, issuer))
}
