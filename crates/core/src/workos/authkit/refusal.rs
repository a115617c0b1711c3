//! AuthKit's refusals. Its messages name codes ("The code '…' has expired") and addresses ("Invalid credentials for '…'"), so that none is
//! shown: only the name of the refusal, where it is a word.
//!
//! The names stand in WorkOS's OpenAPI file of 2026-08-07, under `POST /user_management/authenticate`.

use serde_json::Value;

use super::super::answer::HttpAnswer;
use super::super::refusal::request_id;
use super::grant::is_token;
use crate::error::{Error, ErrorCode};
use crate::json::{self, Free};
use crate::secret::PendingToken;
use crate::workos_id;

/// The longest name of a refusal, in bytes.
const LONGEST_NAME: usize = 80;
/// The refusal that has no name but its message.
const MUST_USE_SSO: &str = "Must use SSO for selected organization";
/// So many organizations are named at most.
const MOST_NAMED: usize = 20;
/// So many organizations may be picked from at most.
const MOST_ORGANIZATIONS: usize = 1000;

/// WorkOS asks which of the person's organizations the sign-in is for.
#[derive(Debug)]
pub struct Selection {
    /// what WorkOS takes with the answer
    pub pending: PendingToken,
    /// the organizations' ids, as WorkOS names them
    pub organizations: Vec<String>,
}

/// WorkOS's question, where the answer is one that can be answered.
pub fn selection(answer: &HttpAnswer) -> Option<Selection> {
    let Free(body) = json::read(answer.body).unwrap_or_default();
    let is_asked = !(200..300).contains(&answer.status)
        && code_of(answer.status, &body) == ErrorCode::OrganizationSelectionRequired;
    let pending = body.get("pending_authentication_token").and_then(Value::as_str).filter(|token| is_token(token))?;
    let organizations: Vec<String> = organizations(&body).map(str::to_owned).collect();
    (is_asked && !organizations.is_empty())
        .then(|| Selection { pending: PendingToken::new(pending.to_owned()), organizations })
}

/// The error of a sign-in of which WorkOS has asked that.
pub fn selection_required<'a>(organizations: impl Iterator<Item = &'a str>) -> Error {
    let code = ErrorCode::OrganizationSelectionRequired;
    let detail = format!("WorkOS answered 403: {}{}.", code.name(), named(organizations));
    Error::with_detail(code, detail)
}

/// The failure that an answer other than 2xx stands for.
pub(super) fn error(answer: &HttpAnswer, redact: &[&str]) -> Error {
    let Free(body) = json::read(answer.body).unwrap_or_default();
    let code = code_of(answer.status, &body);
    let mut detail = format!("WorkOS answered {}", answer.status);
    if let Some(name) = name_of(&body) {
        detail.push_str(&format!(": {name}"));
    }
    if code == ErrorCode::OrganizationSelectionRequired {
        detail.push_str(&named(organizations(&body)));
    }
    detail.push_str(&request_id(answer, redact));
    detail.push('.');
    // Seconds; WorkOS sends no date.
    let seconds = answer.retry_after.filter(|_| answer.status == 429).and_then(|when| when.parse::<u32>().ok());
    if let Some(seconds) = seconds {
        detail.push_str(&format!(" Retry-After: {seconds}."));
    }
    let error = Error::with_detail(code, detail);
    match code {
        ErrorCode::SsoRequired => error.hint(
            "Start the sign-in again with the organization, so that AuthKit asks its identity provider: \
             auth.start_sign_in(provider => 'authkit', organization => …).",
        ),
        _ => error,
    }
}

fn name_of(body: &Value) -> Option<&str> {
    let text = |member: &str| body.get(member).and_then(Value::as_str);
    text("error").or_else(|| text("code")).filter(|name| is_word(name))
}

fn code_of(status: u16, body: &Value) -> ErrorCode {
    let name = name_of(body);
    match body.get("message").and_then(Value::as_str) {
        Some(message) if name.is_none() && message.trim_end_matches('.') == MUST_USE_SSO => ErrorCode::SsoRequired,
        _ => error_code(status, name.unwrap_or_default()),
    }
}

fn error_code(status: u16, name: &str) -> ErrorCode {
    match (status, name) {
        (429, _) => ErrorCode::WorkosRateLimited,
        (500.., _) => ErrorCode::WorkosUnavailable,
        (_, "invalid_client" | "unauthorized_client") => ErrorCode::WorkosInvalidClient,
        // A code that is unknown, used or expired, and a wrong verifier, are one answer. The latter two are the emulator's.
        (
            _,
            "invalid_grant"
            | "expired_token"
            | "invalid_code"
            | "invalid_code_verifier"
            | "invalid_pending_authentication_token",
        ) => ErrorCode::WorkosInvalidGrant,
        (_, "organization_selection_required") => ErrorCode::OrganizationSelectionRequired,
        (_, "sso_required" | "organization_authentication_methods_required") => ErrorCode::SsoRequired,
        (
            _,
            "email_verification_required"
            | "mfa_enrollment"
            | "mfa_challenge"
            | "passkey_progressive_enrollment"
            | "radar_challenge"
            | "radar_sign_up_challenge"
            | "radar_sms_sign_in_challenge"
            | "application_consent_required"
            | "extra_attributes_required"
            | "phone_number_required"
            | "verification_id_required",
        ) => ErrorCode::AuthkitStepRequired,
        (
            _,
            "access_denied"
            | "authentication_method_not_allowed"
            | "email_password_auth_disabled"
            | "sign_up_not_allowed"
            | "invitation_invalid"
            | "invitation_cannot_be_used_for_email"
            | "invalid_profile"
            | "invalid_connection"
            | "organization_not_found"
            | "organization_membership_not_found"
            | "invalid_organization_id"
            | "user_mismatch",
        ) => ErrorCode::AuthkitRefused,
        (401, _) => ErrorCode::WorkosInvalidClient,
        (404, _) => ErrorCode::WorkosNotFound,
        (422, _) => ErrorCode::WorkosUnprocessable,
        _ => ErrorCode::WorkosRejected,
    }
}

/// Among which organizations the person has to pick: their ids.
fn organizations(body: &Value) -> impl Iterator<Item = &str> {
    let listed = body.get("organizations").and_then(Value::as_array).into_iter().flatten();
    let ids = listed.filter_map(|organization| organization.get("id")?.as_str());
    ids.filter(|id| workos_id::check(id).is_ok()).take(MOST_ORGANIZATIONS)
}

/// ` of org_1, org_2`, or nothing.
fn named<'a>(organizations: impl Iterator<Item = &'a str>) -> String {
    let organizations: Vec<&str> = organizations.take(MOST_NAMED).collect();
    if organizations.is_empty() { String::new() } else { format!(" of {}", organizations.join(", ")) }
}

/// A name of WorkOS's, and no text that may hold anything.
fn is_word(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
