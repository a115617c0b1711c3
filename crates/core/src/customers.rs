//! What may be said of a customer who is set up at WorkOS, before WorkOS is asked: names, domains, addresses, what an IT contact is to do.

#[cfg(test)]
mod tests;

use crate::admin::{check_email, check_line};
use crate::authorize::page_scheme;
use crate::email;
use crate::error::{Error, ErrorCode, Result};
use crate::workos::api::NewOrganization;
use crate::workos_id;

/// The longest name, in characters.
const LONGEST_NAME: usize = 255;
/// The longest external id, in characters, all of them ASCII (WorkOS's OpenAPI file; its documentation says 64).
const LONGEST_EXTERNAL_ID: usize = 128;
/// The longest address to go back to, in bytes.
const LONGEST_URL: usize = 2048;
/// The most domains and the most intents of one call.
const MOST: usize = 100;

/// What somebody may do in the Admin Portal: its name there, and what the invitation of an IT contact calls it, which cannot ask for all
/// of them (WorkOS's OpenAPI file and its Node SDK 11).
const INTENTS: [(&str, Option<&str>); 7] = [
    ("sso", Some("sso")),
    ("dsync", Some(DIRECTORY_SYNC)),
    ("audit_logs", None),
    ("log_streams", Some("log_streams")),
    ("domain_verification", Some("domain_verification")),
    ("certificate_renewal", None),
    ("bring_your_own_key", Some("bring_your_own_key")),
];

/// The other name of `dsync`, which is taken as well.
const DIRECTORY_SYNC: &str = "directory_sync";

/// An organization as it is to be, of the arguments as they came from SQL.
///
/// # Errors
/// `null_value`, `validation_failed`
pub fn new_organization(
    name: Option<&str>,
    external_id: Option<&str>,
    domains: Option<&[Option<&str>]>,
) -> Result<NewOrganization> {
    let name = name.ok_or_else(|| Error::null("name"))?;
    check_line("name", name, LONGEST_NAME)?;
    if let Some(external_id) = external_id {
        check_line("external_id", external_id, LONGEST_EXTERNAL_ID)?;
        if !external_id.is_ascii() {
            return Err(Error::invalid("external_id", "it has other than ASCII characters."));
        }
        // It becomes a part of a URL's path, where these two mean another path, however they are written.
        if matches!(external_id, "." | "..") {
            return Err(Error::invalid("external_id", "it cannot stand in a URL's path."));
        }
    }
    let domains = domains.unwrap_or_default();
    check_count("domains", domains.len())?;
    let mut wanted: Vec<String> = Vec::new();
    for domain in domains {
        let domain = check_domain("domains", *domain)?;
        if !wanted.contains(&domain) {
            wanted.push(domain);
        }
    }
    Ok(NewOrganization { name: name.to_owned(), external_id: external_id.map(str::to_owned), domains: wanted })
}

/// The id of an organization.
///
/// # Errors
/// `null_value`, `validation_failed`
pub fn check_organization(organization: Option<&str>) -> Result<&str> {
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    match workos_id::check(organization) {
        Ok(()) => Ok(organization),
        Err(why) => Err(Error::invalid("organization", &format!("it {why}."))),
    }
}

/// A domain, in lower case.
///
/// # Errors
/// `null_value`, `validation_failed`
pub fn check_domain(argument: &str, domain: Option<&str>) -> Result<String> {
    let domain = domain.ok_or_else(|| Error::null(argument))?;
    // A single label is a domain of addresses inside a company, and none that the name system has records of. It has names in ASCII alone
    // (RFC 5890, section 2.3.2.1).
    match domain.is_ascii() && email::is_domain(domain) && domain.contains('.') {
        true => Ok(domain.to_ascii_lowercase()),
        false => {
            let why = "it must be a domain, such as acme.com; one with other letters is written as xn--….";
            Err(Error::invalid(argument, why))
        }
    }
}

/// The address of an IT contact, in lower case.
///
/// # Errors
/// `null_value`, `validation_failed`
pub fn check_contact(email: Option<&str>) -> Result<String> {
    check_email(email.ok_or_else(|| Error::null("email"))?)
}

/// What an IT contact is invited to do, as the invitation calls it, each once.
///
/// # Errors
/// `null_value`, `validation_failed`
pub fn check_invitation(intents: Option<&[Option<&str>]>) -> Result<Vec<&'static str>> {
    let intents = intents.ok_or_else(|| Error::null("intents"))?;
    if intents.is_empty() {
        return Err(Error::invalid("intents", "it is empty: what is the contact to do?"));
    }
    check_count("intents", intents.len())?;
    let mut wanted = Vec::new();
    for intent in intents {
        let invited = intent_of(intent.ok_or_else(|| Error::null("intents"))?).and_then(|(_, invited)| invited);
        let invited = invited.ok_or_else(|| {
            let names = INTENTS.iter().filter(|(_, invited)| invited.is_some());
            one_of("intents", names.map(|(name, _)| *name).collect())
        })?;
        if !wanted.contains(&invited) {
            wanted.push(invited);
        }
    }
    Ok(wanted)
}

/// What somebody is to do in the Admin Portal, as the portal calls it.
///
/// # Errors
/// `null_value`, `validation_failed`
pub fn check_intent(intent: Option<&str>) -> Result<&'static str> {
    let known = intent_of(intent.ok_or_else(|| Error::null("intent"))?);
    known.map(|(name, _)| name).ok_or_else(|| one_of("intent", INTENTS.map(|(name, _)| name).to_vec()))
}

fn intent_of(text: &str) -> Option<(&'static str, Option<&'static str>)> {
    let name = if text == DIRECTORY_SYNC { "dsync" } else { text };
    INTENTS.into_iter().find(|(known, _)| *known == name)
}

fn one_of(argument: &str, names: Vec<&str>) -> Error {
    Error::invalid(argument, &format!("it is none of {}.", names.join(", ")))
}

fn check_count(argument: &str, count: usize) -> Result<()> {
    match count <= MOST {
        true => Ok(()),
        false => Err(Error::invalid(argument, &format!("it has more than {MOST} elements."))),
    }
}

/// Where the browser goes from the Admin Portal. WorkOS takes https alone.
///
/// # Errors
/// `validation_failed`
pub fn check_way_back(argument: &str, url: Option<&str>) -> Result<()> {
    let Some(url) = url else { return Ok(()) };
    if url.len() > LONGEST_URL {
        return Err(Error::invalid(argument, &format!("it is longer than {LONGEST_URL} bytes.")));
    }
    match page_scheme(url) {
        Some("https") => Ok(()),
        _ => Err(Error::invalid(argument, "it must be an absolute https URL without user name or password.")),
    }
}

/// The same failure with a hint that is about customers, where its own is about sign-ins.
#[must_use]
pub fn about_customers(error: Error) -> Error {
    let hint = match error.code() {
        ErrorCode::WorkosUnreachable => {
            "Nothing was changed: try again. Check api_url, name resolution and the firewall of the database server."
        }
        ErrorCode::WorkosTimeout
        | ErrorCode::WorkosConnectionLost
        | ErrorCode::WorkosUnavailable
        | ErrorCode::WorkosAnswerMalformed
        | ErrorCode::WorkosAnswerTooLarge => {
            "WorkOS may have done it. Make the same call again: it finds what is there, an organization by its external_id."
        }
        ErrorCode::WorkosNotFound => {
            "The environment of the API key has no such organization. Compare its id with the WorkOS dashboard, and check api_url."
        }
        ErrorCode::HttpsProxyCredentialsRefused => {
            "Write user:password into the file of workos_auth.https_proxy_credentials_file."
        }
        ErrorCode::HttpsProxyFailed => {
            "Check workos_auth.https_proxy, and that the proxy lets this server reach the host and port of api_url."
        }
        _ => return error,
    };
    error.hint(hint)
}
