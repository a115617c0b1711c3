//! Opens a session of somebody whom the caller vouches for.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::accounts::Candidate;
use workos_auth_core::admin::{self, Actor};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::installation;
use crate::mirror;
use crate::postgres::transaction::require_writable;
use crate::sessions::{self, Opening, Session};
use crate::settings;
use crate::store::{RequestClient, Subject, accounts, users as store};

/// The arguments of `auth.create_session`.
#[derive(Hash)]
pub struct CreateSessionRequest<'a> {
    /// whose
    pub user_id: Option<Uuid>,
    /// of which organization
    pub organization: Option<&'a str>,
    /// how they signed in
    pub method: Option<&'a str>,
    /// who acts as them
    pub actor: Option<&'a str>,
    /// why
    pub reason: Option<&'a str>,
    /// how long, in microseconds
    pub ttl: Option<i128>,
}

/// An `interval` as Postgres counts it where it must: a month has 30 days. An infinite one is longer than anything that is allowed.
pub fn microseconds(months: i32, days: i32, micros: i64) -> i128 {
    (i128::from(months) * 30 + i128::from(days)) * 86_400_000_000 + i128::from(micros)
}

/// Opens a session, by a method of the caller's or for somebody who acts as the person.
///
/// # Errors
/// `user_not_found`, `user_banned`, `user_deleted`, `not_a_member`, `reason_required`, `validation_failed`, `sso_required`, `member_removed`.
pub fn create_session(request: &CreateSessionRequest) -> Result<Session> {
    require_writable()?;
    installation::refuse_verifier()?;
    let user_id = request.user_id.ok_or_else(|| Error::null("user_id"))?;
    let method = admin::check_method(request.method.ok_or_else(|| Error::null("method"))?)?;
    let actor = Actor::new(request.actor, request.reason)?;
    let ttl = admin::lifetime(request.ttl, settings::session_ttl(), actor.is_some())?;

    // A ban, a deletion or the end of a membership comes before or after.
    if !store::lock(user_id)? {
        return Err(ErrorCode::UserNotFound.into());
    }
    let user = find(user_id)?;
    if let Some(organization) = request.organization
        && !accounts::lock_membership(user_id, organization)?
    {
        return Err(ErrorCode::NotAMember.into());
    }
    if let (Some(organization), None) = (request.organization, &actor) {
        accounts::lock_organization(organization)?;
        accounts::refuse_without_sso(organization)?;
    }
    let session = open(&user, request.organization, method, actor.map(|actor| actor.name), ttl)?;
    let subject = Subject::of_session(user_id, session.session_id, request.organization, None);
    match actor {
        None => {
            store::signed_in(user_id)?;
            audit("login", &subject, json!({ "provider": "custom", "method": method }))?;
        }
        Some(Actor { name, reason }) => {
            let payload = json!({ "method": method, "actor": name, "reason": reason, "seconds": ttl.as_secs() });
            audit("session_impersonated", &subject, payload)?;
        }
    }
    store::require_good_standing(user_id)?;
    Ok(session)
}

/// The user, if a session may be opened for them.
pub fn find(user_id: Uuid) -> Result<Candidate> {
    let user = accounts::lock_candidate(user_id)?.ok_or_else(|| Error::new(ErrorCode::UserNotFound))?;
    if user.banned {
        return Err(ErrorCode::UserBanned.into());
    }
    if user.deleted {
        return Err(ErrorCode::UserDeleted.into());
    }
    Ok(user)
}

/// Opens the session itself: no identity signed in, and no connection was come through.
///
/// # Errors
/// `member_removed`
pub fn open(
    user: &Candidate,
    organization: Option<&str>,
    method: &str,
    actor: Option<&str>,
    ttl: Duration,
) -> Result<Session> {
    if let Some(organization) = organization {
        mirror::refuse_removed(user.user_id, organization)?;
        accounts::refuse_deleted(organization)?;
    }
    let opening = Opening {
        user_id: user.user_id,
        identity_id: None,
        organization_id: organization,
        connection_id: None,
        email: user.email.as_deref(),
        method,
        signed_in_at: None,
        actor,
        ttl,
    };
    sessions::open(&opening, &RequestClient::default())
}
