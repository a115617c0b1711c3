//! One entry of the audit log.

use serde_json::Value;
use workos_auth_core::Result;

use crate::current_session::{self, Verified};
use crate::store::Subject;
use crate::store::audit_log::{self, Actor};

/// Writes one entry of the audit log, with the person whose session is current, if any. `payload` must hold no secret.
pub fn audit(action: &str, subject: &Subject, payload: Value) -> Result<()> {
    audit_as(current_session::current_if_good().as_deref(), action, subject, payload)
}

/// The same, with the person who acts.
pub fn audit_as(actor: Option<&Verified>, action: &str, subject: &Subject, payload: Value) -> Result<()> {
    let actor = actor.map(|session| Actor { user_id: Some(session.user_id), act: session.actor() });
    audit_log::insert(&actor.unwrap_or_default(), action, subject, payload)
}
