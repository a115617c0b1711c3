//! Finishes a sign-in of which WorkOS has asked which organization it is for: `auth.try_exchange_code` has kept the question.

use uuid::Uuid;
use workos_auth_core::pkce::CodeVerifier;
use workos_auth_core::workos::TokenAnswer;
use workos_auth_core::workos::authkit::Grant;
use workos_auth_core::{Error, ErrorCode, Result};

use super::exchange::{Exchange, find, signed_in};
use super::granted;
use crate::postgres::transaction::require_writable;
use crate::sessions::Session;
use crate::store::RequestClient;
use crate::store::flows::{self, Question};
use crate::{installation, secrets};

/// What a caller hands over. Everything as it came from SQL.
#[derive(Hash)]
pub struct SelectionRequest<'a> {
    /// `flow_states.id`
    pub pending: Option<Uuid>,
    /// the organization that was picked
    pub organization: Option<&'a str>,
    /// the verifier that the caller kept
    pub verifier: Option<&'a str>,
    /// the state of the callback URL
    pub state: Option<&'a str>,
    /// whose browser it is
    pub client: RequestClient<'a>,
}

/// Turns the answer into a session. Whoever began the sign-in may, by the rule of an exchange.
///
/// # Errors
/// Those of an exchange; `validation_failed` for an organization that WorkOS has not named.
pub fn select(request: &SelectionRequest) -> Result<Session> {
    require_writable()?;
    let pending = request.pending.ok_or_else(|| Error::null("pending"))?;
    let organization = request.organization.ok_or_else(|| Error::null("organization"))?;
    let verifier = request.verifier.map(CodeVerifier::parse).transpose()?;
    installation::minting()?;
    let flow = find(verifier.as_ref(), request.state)?;
    if flow.id != pending {
        let detail = "The verifier and the state are of another sign-in than pending.";
        return Err(Error::with_detail(ErrorCode::FlowStateNotFound, detail));
    }
    // Whoever held the lock before may have finished since: look again, past this transaction's snapshot.
    let (exchange, question) = Exchange::of(flow, |flow| match flows::progress(flow.id)? {
        Some(now) => now.question.ok_or_else(not_asked),
        None => Err(ErrorCode::FlowStateNotFound.into()),
    })?;
    signed_in(exchange.consume(|exchange| answer(exchange, &question, organization))?, &request.client)
}

fn not_asked() -> Error {
    let detail = "WorkOS has not asked for the organization of this sign-in.";
    Error::with_detail(ErrorCode::FlowStateNotFound, detail)
        .hint("Exchange the code first: auth.try_exchange_code keeps WorkOS's question, once it is committed.")
}

fn answer(Exchange { flow, provider, .. }: &Exchange, question: &Question, organization: &str) -> Result<TokenAnswer> {
    if !question.organizations.iter().any(|named| named == organization) {
        let why = format!("WorkOS has named {}.", question.organizations.join(", "));
        return Err(Error::invalid("organization", &why));
    }
    let pending = secrets::authkit::open_question(flow, question)?;
    granted::ask(provider, Grant::Selection(&pending), organization).map_err(|error| match error.code() {
        ErrorCode::WorkosInvalidGrant => error.hint(
            "WorkOS takes one answer to its question, for a few minutes. Start the sign-in again, with the organization: \
             auth.start_sign_in(provider => 'authkit', organization => …).",
        ),
        _ => error,
    })
}
