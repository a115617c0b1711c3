//! AuthKit's refusals. Its messages name codes ("The code '…' has expired") and addresses ("Invalid credentials for '…'"), so that none is
//! shown: only the name of the refusal, where it is a word.
//!
//! The names stand in WorkOS's OpenAPI file of 2026-08-07, under `POST /user_management/authenticate`.

use serde_json::Value;

use super::super::answer::HttpAnswer;
use super::super::refusal::request_id;
use crate::error::{Error, ErrorCode};
use crate::json::{self, Free};
use crate::workos_id;

/// The longest name of a refusal, in bytes.
const LONGEST_NAME: usize = 80;
/// The refusal that has no name but its message.
const MUST_USE_SSO: &str = "Must use SSO for selected organization";
/// So many organizations are named at most.
const MOST_ORGANIZATIONS: usize = 20;

/// The failure that an answer other than 2xx stands for.
pub(super) fn error(answer: &HttpAnswer, redact: &[&str]) -> Error {
    let Free(body) = json::read(answer.body).unwrap_or_default();
    let text = |member: &str| body.get(member).and_then(Value::as_str);
    let name = text("error").or_else(|| text("code")).filter(|name| is_word(name));
    let code = match text("message") {
        Some(message) if name.is_none() && message.trim_end_matches('.') == MUST_USE_SSO => ErrorCode::SsoRequired,
        _ => error_code(answer.status, name.unwrap_or_default()),
    };
    let mut detail = format!("WorkOS answered {}", answer.status);
    if let Some(name) = name {
        detail.push_str(&format!(": {name}"));
    }
    if code == ErrorCode::OrganizationSelectionRequired {
        let organizations = organizations(&body);
        if !organizations.is_empty() {
            detail.push_str(&format!(" of {}", organizations.join(", ")));
        }
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

fn error_code(status: u16, name: &str) -> ErrorCode {
    match (status, name) {
        (429, _) => ErrorCode::WorkosRateLimited,
        (500.., _) => ErrorCode::WorkosUnavailable,
        (_, "invalid_client" | "unauthorized_client") => ErrorCode::WorkosInvalidClient,
        // A code that is unknown, used or expired, and a wrong verifier, are one answer. The latter two are the emulator's.
        (_, "invalid_grant" | "expired_token" | "invalid_code" | "invalid_code_verifier") => {
            ErrorCode::WorkosInvalidGrant
        }
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
fn organizations(body: &Value) -> Vec<&str> {
    let listed = body.get("organizations").and_then(Value::as_array).into_iter().flatten();
    let ids = listed.filter_map(|organization| organization.get("id")?.as_str());
    ids.filter(|id| workos_id::check(id).is_ok()).take(MOST_ORGANIZATIONS).collect()
}

/// A name of WorkOS's, and no text that may hold anything.
fn is_word(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
