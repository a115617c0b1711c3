//! IT contacts come, are invited and go.

use crate::changes::organizations;
use crate::ids;
use crate::objects::it_contact::ItContact;
use crate::refusal::Refusal;
use crate::state::Memory;

/// `POST /organizations/{id}/it_contacts`: nothing is sent.
pub(crate) fn create(memory: &mut Memory, organization: &str, email: &str) -> Result<ItContact, Refusal> {
    organizations::find(memory, organization)?;
    if email.split_once('@').is_none_or(|(name, domain)| name.is_empty() || !domain.contains('.')) {
        return Err(Refusal::invalid("email", "invalid_email"));
    }
    if of_organization(memory, organization).any(|contact| contact.email.eq_ignore_ascii_case(email)) {
        return Err(Refusal::conflict("it_contact_already_exists", "The organization has this IT contact already."));
    }
    let now = memory.clock.timestamp();
    let contact = ItContact {
        id: ids::id("it_contact_", now),
        email: email.to_owned(),
        created_at: now,
        updated_at: now,
        organization_id: organization.to_owned(),
        invited_to: None,
    };
    memory.registry.it_contacts.insert(contact.id.clone(), contact.clone());
    Ok(contact)
}

/// `POST …/{contact}/invite`: "an organization can have at most one active invitation" (WorkOS's SDKs).
pub(crate) fn invite(memory: &mut Memory, organization: &str, id: &str, intents: Vec<String>) -> Result<(), Refusal> {
    find(memory, organization, id)?;
    if of_organization(memory, organization).any(|contact| contact.invited_to.is_some()) {
        let message = "The organization has an active invitation already.";
        return Err(Refusal::conflict("it_contact_invitation_already_active", message));
    }
    if let Some(contact) = memory.registry.it_contacts.get_mut(id) {
        contact.invited_to = Some(intents);
    }
    Ok(())
}

/// `POST …/{contact}/revoke`: "the organization's active Admin Portal invitation" (WorkOS's SDKs), whichever contact has it.
pub(crate) fn revoke(memory: &mut Memory, organization: &str, id: &str) -> Result<(), Refusal> {
    find(memory, organization, id)?;
    let all = memory.registry.it_contacts.values_mut();
    all.filter(|contact| contact.organization_id == organization).for_each(|contact| contact.invited_to = None);
    Ok(())
}

/// `DELETE …/{contact}`, and the contact's invitation with it.
pub(crate) fn delete(memory: &mut Memory, organization: &str, id: &str) -> Result<(), Refusal> {
    find(memory, organization, id)?;
    memory.registry.it_contacts.shift_remove(id);
    Ok(())
}

/// The contacts of an organization, oldest first.
pub(crate) fn of_organization<'a>(memory: &'a Memory, organization: &str) -> impl Iterator<Item = &'a ItContact> {
    memory.registry.it_contacts.values().filter(move |contact| contact.organization_id == organization)
}

fn find<'a>(memory: &'a Memory, organization: &str, id: &str) -> Result<&'a ItContact, Refusal> {
    organizations::find(memory, organization)?;
    let found = memory.registry.it_contacts.get(id).filter(|contact| contact.organization_id == organization);
    found.ok_or_else(|| Refusal::not_found("it_contact", id))
}
