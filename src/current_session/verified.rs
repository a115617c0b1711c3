//! A verified token, in the form that readers return: Datums that are built once and point into it.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use hashbrown::HashSet;
use workos_auth_core::Result;
use workos_auth_core::token::{Claims, PublicKey};

use crate::error::unexpected;
use crate::postgres::snapshot::SnapshotStamp;
use crate::postgres::varlena::{Text, Uuid, Varlena};

/// A token that was verified. It is never changed. A query that has read it keeps it, since the query's results may point into it.
pub struct Verified {
    /// The token's hash, see [`Hashed::hash`](workos_auth_core::token::Hashed::hash).
    pub hash: [u8; 32],
    /// The key that verified it.
    pub key: Rc<PublicKey>,
    /// What it says, but for what is kept here in another form.
    pub claims: Claims,
    /// `sub`
    pub sub: Uuid,
    /// `session_id`
    pub session_id: Uuid,
    /// `role`
    pub role: Option<Text>,
    /// `email`
    pub email: Option<Text>,
    /// `org_id`
    pub org_id: Option<Text>,
    /// `connection_id`
    pub connection_id: Option<Text>,
    /// `org_roles`
    pub org_roles: Set,
    /// `groups`
    pub groups: Set,
    /// `permissions`
    pub permissions: Set,
    json: OnceCell<Varlena>,
    /// The stamp of the snapshot in which its session was last seen, with these rights.
    pub(super) session_checked_at: Cell<Option<SnapshotStamp>>,
}

impl Verified {
    /// All claims as `jsonb`, if that was built before.
    #[inline(always)]
    pub fn built_json(&self) -> Option<&Varlena> {
        self.json.get()
    }

    /// Prepares a verified token for being read.
    pub fn new(hash: [u8; 32], key: Rc<PublicKey>, mut claims: Claims) -> Self {
        let text = |text: Option<&str>| text.map(|text| Varlena::from_payload(text.as_bytes()));
        let set = |list: &mut Vec<String>| {
            std::mem::take(list).into_iter().map(|value| value.into_bytes().into_boxed_slice()).collect()
        };
        let json = claims.jsonb.take().map(|payload| Varlena::from_payload(&payload));
        Self {
            hash,
            key,
            sub: Uuid::new(claims.sub),
            session_id: Uuid::new(claims.session_id),
            role: text(claims.role.take().as_deref()),
            email: text(claims.email.take().as_deref()),
            org_id: text(claims.org_id.as_deref()),
            connection_id: text(claims.connection_id.as_deref()),
            org_roles: set(&mut claims.org_roles),
            groups: set(&mut claims.groups),
            permissions: set(&mut claims.permissions),
            json: json.map_or_else(OnceCell::new, OnceCell::from),
            claims,
            session_checked_at: Cell::new(None),
        }
    }

    /// All claims as `jsonb`, built at the first call where core left that to Postgres.
    ///
    /// # Errors
    /// `unexpected_failure`. Postgres raises its own over what `jsonb` cannot hold, such as `\u0000`.
    pub fn json(&self) -> Result<&Varlena> {
        if self.json.get().is_none() {
            let built = Varlena::jsonb(None, &self.claims.json)?;
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
