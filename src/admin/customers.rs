//! `auth.workos_create_organization` and its like: a customer is set up at WorkOS. No lock is held while WorkOS is waited for, and what it has
//! done, a rollback here does not undo: so each call looks for what is there already.

use serde_json::json;
use workos_auth_core::customers::{
    about_customers, check_contact, check_domain, check_intent, check_invitation, check_organization, check_way_back,
    new_organization,
};
use workos_auth_core::secret::{ClientSecret, PortalLink};
use workos_auth_core::workos::HttpAnswer;
use workos_auth_core::workos::api::{Api, ApiRequest, Domain, NewOrganization, Organization};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::error::warn;
use crate::postgres::transaction::require_writable;
use crate::store::configuration::{self, Provider};
use crate::store::{Subject, accounts};
use crate::{http, installation, secrets};

/// `auth.workos_create_organization`: the organization's id.
pub fn create_organization(
    name: Option<&str>,
    external_id: Option<&str>,
    domains: Option<&[Option<&str>]>,
) -> Result<String> {
    require_writable()?;
    let wanted = new_organization(name, external_id, domains)?;
    let (organization, is_new) = Workos::open()?.find_or_create(&wanted)?;
    accounts::ensure_organization(&organization.id)?;
    if let Some(difference) = organization.difference(&wanted) {
        let message = match is_new {
            true => "the organization was made, and is not as it was to be",
            false => "the organization is there already, and not as it was to be",
        };
        warn(
            pgrx::PgSqlErrorCode::ERRCODE_WARNING,
            message,
            &format!("{}: {difference}", organization.id),
            "It stays as it is. auth.workos_add_domain adds a domain; the WorkOS dashboard changes the name.",
        );
    }
    // Of one that was found too: it may have been made by a call that was rolled back.
    let payload = json!({
        "name": wanted.name, "external_id": wanted.external_id, "domains": wanted.domains, "created": is_new,
    });
    audit("organization_set_up", &about(&organization.id), payload)?;
    Ok(organization.id)
}

/// `auth.workos_add_domain`: the domain as WorkOS knows it, and its name.
pub fn add_domain(organization: Option<&str>, domain: Option<&str>) -> Result<(Domain, String)> {
    require_writable()?;
    let organization = check_organization(organization)?;
    let name = check_domain("domain", domain)?;
    let workos = Workos::open()?;
    let known = workos.organization(organization)?;
    let read = |api: &Api, answer: &HttpAnswer| api.domain(answer, organization, &name);
    let domain = match known.domain(&name) {
        Some(known) if known.has_failed() => workos.ask(|api| api.verify_domain(&known.id), read)?,
        Some(known) => return Ok((known.clone(), name)),
        None => workos.ask(|api| api.create_domain(organization, &name), read)?,
    };
    audit("organization_domain_added", &about(organization), json!({ "domain": name, "state": domain.state }))?;
    Ok((domain, name))
}

/// `auth.workos_invite_it_contact`: WorkOS's id of the contact.
pub fn invite_it_contact(
    organization: Option<&str>,
    email: Option<&str>,
    intents: Option<&[Option<&str>]>,
) -> Result<String> {
    require_writable()?;
    let organization = check_organization(organization)?;
    let email = check_contact(email)?;
    let intents = check_invitation(intents)?;
    let workos = Workos::open()?;
    let contacts = workos.ask(|api| api.list_contacts(organization), Api::contacts)?;
    let contact = match contacts.into_iter().find(|contact| contact.email.eq_ignore_ascii_case(&email)) {
        Some(contact) => contact,
        None => {
            workos.ask(|api| api.create_contact(organization, &email), |api, answer| api.contact(answer, &email))?
        }
    };
    let invited = workos.ask(|api| api.invite_contact(organization, &contact.id, &intents), Api::done);
    invited.map_err(|error| match error.code() {
        ErrorCode::WorkosConflict => error.hint(
            "An organization has one invitation at a time. The WorkOS dashboard shows who has it, and takes it back.",
        ),
        _ => error,
    })?;
    audit("it_contact_invited", &about(organization), json!({ "email": email, "intents": intents }))?;
    Ok(contact.id)
}

/// `auth.workos_portal_link`: the link, which stands nowhere else.
pub fn portal_link(
    organization: Option<&str>,
    intent: Option<&str>,
    return_url: Option<&str>,
    success_url: Option<&str>,
) -> Result<PortalLink> {
    require_writable()?;
    let organization = check_organization(organization)?;
    let intent = check_intent(intent)?;
    check_way_back("return_url", return_url)?;
    check_way_back("success_url", success_url)?;
    let link = Workos::open()?.ask(|api| api.portal_link(organization, intent, return_url, success_url), Api::link)?;
    audit("portal_link_created", &about(organization), json!({ "intent": intent }))?;
    Ok(link)
}

fn about(organization: &str) -> Subject<'_> {
    Subject { organization_id: Some(organization), ..Subject::default() }
}

/// WorkOS, and the key that its API is asked with.
struct Workos {
    provider: Provider,
    key: ClientSecret,
}

impl Workos {
    /// Also where sign-ins are switched off: customers may be set up before the first of them.
    ///
    /// # Errors
    /// `verifier_only`, `installation_is_a_copy`, `provider_not_configured`, and those of a secret that does not open.
    fn open() -> Result<Self> {
        installation::require_home()?;
        let provider = configuration::provider()?.ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
        let key = secrets::open_client_secret(&provider)?;
        Ok(Self { provider, key })
    }

    fn ask<'a, T>(
        &'a self,
        request: impl FnOnce(&Api<'a>) -> Result<ApiRequest>,
        read: impl FnOnce(&Api<'a>, &HttpAnswer) -> Result<T>,
    ) -> Result<T> {
        let api = Api { api_url: &self.provider.api_url, key: &self.key };
        let answer = request(&api).and_then(|request| http::call(&request, &self.key));
        answer.and_then(|reply| read(&api, &reply.answer())).map_err(about_customers)
    }

    fn organization(&self, id: &str) -> Result<Organization> {
        self.ask(|api| api.get_organization(id), |api, answer| api.organization(answer, id))
    }

    /// The organization, and whether it is new.
    fn find_or_create(&self, wanted: &NewOrganization) -> Result<(Organization, bool)> {
        if let Some(found) = self.find(wanted)? {
            return Ok((found, false));
        }
        let created = self.ask(|api| api.create_organization(wanted), |api, answer| api.created(answer, wanted));
        match created {
            // Somebody else may have made it since.
            Err(error) if error.code() == ErrorCode::WorkosConflict => match self.find(wanted)? {
                Some(found) => Ok((found, false)),
                None => Err(error),
            },
            created => created.map(|created| (created, true)),
        }
    }

    fn find(&self, wanted: &NewOrganization) -> Result<Option<Organization>> {
        let Some(external_id) = &wanted.external_id else { return Ok(None) };
        self.ask(|api| api.find_organization(external_id), |api, answer| api.found(answer, external_id))
    }
}
