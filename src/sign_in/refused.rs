//! What is left of a refused sign-in. Where the transaction goes on, that is an entry of the audit log. Where the caller is told of an error,
//! which rolls everything back, the server's log line of that error says the same.

use workos_auth_core::refused_sign_in::{MOST_OF_AN_ADDRESS, MOST_OF_NOBODY, Reason, RefusedSignIn};
use workos_auth_core::workos::Profile;
use workos_auth_core::{Error, Result};

use crate::audit::audit;
use crate::error;
use crate::store::flows::Flow;
use crate::store::{RequestClient, Subject, accounts, audit_log};

/// What is known of a sign-in under way.
pub(super) fn of<'a>(flow: &'a Flow, profile: Option<&'a Profile>, reason: Reason<'a>) -> RefusedSignIn<'a> {
    RefusedSignIn { flow_id: flow.id, asked: &flow.selector, profile, reason }
}

/// The error, with what is known of the sign-in for the server's log.
pub(super) fn for_log(error: Error, flow: &Flow, profile: Option<&Profile>) -> Error {
    let line = of(flow, profile, Reason::Error(&error)).to_line();
    error.for_log(line)
}

/// Writes `login_refused` into the audit log. The flow must be consumed: each writes one entry, and a state that names none writes nothing.
///
/// So many of an address in an organization, and of people whom WorkOS has not named, are written within an hour. The server's log has the rest.
pub(super) fn write_audit(refused: &RefusedSignIn, flow: &Flow, client: &RequestClient) -> Result<()> {
    let email = refused.email();
    let most = if email.is_some() { MOST_OF_AN_ADDRESS } else { MOST_OF_NOBODY };
    if audit_log::has_refusals(email.as_deref(), refused.organization_id(), most)? {
        error::log_line("the audit log has enough refused sign-ins of this hour", &refused.to_line());
        return Ok(());
    }
    let known = match (&flow.link, refused.profile) {
        (Some(link), _) => Some(link.user_id),
        (None, Some(profile)) => accounts::identity_of(profile)?.map(|identity| identity.user_id),
        (None, None) => None,
    };
    let subject = Subject {
        user_id: known,
        organization_id: refused.organization_id(),
        connection_id: refused.connection_id(),
        email: email.as_deref(),
        ..Subject::default()
    };
    audit("login_refused", &subject.with_client(client), refused.payload())
}
