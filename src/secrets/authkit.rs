//! What AuthKit gives for a later request: each token is sealed to where it stands, and to the provider that it is shown to.

use uuid::Uuid;
use workos_auth_core::seal::{Place, Purpose};
use workos_auth_core::secret::{AuthkitRefreshToken, PendingToken, SecretBytes};
use workos_auth_core::workos::authkit::Selection;
use workos_auth_core::{ErrorCode, Result};

use super::{broken, data_key, data_key_by_id, with_answer_place};
use crate::store::authkit_tokens::KeptToken;
use crate::store::flows::{Flow, Question};

/// Where the token of a question stands.
const PENDING: &str = "pending_token";

/// Seals WorkOS's question to its flow, as an answer is, with the key that sealed the flow's verifier.
pub fn seal_question(flow: &Flow, selection: &Selection) -> Result<Question> {
    let key = data_key_by_id(flow.data_key_id)?;
    let sealed_token =
        with_answer_place(flow, PENDING, |place| key.seal(place, selection.pending.expose().as_bytes()))?;
    Ok(Question { sealed_token, organizations: selection.organizations.clone() })
}

/// Opens what WorkOS takes with the answer to its question.
pub fn open_question(flow: &Flow, question: &Question) -> Result<PendingToken> {
    let key = data_key_by_id(flow.data_key_id)?;
    text(&with_answer_place(flow, PENDING, |place| key.open(place, &question.sealed_token))?).map(PendingToken::new)
}

fn token_place<'a>(session: &'a Uuid, bound: &'a [&'a str]) -> Place<'a> {
    Place { table: "authkit_tokens", column: "refresh_token", row: session.as_bytes(), bound }
}

/// Seals what a session of AuthKit's is refreshed with.
pub fn seal_token(session: Uuid, client_id: &str, api_url: &str, token: &AuthkitRefreshToken) -> Result<KeptToken> {
    let key = data_key(Purpose::FlowVerifier)?;
    let sealed = key.seal(&token_place(&session, &[client_id, api_url]), token.expose().as_bytes())?;
    Ok(KeptToken { sealed, data_key_id: key.id(), client_id: client_id.to_owned(), api_url: api_url.to_owned() })
}

/// Opens it.
pub fn open_token(session: Uuid, kept: &KeptToken) -> Result<AuthkitRefreshToken> {
    let bound = [kept.client_id.as_str(), kept.api_url.as_str()];
    let opened = data_key_by_id(kept.data_key_id)
        .and_then(|key| key.open(&token_place(&session, &bound), &kept.sealed))
        .map_err(|error| broken(error, "have the person sign in again."))?;
    text(&opened).map(AuthkitRefreshToken::new)
}

fn text(opened: &SecretBytes) -> Result<String> {
    std::str::from_utf8(opened.expose()).map(str::to_owned).map_err(|_| ErrorCode::SealBroken.into())
}
