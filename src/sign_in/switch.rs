//! A session that began with AuthKit goes on in another organization. WorkOS decides; whoever may not sign in there does not get there so either.

use serde_json::{Value, json};
use workos_auth_core::claims;
use workos_auth_core::secret::RefreshToken;
use workos_auth_core::workos::authkit::Grant;
use workos_auth_core::workos::{AuthkitSession, TokenAnswer};
use workos_auth_core::{Error, ErrorCode, Result, workos_id};

use super::account::METHOD;
use super::{authkit, granted};
use crate::audit::audit;
use crate::sessions::{self, Presentation, Session};
use crate::store::configuration::{self, Provider};
use crate::store::sessions::{Moved, StoredSession};
use crate::store::{RequestClient, Subject, accounts, authkit_tokens, locks, users};
use crate::{current_session, mirror, secrets};

/// `auth.switch_organization`. No row is locked while WorkOS is waited for.
///
/// # Errors
/// Those of a refresh, of asking WorkOS, and of a sign-in in the organization. The session stays as it was.
pub fn switch(token: Option<&RefreshToken>, organization: Option<&str>, client: &RequestClient) -> Result<Session> {
    let presented = Presentation::of(token)?;
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    workos_id::check(organization).map_err(|why| Error::invalid("organization", &format!("it {why}.")))?;
    presented.decide(client)?;
    let lock = locks::lock_session_for_switch(presented.row.id)?;
    // Whoever held the lock before may have changed the session.
    let presented = presented.read_again()?;
    presented.decide(client)?;

    let (provider, subject) = begin(&presented.row)?;
    refuse_early(&presented.row, &subject, organization)?;
    let answer = ask(&presented.row, &provider, organization)?;
    // The session may have ended meanwhile, and the account be gone.
    let presented = presented.read_again()?;
    let authkit = of_own_session(&answer, &subject)?;

    let row = &presented.row;
    let (id, user_id, from) = (row.id, row.user_id, row.organization_id.clone());
    authkit::enter(user_id, from.as_deref(), organization, &answer.profile, authkit)?;
    let moved = Moved { organization_id: organization, authkit_session_id: &authkit.id, amr: amr(row, authkit) };
    let session = sessions::go_on(presented, &moved, client)?;
    if let Some(token) = &answer.refresh_token {
        let kept = secrets::authkit::seal_token(id, &provider.client_id, &provider.api_url, token)?;
        authkit_tokens::put(id, &kept)?;
    }
    let subject = Subject::of_session(user_id, id, Some(organization), None).with_client(client);
    audit("organization_switched", &subject, json!({ "from": from }))?;
    users::require_good_standing(user_id)?;
    // Whoever deletes the organization waits for the session, which is there now.
    accounts::refuse_deleted(organization)?;
    lock.keep();
    Ok(session)
}

/// Whom WorkOS is asked about, if it still is the WorkOS that the session began at.
fn begin(row: &StoredSession) -> Result<(Provider, String)> {
    let subject = accounts::authkit_subject(row)?.ok_or_else(no_token)?;
    let provider = configuration::enabled_provider()?;
    match configuration::has_authkit() {
        true => Ok((provider, subject)),
        false => Err(ErrorCode::AuthkitNotConfigured.into()),
    }
}

/// What is certain to be refused afterwards does not cost the session its token at WorkOS.
fn refuse_early(row: &StoredSession, subject: &str, organization: &str) -> Result<()> {
    mirror::refuse_overdue()?;
    mirror::refuse_subject_of_session(subject, Some(organization))?;
    mirror::refuse_removed(row.user_id, organization)?;
    accounts::refuse_deleted(organization)?;
    accounts::require_issuer(organization, None)?;
    match row.organization_id.as_deref() == Some(organization) && row.amr[0]["method"] == METHOD {
        true => Ok(()),
        false => accounts::refuse_without_sso(organization),
    }
}

fn ask(row: &StoredSession, provider: &Provider, organization: &str) -> Result<TokenAnswer> {
    let kept = authkit_tokens::find(row.id)?.ok_or_else(no_token)?;
    if kept.client_id != provider.client_id || kept.api_url != provider.api_url {
        return Err(ErrorCode::ProviderChanged.into());
    }
    let token = secrets::authkit::open_token(row.id, &kept)?;
    granted::ask(provider, Grant::Refresh(&token), organization).map_err(|error| match error.code() {
        ErrorCode::WorkosInvalidGrant => error.hint(
            "WorkOS does not go on with its session. The session here does. To get into the organization, start a sign-in with it: \
             auth.start_sign_in(provider => 'authkit', organization => …).",
        ),
        _ => error,
    })
}

fn no_token() -> Error {
    let why =
        "nothing of AuthKit's is kept with its session, which began in another way, or before this database kept it.";
    Error::invalid("refresh_token", why)
        .hint("Start a sign-in with the organization: auth.start_sign_in(provider => 'authkit', organization => …).")
}

/// The answer must be of the person, acting for themselves.
fn of_own_session<'a>(answer: &'a TokenAnswer, subject: &str) -> Result<&'a AuthkitSession> {
    let malformed = |why| Error::with_detail(ErrorCode::WorkosAnswerMalformed, why);
    if answer.profile.id != subject {
        return Err(malformed("The person whom WorkOS names is not the session's."));
    }
    match &answer.profile.authkit {
        Some(AuthkitSession { impersonator: Some(_), .. }) => {
            Err(malformed("WorkOS says that somebody acts as the person, who acted for themselves."))
        }
        Some(session) => Ok(session),
        None => Err(malformed("It is of no session of AuthKit's.")),
    }
}

/// As WorkOS says it now. What it does not say stays.
fn amr(row: &StoredSession, authkit: &AuthkitSession) -> Value {
    let now = current_session::now();
    let signed_in_at = authkit.auth_time.or_else(|| claims::signed_in_at(&row.amr)).unwrap_or(row.created_at);
    let before = row.amr[0]["method"].as_str().unwrap_or(METHOD);
    let method = if authkit.method.is_some() { authkit.amr_method() } else { before };
    claims::amr(method, signed_in_at.min(now))
}
