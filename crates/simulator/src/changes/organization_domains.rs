//! Domains of organizations come, are verified, fail and go.

use crate::ids;
use crate::objects::organization::{DomainObject, DomainState, VerificationStrategy};
use crate::refusal::Refusal;
use crate::state::Memory;

/// A domain that an organization is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewDomain {
    pub domain: String,
    /// Pending, until the TXT record is there; or verified by the word of whoever has the API key.
    pub verified: bool,
}

impl NewDomain {
    /// Whether it is this domain: upper and lower case are one.
    pub fn is(&self, domain: &str) -> bool {
        self.domain.eq_ignore_ascii_case(domain)
    }
}

impl From<&DomainObject> for NewDomain {
    fn from(domain: &DomainObject) -> Self {
        Self { domain: domain.domain.clone(), verified: domain.state == DomainState::Verified }
    }
}

/// Whether the organization may have these domains: they are domains, and no other organization has shown that one is its own.
pub(crate) fn check(memory: &Memory, organization: Option<&str>, domains: &[NewDomain]) -> Result<(), Refusal> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    for (at, new) in domains.iter().enumerate() {
        if !new.domain.contains('.') || new.domain.split('.').any(str::is_empty) || !new.domain.bytes().all(allowed) {
            return Err(Refusal::invalid("domain", "invalid_domain"));
        }
        let taken = |other: &DomainObject| {
            new.is(&other.domain)
                && other.state == DomainState::Verified
                && Some(other.organization_id.as_str()) != organization
        };
        let mut others = memory.registry.organizations.values().flat_map(|organization| &organization.domains);
        if others.any(taken) || domains.iter().take(at).any(|earlier| earlier.is(&new.domain)) {
            return Err(already_exists(&new.domain));
        }
    }
    Ok(())
}

/// Gives an organization a domain. The caller has checked it.
pub(crate) fn add(memory: &mut Memory, organization: &str, new: NewDomain) -> Result<DomainObject, Refusal> {
    let now = memory.clock.timestamp();
    let found = memory.registry.organizations.get_mut(organization);
    let organization = found.ok_or_else(|| Refusal::not_found("organization", organization))?;
    if organization.domains.iter().any(|own| new.is(&own.domain)) {
        return Err(already_exists(&new.domain));
    }
    let domain = DomainObject {
        id: ids::id("org_domain_", now),
        organization_id: organization.id.clone(),
        domain: new.domain.to_ascii_lowercase(),
        state: if new.verified { DomainState::Verified } else { DomainState::Pending },
        verification_strategy: if new.verified { VerificationStrategy::Manual } else { VerificationStrategy::Dns },
        verification_token: (!new.verified).then(|| ids::random("")),
        created_at: now,
        updated_at: now,
    };
    organization.domains.push(domain.clone());
    Ok(domain)
}

/// Gives an organization these domains and no others. The caller has checked them.
pub(crate) fn replace(memory: &mut Memory, organization: &str, domains: Vec<NewDomain>) -> Result<(), Refusal> {
    let own = memory.registry.organizations.get(organization).map(|own| own.domains.clone()).unwrap_or_default();
    for old in own.iter().filter(|old| !domains.iter().any(|new| new.is(&old.domain))) {
        delete(memory, &old.id)?;
    }
    for new in domains {
        match own.iter().find(|old| new.is(&old.domain)) {
            None => drop(add(memory, organization, new)?),
            Some(old) if new.verified && old.state != DomainState::Verified => {
                set_state(memory, &old.id, DomainState::Verified)?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// `POST /organization_domains`
pub(crate) fn create(memory: &mut Memory, organization: &str, domain: &str) -> Result<DomainObject, Refusal> {
    let new = NewDomain { domain: domain.to_owned(), verified: false };
    check(memory, Some(organization), std::slice::from_ref(&new))?;
    add(memory, organization, new)
}

/// `POST /organization_domains/{id}/verify`: WorkOS looks for the TXT record anew.
pub(crate) fn restart(memory: &mut Memory, id: &str) -> Result<DomainObject, Refusal> {
    if find(memory, id)?.state == DomainState::Verified {
        return Err(Refusal::bad_request("domain_already_verified", "The domain is verified already."));
    }
    set_state(memory, id, DomainState::Pending)
}

/// `DELETE /organization_domains/{id}`
pub(crate) fn delete(memory: &mut Memory, id: &str) -> Result<(), Refusal> {
    let organization = find(memory, id)?.organization_id.clone();
    if let Some(organization) = memory.registry.organizations.get_mut(&organization) {
        organization.domains.retain(|domain| domain.id != id);
    }
    Ok(())
}

/// A domain by its id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a DomainObject, Refusal> {
    let mut all = memory.registry.organizations.values().flat_map(|organization| &organization.domains);
    all.find(|domain| domain.id == id).ok_or_else(|| Refusal::not_found("organization_domain", id))
}

fn set_state(memory: &mut Memory, id: &str, state: DomainState) -> Result<DomainObject, Refusal> {
    let now = memory.clock.timestamp();
    let mut all = memory.registry.organizations.values_mut().flat_map(|organization| &mut organization.domains);
    let domain = all.find(|domain| domain.id == id).ok_or_else(|| Refusal::not_found("organization_domain", id))?;
    domain.state = state;
    domain.updated_at = now;
    Ok(domain.clone())
}

fn already_exists(domain: &str) -> Refusal {
    Refusal::conflict("domain_already_exists", format!("The domain '{domain}' is an organization's already."))
}
