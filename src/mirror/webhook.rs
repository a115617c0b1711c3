//! `auth.receive_webhook`: WorkOS tells of one event. The cursor stays where it is.

use serde_json::Value;
use workos_auth_core::mirror::Event;
use workos_auth_core::workos::webhook::{check_secret, verify};
use workos_auth_core::{Error, ErrorCode, Result, json};

use super::apply::{Received, apply_webhook_event};
use crate::audit::audit;
use crate::postgres::clock;
use crate::postgres::transaction::require_writable;
use crate::store::{Subject, configuration, locks};
use crate::{installation, secrets};

/// `auth.set_webhook_secret`
///
/// # Errors
/// `validation_failed`, `provider_not_configured`, and those of [`installation::refuse_copy`].
pub fn set_secret(secret: Option<&str>) -> Result<()> {
    require_writable()?;
    let secret = secret.map(check_secret).transpose()?;
    locks::lock_setup();
    installation::refuse_copy()?;
    let provider = configuration::provider()?.ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
    secrets::keep_webhook_secret(provider.data_key_id, secret.as_ref())?;
    audit("webhook_secret_set", &Subject::default(), serde_json::json!({ "is_set": secret.is_some() }))
}

/// `auth.receive_webhook`: what became of the event.
///
/// # Errors
/// `webhook_signature_invalid`, `webhook_signature_old`, `webhook_secret_missing`, `event_malformed`, and those of a secret that does not open.
pub fn receive(body: Option<&str>, signature: Option<&str>) -> Result<Received> {
    require_writable()?;
    let body = body.ok_or_else(|| Error::null("body"))?;
    let signature = signature.ok_or_else(|| Error::null("signature"))?;
    installation::require_home()?;
    let provider = configuration::provider()?.ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
    let secret = secrets::webhook_secret(&provider)?.ok_or_else(|| Error::new(ErrorCode::WebhookSecretMissing))?;
    let now = u64::try_from(clock::unix_micros(clock::now()).div_euclid(1000)).unwrap_or_default();
    verify(body, signature, &secret, now)?;
    let event: Value = json::parse(&json::whole_characters(body))
        .map_err(|_| Error::with_detail(ErrorCode::EventMalformed, "The body of the webhook is not JSON."))?;
    apply_webhook_event(&Event::read(event)?)
}
