//! What a person sees and changes of their own account.

use std::rc::Rc;

use serde_json::{Value, json};
use uuid::Uuid;
use workos_auth_core::trusted_issuer::Claims;
use workos_auth_core::{Error, ErrorCode, Result, user};

use crate::audit::audit_as;
use crate::current_session::{Origin, Purpose, Verified};
use crate::error::unexpected;
use crate::postgres::jsonb::{Built, Jsonb};
use crate::postgres::transaction::require_writable;
use crate::store::ended_sessions;
use crate::store::own_account::{self as store, OwnSession};
use crate::store::sessions::{self, Scope};
use crate::{current_session, installation, settings};

/// `auth.get_user`
pub fn get() -> Result<Built> {
    shown(current_session::required()?.user_id)
}

/// `auth.get_user` of a token's person, whoever is signed in.
pub fn get_of(access_token: Option<&str>) -> Result<Built> {
    shown(current_session::of_token_for(Purpose::OwnAccount, access_token)?.user_id)
}

/// `auth.my_sessions`
pub fn sessions(access_token: Option<&str>) -> Result<Vec<OwnSession>> {
    let session = current_session::of_token(access_token)?;
    store::sessions(session.user_id, session.own_session())
}

/// `auth.sign_out`: how many sessions.
pub fn sign_out(access_token: Option<&str>, scope: Option<&str>) -> Result<i64> {
    SigningOut::check(access_token, scope)?.end(json!({}))
}

/// A sign-out that is to be: whose, and of which sessions.
pub struct SigningOut<'a> {
    session: Rc<Verified>,
    scope: &'a str,
}

impl<'a> SigningOut<'a> {
    /// Looks at everything, and ends nothing.
    ///
    /// # Errors
    /// Those of a bad token; `validation_failed`, `read_only`, `verifier_only`
    pub fn check(access_token: Option<&str>, scope: Option<&'a str>) -> Result<Self> {
        require_writable()?;
        let session = current_session::of_token_for(Purpose::SigningOut, access_token)?;
        let scope = scope.ok_or_else(|| Error::null("scope"))?;
        if !matches!(scope, "global" | "local" | "others") {
            return Err(Error::invalid("scope", "it must be global, local or others."));
        }
        if session.own_session().is_some() {
            installation::refuse_verifier()?;
        } else if scope == "others" {
            return Err(Error::invalid(
                "scope",
                "the token is of another issuer, whose other sessions are not known here: it must be global or local.",
            ));
        }
        Ok(Self { session, scope })
    }

    /// Whose sessions end.
    pub fn user_id(&self) -> Uuid {
        self.session.user_id
    }

    /// Which of them, of those that began here; `None` for a token of another issuer alone.
    pub fn own_scope(&self) -> Option<Scope> {
        match (self.session.own_session(), self.scope) {
            (Some(id), "local") => Some(Scope::Local(id)),
            (Some(id), "others") => Some(Scope::Others(id)),
            (None, "local") => None,
            _ => Some(Scope::Global),
        }
    }

    /// Ends them; says how many. The entry in the audit log has these members too.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn end(self, mut payload: Value) -> Result<i64> {
        let Self { session, scope } = &self;
        let ended = match (&session.origin, self.own_scope()) {
            (_, Some(Scope::Global)) => {
                sessions::end(session.user_id, Scope::Global)? + ended_sessions::end_of_user(session.user_id, None)?
            }
            (_, Some(scope)) => sessions::end(session.user_id, scope)?,
            (Origin::Trusted(trusted), None) => end_elsewhere(&trusted.claims)?,
            (Origin::Own { .. }, None) => 0,
        };
        payload["scope"] = json!(scope);
        payload["sessions"] = json!(ended);
        audit_as(Some(session), "logout", &session.audit_subject(), payload)?;
        current_session::recheck_on_next_read();
        Ok(i64::try_from(ended).unwrap_or(i64::MAX))
    }
}

/// The session of an issuer's token. Without an id of one, all that the person began before at this issuer.
fn end_elsewhere(claims: &Claims) -> Result<u64> {
    match &claims.sid {
        Some(sid) => ended_sessions::end(&claims.issuer, sid),
        None => ended_sessions::end_of_subject(&claims.issuer, &claims.subject),
    }
}

/// `auth.update_user`
pub fn update(access_token: Option<&str>, user_metadata: Option<&Jsonb>) -> Result<Built> {
    require_writable()?;
    let session = current_session::of_token_for(Purpose::OwnAccount, access_token)?;
    let changes = user_metadata.ok_or_else(|| Error::null("user_metadata"))?;
    let unreadable = || Error::invalid("user_metadata", &format!("it is {}.", Jsonb::UNREADABLE));
    let changes = changes.parse().ok_or_else(unreadable)?;
    let stored = store::lock_user_metadata(session.user_id)?.ok_or_else(nobody)?;
    let changed = user::change_metadata(&stored, changes, session.claims_json(), settings::max_token_size())?;
    store::set_user_metadata(session.user_id, changed)?;
    audit_as(Some(&session), "user_modified", &session.audit_subject(), json!({}))?;
    shown(session.user_id)
}

/// Without the checks of sessions, a token outlives its user. A verifier knows nobody.
fn nobody() -> Error {
    installation::refuse_verifier().err().unwrap_or_else(|| Error::new(ErrorCode::SessionNotFound))
}

fn shown(user_id: Uuid) -> Result<Built> {
    let user = store::user(user_id)?.ok_or_else(nobody)?;
    Built::of(&user.to_json().map_err(|_| unexpected("The user cannot be written as JSON."))?)
}
