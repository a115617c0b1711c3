//! Organizations, their domains and connections.

use serde_json::json;
use workos_auth_core::Result;
use workos_auth_core::mirror::{Connection, Domain, Moment, Organization};

use super::leaving;
use crate::audit::audit;
use crate::store::Subject;
use crate::store::mirror::{organizations as store, remember_removal};

pub(super) fn write(organization: &Organization) -> Result<()> {
    let is_newest = store::write(organization)?;
    let Some(domains) = &organization.domains else { return Ok(()) };
    if is_newest {
        store::keep_domains(&organization.id, domains)?;
    }
    domains.iter().try_for_each(store::write_domain)
}

/// Whoever is in it has no place to be any more.
pub(super) fn delete(id: &str) -> Result<()> {
    remember_removal(id)?;
    let is_new = store::mark_deleted(id)?;
    store::remove_belongings(id)?;
    if is_new {
        let ended = leaving::end_organization(id)?;
        let subject = Subject { organization_id: Some(id), ..Subject::default() };
        audit("organization_deleted", &subject, json!({ "sessions": ended }))?;
    }
    Ok(())
}

pub(super) fn write_domain(domain: &Domain) -> Result<()> {
    store::write_domain(domain)
}

pub(super) fn delete_domain(domain: &Domain) -> Result<()> {
    remember_removal(&domain.id)?;
    store::remove_domain(&domain.organization_id, &domain.id)
}

pub(super) fn write_connection(connection: &Connection) -> Result<()> {
    store::write_connection(connection)
}

pub(super) fn delete_connection(id: &str) -> Result<()> {
    remember_removal(id)?;
    store::remove_connection(id)
}

pub(super) fn certificate_expires(connection_id: &str, at: Moment) -> Result<()> {
    store::set_certificate_expiry(connection_id, at)
}
