//! A verified token, in the form that readers return: Datums that are built once and point into it.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use hashbrown::HashSet;
use workos_auth_core::Result;
use workos_auth_core::token::Claims;
use workos_auth_core::trusted_issuer::{self, IssuerKey};

use super::issuers::TrustedIssuer;
use super::keys::KnownKey;
use crate::error::unexpected;
use crate::postgres::snapshot::SnapshotStamp;
use crate::postgres::varlena::{Text, Uuid, Varlena};
use crate::store::Subject;

/// A token that was verified. It is never changed. A query that has read it keeps it, since the query's results may point into it.
pub struct Verified {
    /// The token's hash, see [`Hashed::hash`](workos_auth_core::token::Hashed::hash).
    pub hash: [u8; 32],
    /// Who signed it, and what it says, but for what is kept here in another form.
    pub origin: Origin,
    /// `auth.users.id`
    pub user_id: uuid::Uuid,
    /// The same, for readers.
    pub sub: Uuid,
    /// The session, where its id is a uuid.
    pub session_id: Option<Uuid>,
    /// The database role of the session.
    pub role: Option<Text>,
    /// `auth.users.email`
    pub email: Option<Text>,
    /// The organization.
    pub org_id: Option<Text>,
    /// `connection_id`
    pub connection_id: Option<Text>,
    /// The roles in the organization.
    pub org_roles: Set,
    /// The groups.
    pub groups: Set,
    /// The permissions.
    pub permissions: Set,
    /// The feature flags.
    pub features: Set,
    /// `iss`
    pub issuer: Text,
    /// `sub`, the issuer's id of the person.
    pub subject: Text,
    /// When the person signed in, in seconds since the epoch.
    pub auth_time: Option<i64>,
    json: OnceCell<Varlena>,
    /// The stamp of the snapshot in which its session was last seen, with these rights.
    pub(super) session_checked_at: Cell<Option<SnapshotStamp>>,
}

/// Who signed a token.
pub enum Origin {
    /// This installation, or in a verifier an issuer that feeds it.
    Own {
        /// The key that verified it.
        key: Rc<KnownKey>,
        /// What it says.
        claims: Box<Claims>,
    },
    /// An issuer that the database trusts.
    Trusted(Box<Trusted>),
}

/// A token of a trusted issuer.
pub struct Trusted {
    /// Who signed it.
    pub issuer: Rc<TrustedIssuer>,
    /// The key that verified it.
    pub key: Rc<IssuerKey>,
    /// What it says.
    pub claims: trusted_issuer::Claims,
    /// Who that is here.
    pub person: Person,
}

/// Whose token it is, as far as the tables say.
#[derive(PartialEq, Eq)]
pub struct Person {
    /// `users.id`
    pub user_id: uuid::Uuid,
    /// `users.email`
    pub email: Option<String>,
    /// the database role of the person's sessions
    pub role: String,
}

fn text(text: &str) -> Text {
    Varlena::from_payload(text.as_bytes())
}

fn set(list: &mut Vec<String>) -> Set {
    std::mem::take(list).into_iter().map(|value| value.into_bytes().into_boxed_slice()).collect()
}

fn json_cell(jsonb: Option<Vec<u8>>) -> OnceCell<Varlena> {
    jsonb.map_or_else(OnceCell::new, |payload| OnceCell::from(Varlena::from_payload(&payload)))
}

impl Verified {
    /// All claims as `jsonb`, if that was built before.
    #[inline(always)]
    pub fn built_json(&self) -> Option<&Varlena> {
        self.json.get()
    }

    /// Prepares a verified token of our own for being read.
    pub fn new(hash: [u8; 32], key: Rc<KnownKey>, mut claims: Box<Claims>) -> Self {
        Self {
            hash,
            user_id: claims.sub,
            sub: Uuid::new(claims.sub),
            session_id: Some(Uuid::new(claims.session_id)),
            role: claims.role.take().as_deref().map(text),
            email: claims.email.take().as_deref().map(text),
            org_id: claims.org_id.as_deref().map(text),
            connection_id: claims.connection_id.as_deref().map(text),
            org_roles: set(&mut claims.org_roles),
            groups: set(&mut claims.groups),
            permissions: set(&mut claims.permissions),
            features: set(&mut claims.features),
            issuer: text(claims.issuer()),
            subject: text(&claims.sub.to_string()),
            auth_time: claims.auth_time,
            json: json_cell(claims.jsonb.take()),
            origin: Origin::Own { key, claims },
            session_checked_at: Cell::new(None),
        }
    }

    /// Prepares a verified token of a trusted issuer for being read, as the person whom it is of here.
    pub fn of_issuer(hash: [u8; 32], mut trusted: Trusted) -> Self {
        let claims = &mut trusted.claims;
        Self {
            hash,
            user_id: trusted.person.user_id,
            sub: Uuid::new(trusted.person.user_id),
            session_id: claims.session_id().map(Uuid::new),
            role: Some(text(&trusted.person.role)),
            email: trusted.person.email.as_deref().map(text),
            org_id: claims.organization.as_deref().map(text),
            connection_id: None,
            org_roles: set(&mut claims.roles),
            groups: set(&mut claims.groups),
            permissions: set(&mut claims.permissions),
            features: set(&mut claims.features),
            issuer: text(&claims.issuer),
            subject: text(&claims.subject),
            auth_time: claims.auth_time,
            json: json_cell(claims.jsonb.take()),
            origin: Origin::Trusted(Box::new(trusted)),
            session_checked_at: Cell::new(None),
        }
    }

    /// The session of a token of our own, which `auth.sessions` has.
    pub fn own_session(&self) -> Option<uuid::Uuid> {
        match &self.origin {
            Origin::Own { claims, .. } => Some(claims.session_id),
            Origin::Trusted(_) => None,
        }
    }

    /// All claims, as they were signed.
    pub fn claims_json(&self) -> &str {
        match &self.origin {
            Origin::Own { claims, .. } => &claims.json,
            Origin::Trusted(trusted) => &trusted.claims.json,
        }
    }

    /// Who acts as the person, if somebody does.
    pub fn actor(&self) -> Option<String> {
        match &self.origin {
            Origin::Own { claims, .. } => claims.act_sub(),
            Origin::Trusted(trusted) => trusted.claims.actor.clone(),
        }
    }

    /// The person and the session, for the audit log.
    pub fn audit_subject(&self) -> Subject<'_> {
        let (session_id, organization_id, connection_id) = match &self.origin {
            Origin::Own { claims, .. } => {
                (Some(claims.session_id), claims.org_id.as_deref(), claims.connection_id.as_deref())
            }
            Origin::Trusted(trusted) => (trusted.claims.session_id(), trusted.claims.organization.as_deref(), None),
        };
        Subject { user_id: Some(self.user_id), session_id, organization_id, connection_id, ..Subject::default() }
    }

    /// All claims as `jsonb`, built at the first call where core left that to Postgres.
    ///
    /// # Errors
    /// `unexpected_failure`. Postgres raises its own over what `jsonb` cannot hold, such as `\u0000`.
    pub fn json(&self) -> Result<&Varlena> {
        if self.json.get().is_none() {
            let built = Varlena::jsonb(None, self.claims_json())?;
            // Nobody else can have built it meanwhile.
            let _ = self.json.set(built);
        }
        self.json.get().ok_or_else(|| unexpected("The claims are no jsonb."))
    }
}

/// Values to be found by their bytes, on every row. The hashes are half as dear as the standard library's, and less hard to make
/// collide: an identity provider that manages it has found a way to slow down the queries of its own people, by a list that is no
/// longer than a token.
pub type Set = HashSet<Box<[u8]>>;
