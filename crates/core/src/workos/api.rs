//! WorkOS's API of organizations, of the Admin Portal, and of the end of a session: requests and answers. The API key stands in each request as a bearer token.
//!
//! Shapes: WorkOS's OpenAPI file of 2026-08-07; those of IT contacts, which it has not: WorkOS's Node SDK 11.

#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::answer::HttpAnswer;
use super::refusal::{self, request_id};
use crate::authorize::page_scheme;
use crate::error::{Error, ErrorCode, Result};
use crate::secret::{ClientSecret, PortalLink};
use crate::workos_id;

/// The longest link into the Admin Portal, in bytes.
const LONGEST_LINK: usize = 8192;
/// The longest state of a domain, in bytes.
const LONGEST_STATE: usize = 32;

/// An organization as it is to be.
#[derive(Debug, PartialEq, Eq)]
pub struct NewOrganization {
    /// what people call it
    pub name: String,
    /// the caller's own id of it
    pub external_id: Option<String>,
    /// in lower case, each once
    pub domains: Vec<String>,
}

/// One request: a POST where it has a body, else a GET.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// where to
    pub url: String,
    /// the body, as JSON
    pub body: Option<String>,
}

/// WorkOS as it is reached with an API key.
#[derive(Debug)]
pub struct Api<'a> {
    /// WorkOS's base URL
    pub api_url: &'a str,
    /// the API key
    pub key: &'a ClientSecret,
}

impl Api<'_> {
    /// Looks an organization up by the caller's own id of it. [`Self::found`] reads the answer.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn find_organization(&self, external_id: &str) -> Result<ApiRequest> {
        self.get(&["organizations", "external_id", external_id])
    }

    /// Looks an organization up.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn get_organization(&self, id: &str) -> Result<ApiRequest> {
        self.get(&["organizations", id])
    }

    /// Makes an organization. Its domains are to be verified.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn create_organization(&self, wanted: &NewOrganization) -> Result<ApiRequest> {
        let mut body = json!({ "name": wanted.name });
        if let Some(external_id) = &wanted.external_id {
            body["external_id"] = json!(external_id);
        }
        if !wanted.domains.is_empty() {
            let pending = |domain: &String| json!({ "domain": domain, "state": "pending" });
            body["domain_data"] = wanted.domains.iter().map(pending).collect();
        }
        self.post(&["organizations"], &body)
    }

    /// Adds a domain to an organization.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn create_domain(&self, organization: &str, domain: &str) -> Result<ApiRequest> {
        self.post(&["organization_domains"], &json!({ "organization_id": organization, "domain": domain }))
    }

    /// Has WorkOS look for a domain's record again.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn verify_domain(&self, id: &str) -> Result<ApiRequest> {
        self.post(&["organization_domains", id, "verify"], &json!({}))
    }

    /// Lists the IT contacts of an organization.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn list_contacts(&self, organization: &str) -> Result<ApiRequest> {
        self.get(&["organizations", organization, "it_contacts"])
    }

    /// Adds an IT contact to an organization, who is sent nothing.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn create_contact(&self, organization: &str, email: &str) -> Result<ApiRequest> {
        self.post(&["organizations", organization, "it_contacts"], &json!({ "email": email }))
    }

    /// Has WorkOS send an IT contact a set-up link.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn invite_contact(&self, organization: &str, contact: &str, intents: &[&str]) -> Result<ApiRequest> {
        self.post(&["organizations", organization, "it_contacts", contact, "invite"], &json!({ "intents": intents }))
    }

    /// Makes a link into the Admin Portal.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn portal_link(
        &self,
        organization: &str,
        intent: &str,
        return_url: Option<&str>,
        success_url: Option<&str>,
    ) -> Result<ApiRequest> {
        let mut body = json!({ "organization": organization, "intent": intent });
        for (name, url) in [("return_url", return_url), ("success_url", success_url)] {
            if let Some(url) = url {
                body[name] = json!(url);
            }
        }
        self.post(&["portal", "generate_link"], &body)
    }

    /// Ends a session of AuthKit.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn revoke_session(&self, id: &str) -> Result<ApiRequest> {
        self.post(&["user_management", "sessions", "revoke"], &json!({ "session_id": id }))
    }

    fn get(&self, path: &[&str]) -> Result<ApiRequest> {
        Ok(ApiRequest { url: self.url(path)?, body: None })
    }

    fn post(&self, path: &[&str], body: &Value) -> Result<ApiRequest> {
        Ok(ApiRequest { url: self.url(path)?, body: Some(body.to_string()) })
    }

    fn url(&self, path: &[&str]) -> Result<String> {
        url(self.api_url, path).map(Into::into)
    }

    /// The organization that was asked for by its id.
    ///
    /// # Errors
    /// The failures of [`super::parse_token_answer`] for other statuses than 2xx; `workos_answer_malformed`, also where the answer is about
    /// something else than what was asked for.
    pub fn organization(&self, answer: &HttpAnswer, id: &str) -> Result<Organization> {
        let organization = self.any_organization(answer)?;
        self.require_same("id of the organization", &organization.id, id, answer)?;
        Ok(organization)
    }

    /// The organization that was made.
    ///
    /// # Errors
    /// As above.
    pub fn created(&self, answer: &HttpAnswer, wanted: &NewOrganization) -> Result<Organization> {
        let organization = self.any_organization(answer)?;
        if let (Some(made), Some(wanted)) = (&organization.external_id, &wanted.external_id) {
            self.require_same("external_id of the organization", made, wanted, answer)?;
        }
        Ok(organization)
    }

    fn any_organization(&self, answer: &HttpAnswer) -> Result<Organization> {
        let RawOrganization { id, name, external_id, domains } = self.read(answer)?;
        workos_id::check(&id).map_err(|why| self.malformed(&format!("The id of the organization {why}"), answer))?;
        let domains = domains.unwrap_or_default().into_iter().map(|domain| self.checked_domain(domain, answer));
        Ok(Organization { id, name: name.unwrap_or_default(), external_id, domains: domains.collect::<Result<_>>()? })
    }

    /// The organization that was looked up by its external id; `None` where there is none.
    ///
    /// # Errors
    /// As above.
    pub fn found(&self, answer: &HttpAnswer, external_id: &str) -> Result<Option<Organization>> {
        if answer.status == 404 {
            return Ok(None);
        }
        let organization = self.any_organization(answer)?;
        let found = organization.external_id.as_deref().unwrap_or_default();
        self.require_same("external_id of the organization", found, external_id, answer)?;
        Ok(Some(organization))
    }

    /// The domain of this name, of this organization.
    ///
    /// # Errors
    /// As above.
    pub fn domain(&self, answer: &HttpAnswer, organization: &str, name: &str) -> Result<Domain> {
        let raw: RawDomain = self.read(answer)?;
        let of = raw.organization_id.clone();
        let domain = self.checked_domain(raw, answer)?;
        self.require_same("name of the domain", &domain.name.to_ascii_lowercase(), name, answer)?;
        if let Some(of) = of {
            self.require_same("organization of the domain", &of, organization, answer)?;
        }
        Ok(domain)
    }

    /// The IT contacts of an organization.
    ///
    /// # Errors
    /// As above.
    pub fn contacts(&self, answer: &HttpAnswer) -> Result<Vec<Contact>> {
        let list: RawContacts = self.read(answer)?;
        list.data.into_iter().map(|contact| self.checked_contact(contact, answer)).collect()
    }

    /// The IT contact with this address.
    ///
    /// # Errors
    /// As above.
    pub fn contact(&self, answer: &HttpAnswer, email: &str) -> Result<Contact> {
        let contact = self.checked_contact(self.read(answer)?, answer)?;
        self.require_same("address of the IT contact", &contact.email.to_lowercase(), email, answer)?;
        Ok(contact)
    }

    /// Whether WorkOS has done it. What stands in the body does not matter.
    ///
    /// # Errors
    /// As above.
    pub fn done(&self, answer: &HttpAnswer) -> Result<()> {
        match (200..300).contains(&answer.status) {
            true => Ok(()),
            false => Err(refusal::error(answer, &[self.key.expose()])),
        }
    }

    /// The link into the Admin Portal: https, or http where WorkOS's stand-in on this machine answers.
    ///
    /// # Errors
    /// As above.
    pub fn link(&self, answer: &HttpAnswer) -> Result<PortalLink> {
        let link = PortalLink::new(self.read::<RawLink>(answer)?.link);
        let can_be_one = link.expose().is_ascii() && link.expose().len() <= LONGEST_LINK;
        match page_scheme(link.expose()).filter(|_| can_be_one) {
            Some("https") => Ok(link),
            Some(_) if self.api_url.starts_with("http:") => Ok(link),
            _ => Err(self.malformed("The link is no https URL", answer)),
        }
    }

    fn read<T: DeserializeOwned>(&self, answer: &HttpAnswer) -> Result<T> {
        self.done(answer)?;
        super::parse_object(answer, &[self.key.expose()])
    }

    fn checked_domain(&self, raw: RawDomain, answer: &HttpAnswer) -> Result<Domain> {
        let token = raw.verification_token.filter(|token| !token.is_empty());
        Ok(Domain {
            id: self.checked_word("id of a domain", raw.id, answer)?,
            name: raw.domain,
            state: self.checked_state(raw.state, answer)?,
            token: token.map(|token| self.checked_word("verification_token of a domain", token, answer)).transpose()?,
        })
    }

    fn checked_contact(&self, raw: RawContact, answer: &HttpAnswer) -> Result<Contact> {
        Ok(Contact { id: self.checked_word("id of an IT contact", raw.id, answer)?, email: raw.email })
    }

    /// What is shown to people, and may become a part of a path.
    fn checked_word(&self, what: &str, word: String, answer: &HttpAnswer) -> Result<String> {
        let is_word = (1..=workos_id::MAX_BYTES).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_graphic());
        match is_word && !matches!(word.as_str(), "." | "..") {
            true => Ok(word),
            false => Err(self.malformed(&format!("The {what} is not 1 to 255 visible ASCII characters"), answer)),
        }
    }

    /// A word of WorkOS's, which is written down.
    fn checked_state(&self, state: String, answer: &HttpAnswer) -> Result<String> {
        let is_state =
            (1..=LONGEST_STATE).contains(&state.len()) && state.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        match is_state {
            true => Ok(state),
            false => Err(self.malformed("The state of a domain is no word in lower case", answer)),
        }
    }

    /// What WorkOS has is what was asked for.
    fn require_same(&self, what: &str, found: &str, asked: &str, answer: &HttpAnswer) -> Result<()> {
        match found == asked {
            true => Ok(()),
            false => Err(self.malformed(&format!("The {what} is not the one asked for"), answer)),
        }
    }

    fn malformed(&self, what: &str, answer: &HttpAnswer) -> Error {
        let detail = format!("{what}{}.", request_id(answer, &[self.key.expose()]));
        Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail)
    }
}

/// The URL of a path below WorkOS's base URL. Each part of the path is one, whatever characters it has.
pub(super) fn url(api_url: &str, path: &[&str]) -> Result<Url> {
    let invalid = || Error::new(ErrorCode::ApiUrlInvalid);
    let mut url = Url::parse(api_url).map_err(|_| invalid())?;
    url.path_segments_mut().map_err(|()| invalid())?.pop_if_empty().extend(path);
    Ok(url)
}

/// An organization of WorkOS.
#[derive(Debug)]
pub struct Organization {
    /// `org_…`
    pub id: String,
    /// what people call it
    pub name: String,
    /// the caller's own id of it
    pub external_id: Option<String>,
    /// those that it has, verified or not
    pub domains: Vec<Domain>,
}

impl Organization {
    /// Its domain of this name, which is in lower case.
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.name.eq_ignore_ascii_case(name))
    }

    /// What is otherwise than it was to be, as a sentence; `None` where nothing is.
    pub fn difference(&self, wanted: &NewOrganization) -> Option<String> {
        let is_missing = |domain: &&String| self.domain(domain).is_none();
        let missing: Vec<&str> = wanted.domains.iter().filter(is_missing).map(String::as_str).collect();
        match (self.name == wanted.name, missing.is_empty()) {
            (true, true) => None,
            (false, true) => Some("Its name is another.".to_owned()),
            (true, false) => Some(format!("It lacks the domains {}.", missing.join(", "))),
            (false, false) => Some(format!("Its name is another, and it lacks the domains {}.", missing.join(", "))),
        }
    }
}

/// A domain of an organization.
#[derive(Debug, Clone)]
pub struct Domain {
    /// `org_domain_…`
    pub id: String,
    /// `acme.com`
    pub name: String,
    /// `pending`, `verified`, `failed` or another word of WorkOS's
    pub state: String,
    /// what the domain's record must hold; none where somebody has verified it otherwise
    pub token: Option<String>,
}

impl Domain {
    /// Whether WorkOS has given up looking for its record.
    pub fn has_failed(&self) -> bool {
        self.state == "failed"
    }

    /// The value of the TXT record, which stands at the domain itself (WorkOS's documentation, Domain Verification API).
    pub fn record(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("verification_token={token}"))
    }
}

/// Somebody at a customer who sets things up.
#[derive(Debug)]
pub struct Contact {
    /// WorkOS's id
    pub id: String,
    /// where WorkOS writes to
    pub email: String,
}

#[derive(Deserialize)]
struct RawOrganization {
    id: String,
    name: Option<String>,
    external_id: Option<String>,
    domains: Option<Vec<RawDomain>>,
}

#[derive(Deserialize)]
struct RawDomain {
    id: String,
    organization_id: Option<String>,
    domain: String,
    state: String,
    verification_token: Option<String>,
}

#[derive(Deserialize)]
struct RawContacts {
    data: Vec<RawContact>,
}

#[derive(Deserialize)]
struct RawContact {
    id: String,
    email: String,
}

#[derive(Deserialize)]
struct RawLink {
    link: String,
}
