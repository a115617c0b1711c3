//! Organizations come, change and go.

use std::collections::BTreeMap;

use crate::changes::organization_domains::{NewDomain, add, check, replace};
use crate::ids;
use crate::objects::organization::OrganizationObject;
use crate::refusal::Refusal;
use crate::state::Memory;

/// "External identifiers must be unique within your environment and are limited to 64 characters" (WorkOS's documentation; its OpenAPI
/// file allows 128, all of them ASCII).
const EXTERNAL_ID: usize = 64;
/// "Up to 10 key-value pairs", with at most so many characters, ASCII only (WorkOS's documentation).
const METADATA: (usize, usize, usize) = (10, 40, 600);

/// Pairs that are set, and keys that go.
pub(crate) type MetadataPatch = BTreeMap<String, Option<String>>;

/// A new organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NewOrganization {
    pub name: String,
    pub external_id: Option<String>,
    pub metadata: MetadataPatch,
    pub domains: Vec<NewDomain>,
    pub allow_profiles_outside_organization: bool,
}

/// What of an organization changes; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OrganizationPatch {
    pub name: Option<String>,
    pub external_id: Option<Option<String>>,
    /// `Some(None)` takes all away. WorkOS does not document what becomes of keys that are not named: they stay here, and null takes one
    /// away.
    pub metadata: Option<Option<MetadataPatch>>,
    /// All of its domains: those that are not named go. WorkOS does not document that.
    pub domains: Option<Vec<NewDomain>>,
    pub stripe_customer_id: Option<String>,
    pub allow_profiles_outside_organization: Option<bool>,
}

/// `POST /organizations`
pub(crate) fn create(memory: &mut Memory, new: NewOrganization) -> Result<OrganizationObject, Refusal> {
    check_external_id(memory, None, new.external_id.as_deref())?;
    let mut metadata = BTreeMap::new();
    merge_metadata(&mut metadata, new.metadata)?;
    check(memory, None, &new.domains)?;
    let now = memory.clock.timestamp();
    let id = ids::id("org_", now);
    let organization = OrganizationObject {
        id: id.clone(),
        name: new.name,
        domains: Vec::new(),
        metadata,
        external_id: new.external_id,
        stripe_customer_id: None,
        allow_profiles_outside_organization: new.allow_profiles_outside_organization,
        created_at: now,
        updated_at: now,
    };
    memory.registry.organizations.insert(id.clone(), organization);
    for domain in new.domains {
        add(memory, &id, domain)?;
    }
    find(memory, &id).cloned()
}

/// `PUT /organizations/{id}`
pub(crate) fn update(memory: &mut Memory, id: &str, patch: OrganizationPatch) -> Result<OrganizationObject, Refusal> {
    let mut organization = find(memory, id)?.clone();
    if let Some(external_id) = patch.external_id {
        check_external_id(memory, Some(id), external_id.as_deref())?;
        organization.external_id = external_id;
    }
    if let Some(stripe_customer_id) = patch.stripe_customer_id {
        let taken = |other: &OrganizationObject| other.stripe_customer_id.as_ref() == Some(&stripe_customer_id);
        if memory.registry.organizations.values().any(|other| other.id != id && taken(other)) {
            let message = "The Stripe customer ID is another organization's.";
            return Err(Refusal::bad_request("stripe_customer_id_already_used", message));
        }
        organization.stripe_customer_id = Some(stripe_customer_id);
    }
    match patch.metadata {
        None => {}
        Some(None) => organization.metadata.clear(),
        Some(Some(metadata)) => merge_metadata(&mut organization.metadata, metadata)?,
    }
    organization.name = patch.name.unwrap_or(organization.name);
    organization.allow_profiles_outside_organization =
        patch.allow_profiles_outside_organization.unwrap_or(organization.allow_profiles_outside_organization);
    organization.updated_at = memory.clock.timestamp();
    let domains = patch.domains.unwrap_or_else(|| organization.domains.iter().map(NewDomain::from).collect());
    check(memory, Some(id), &domains)?;
    memory.registry.organizations.insert(id.to_owned(), organization);
    replace(memory, id, domains)?;
    find(memory, id).cloned()
}

/// `DELETE /organizations/{id}`, with all that belongs to it.
pub(crate) fn delete(memory: &mut Memory, id: &str) -> Result<(), Refusal> {
    find(memory, id)?;
    let registry = &mut memory.registry;
    registry.organizations.shift_remove(id);
    registry.it_contacts.retain(|_, contact| contact.organization_id != id);
    let gone = |organization: &Option<String>| organization.as_deref() == Some(id);
    registry.connections.retain(|_, connection| !gone(&connection.organization));
    registry.profiles.retain(|_, profile| registry.connections.contains_key(&profile.connection));
    Ok(())
}

/// An organization by its id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a OrganizationObject, Refusal> {
    memory.registry.organizations.get(id).ok_or_else(|| Refusal::not_found("organization", id))
}

fn check_external_id(memory: &Memory, own: Option<&str>, external_id: Option<&str>) -> Result<(), Refusal> {
    let Some(external_id) = external_id else { return Ok(()) };
    if external_id.is_empty() || external_id.len() > EXTERNAL_ID || !external_id.is_ascii() {
        return Err(Refusal::invalid("external_id", "invalid_external_id"));
    }
    let taken = |other: &OrganizationObject| other.external_id.as_deref() == Some(external_id);
    if memory.registry.organizations.values().any(|other| Some(other.id.as_str()) != own && taken(other)) {
        let message = format!("The external ID '{external_id}' is another organization's.");
        return Err(Refusal::bad_request("external_id_already_used", message));
    }
    Ok(())
}

fn merge_metadata(metadata: &mut BTreeMap<String, String>, more: MetadataPatch) -> Result<(), Refusal> {
    for (key, value) in more {
        match value {
            Some(value) => metadata.insert(key, value),
            None => metadata.remove(&key),
        };
    }
    let (pairs, key_length, value_length) = METADATA;
    let fits = |text: &str, length: usize| !text.is_empty() && text.len() <= length && text.is_ascii();
    if metadata.len() > pairs || !metadata.iter().all(|(key, value)| fits(key, key_length) && fits(value, value_length))
    {
        return Err(Refusal::bad_request("invalid_metadata", "The metadata is outside of its limits."));
    }
    Ok(())
}
