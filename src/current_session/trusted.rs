//! Tokens of trusted issuers: verified by their keys, and read as the person whom this database knows by issuer and `sub`.

use std::rc::Rc;

use pgrx::prelude::*;
use workos_auth_core::trusted_issuer::{self, Claims, IssuerKey};
use workos_auth_core::{Error, ErrorCode, Result};

use super::issuers::{self, TrustedIssuer};
use super::link;
use super::purpose::{Purpose, expired_for, now};
use super::verified::{Person, Trusted, Verified};
use crate::postgres::clock::unix_seconds;
use crate::postgres::snapshot::SnapshotStamp;
use crate::settings;
use crate::store::{accounts, scan, users};

/// A token of an issuer whose signature is good, and that this database has not ended.
pub struct Signed {
    /// who signed it
    pub issuer: Rc<TrustedIssuer>,
    /// with what
    pub key: Rc<IssuerKey>,
    /// what it says
    pub claims: Claims,
}

/// Verifies a token of a trusted issuer; `None` for any other, which is ours or nobody's.
///
/// # Errors
/// One code a check, class WA5; `user_banned`, `user_deleted`, `role_not_allowed`, `organization_of_another_issuer`, `sso_required`, `member_removed`.
pub fn verify(purpose: Purpose, hash: [u8; 32], access_token: &str) -> Result<Option<Verified>> {
    let Some(Signed { issuer, key, claims }) = signed(purpose, access_token)? else { return Ok(None) };
    // Before the look, which sees no less.
    let stamp = SnapshotStamp::now();
    let person = person(purpose, &issuer, &claims)?;
    let verified = Verified::of_issuer(hash, Trusted { issuer, key, claims, person });
    if purpose == Purpose::Acting {
        verified.session_checked_at.set(stamp);
    }
    Ok(Some(verified))
}

/// The same, whether or not the person is known here.
///
/// # Errors
/// As above, but for those that are about the person.
pub fn signed(purpose: Purpose, access_token: &str) -> Result<Option<Signed>> {
    // SAFETY: in a transaction, as every SQL function is.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    if issuers::are_none() {
        return Ok(None);
    }
    // What has another form is refused, by name, where our own are verified.
    let Ok(unverified) = trusted_issuer::parse(access_token) else { return Ok(None) };
    let is_own = || link::is_own(unverified.issuer());
    let Some(issuer) = issuers::find(unverified.issuer()).filter(|_| !is_own()) else { return Ok(None) };
    link::require_all_fresh()?;
    let key = issuers::key(&issuer, unverified.kid())?;
    let claims = unverified.verify(&issuer.rules, &key, now(), expired_for(purpose))?;
    refuse_ended(&claims)?;
    Ok(Some(Signed { issuer, key, claims }))
}

/// Checks of a verified token what may have changed. False where it has to be verified again, since issuer, key or person are others now.
///
/// # Errors
/// As [`verify`].
pub fn recheck(purpose: Purpose, verified: &Verified, trusted: &Trusted) -> Result<bool> {
    // SAFETY: as above.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    link::require_all_fresh()?;
    let is_same = |issuer: &Rc<TrustedIssuer>| Rc::ptr_eq(issuer, &trusted.issuer);
    let name = &trusted.issuer.rules.name;
    let has_same_key = || issuers::find_key(name, trusted.key.kid()).is_some_and(|key| Rc::ptr_eq(&key, &trusted.key));
    if link::is_own(name) || !issuers::find(name).is_some_and(|issuer| is_same(&issuer)) || !has_same_key() {
        return Ok(false);
    }
    trusted.claims.recheck(now(), expired_for(purpose))?;
    if !settings::check_sessions() {
        return Ok(true);
    }
    let stamp = SnapshotStamp::now();
    if stamp.is_some() && verified.session_checked_at.get() == stamp {
        return Ok(true);
    }
    refuse_ended(&trusted.claims)?;
    if person(purpose, &trusted.issuer, &trusted.claims)? != trusted.person {
        return Ok(false);
    }
    if purpose == Purpose::Acting {
        verified.session_checked_at.set(stamp);
    }
    Ok(true)
}

/// Refuses a token of a session that was ended here: by itself, with all of the person's, or with all of the organization's.
fn refuse_ended(claims: &Claims) -> Result<()> {
    if !settings::check_sessions() {
        return Ok(());
    }
    let ended = |sid: &str, subject: &str, organization: &str| {
        scan::sessions_ended_at(&claims.issuer, sid, subject, organization).map(unix_seconds)
    };
    let began_before = |ended_at: Option<i64>| ended_at.is_some_and(|ended_at| claims.began() <= ended_at);
    // Whoever signs in again gets another session, or a later auth_time.
    let has_ended = claims.sid.as_deref().is_some_and(|sid| ended(sid, "", "").is_some())
        || began_before(ended("", &claims.subject, ""))
        || claims.organization.as_deref().is_some_and(|organization| {
            began_before(ended("", &claims.subject, organization)) || began_before(ended("", "", organization))
        });
    match has_ended {
        true => Err(Error::with_detail(
            ErrorCode::SessionNotFound,
            "The session, or the person's sessions of before, were ended here: auth.ended_sessions has the row.",
        )),
        false => Ok(()),
    }
}

fn person(purpose: Purpose, issuer: &TrustedIssuer, claims: &Claims) -> Result<Person> {
    let unknown = || Error::new(ErrorCode::PersonNotAccepted);
    let user_id = scan::owner_of_subject(&claims.issuer, &claims.subject).ok_or_else(unknown)?;
    let user = scan::user_now(user_id, |row| {
        (row.get::<String>(c"email"), row.get::<String>(c"role"), users::is_banned(row), users::is_deleted(row))
    });
    let (email, role, is_banned, is_deleted) = user.ok_or_else(unknown)?;
    if settings::check_sessions() {
        if is_banned {
            return Err(ErrorCode::UserBanned.into());
        }
        if is_deleted {
            return Err(ErrorCode::UserDeleted.into());
        }
        if issuer.organizations_issuer().is_none() {
            accounts::refuse_deleted_subject(&claims.subject)?;
            let organization = claims.organization.as_deref().filter(|_| purpose == Purpose::Acting);
            accounts::refuse_account_of_subject(&claims.subject, organization)?;
        }
        if let Some(organization) = &claims.organization
            && (scan::organization_is_fed(organization)
                || !scan::organization_is_of(organization, issuer.organizations_issuer()))
        {
            return Err(ErrorCode::OrganizationOfAnotherIssuer.into());
        }
        // Whoever only signs out, or looks at their own account, need not be a member any more.
        if purpose == Purpose::Acting
            && let Some(organization) = &claims.organization
        {
            accounts::refuse_without_sso(organization)?;
            accounts::refuse_deleted(organization)?;
        }
        if purpose == Purpose::Acting
            && let Some(organization) = &claims.organization
            && !scan::is_member(user_id, organization)
        {
            return Err(Error::with_detail(
                ErrorCode::PersonNotAccepted,
                "auth.organization_memberships has no row for the person and the token's organization.",
            ));
        }
    }
    let role = issuer.database_role.clone().or(role).unwrap_or_default();
    if !settings::is_allowed_role(&role) {
        return Err(ErrorCode::RoleNotAllowed.into());
    }
    Ok(Person { user_id, email, role })
}
