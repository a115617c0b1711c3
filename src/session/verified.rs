//! A verified token, in the form that readers return: Datums that are built once and point into it.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use std::cell::{Cell, OnceCell};
use std::ffi::CString;
use std::rc::Rc;

use hashbrown::HashSet;
use pgrx::fcinfo::direct_function_call_as_datum;
use pgrx::prelude::*;
use workos_auth_core::Result;
use workos_auth_core::token::{Claims, PublicKey};

use crate::error::unexpected;
use crate::store::transaction::Sight;

/// A token that was verified. It is never changed, and not freed before the end of the transaction that read it.
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
    /// Whether it is kept until the end of the transaction.
    pub(super) is_kept: Cell<bool>,
    /// In which sight of the tables its session was there, with these rights.
    pub(super) good_in: Cell<Option<Sight>>,
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
            sub: Uuid(claims.sub.into_bytes()),
            session_id: Uuid(claims.session_id.into_bytes()),
            role: text(claims.role.take().as_deref()),
            email: text(claims.email.take().as_deref()),
            org_id: text(claims.org_id.as_deref()),
            connection_id: text(claims.connection_id.as_deref()),
            org_roles: set(&mut claims.org_roles),
            groups: set(&mut claims.groups),
            permissions: set(&mut claims.permissions),
            json: json.map_or_else(OnceCell::new, OnceCell::from),
            claims,
            is_kept: Cell::new(false),
            good_in: Cell::new(None),
        }
    }

    /// All claims as `jsonb`, built at the first call where core left that to Postgres.
    ///
    /// # Errors
    /// `unexpected_failure`. Postgres raises its own over what `jsonb` cannot hold, such as `\u0000`.
    pub fn json(&self) -> Result<&Varlena> {
        if self.json.get().is_none() {
            let built = built_by_postgres(&self.claims.json)?;
            // Nobody else can have built it meanwhile.
            let _ = self.json.set(built);
        }
        self.json.get().ok_or_else(|| unexpected("The claims are no jsonb."))
    }
}

/// What `jsonb_in` makes of a text.
fn built_by_postgres(json: &str) -> Result<Varlena> {
    let text = CString::new(json).map_err(|_| unexpected("The JSON holds a NUL character."))?;
    // SAFETY: jsonb_in takes a C string, and returns a plain jsonb in this memory context.
    unsafe {
        let built = direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(pg_sys::Datum::from(text.as_ptr()))])
            .ok_or_else(|| unexpected("The JSON is no jsonb."))?;
        let built = built.cast_mut_ptr::<pg_sys::varlena>();
        let bytes = std::slice::from_raw_parts(
            pgrx::varlena::vardata_any(built).cast::<u8>(),
            pgrx::varlena::varsize_any_exhdr(built),
        );
        let copy = Varlena::from_payload(bytes);
        pg_sys::pfree(built.cast());
        Ok(copy)
    }
}

/// A `uuid`.
pub struct Uuid([u8; 16]);

impl Uuid {
    /// A pointer to it, good as long as this value.
    #[inline(always)]
    pub fn datum(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.0.as_ptr())
    }

    /// A copy in the current memory context.
    pub fn copied(&self) -> pg_sys::Datum {
        copied(self.0.as_ptr(), self.0.len())
    }
}

/// Values to be found by their bytes, on every row. The hashes are half as dear as the standard library's, and less hard to make
/// collide: an identity provider that manages it has found a way to slow down the queries of its own people, by a list that is no
/// longer than a token.
pub type Set = HashSet<Box<[u8]>>;

/// A `text`.
pub type Text = Varlena;

/// A value of variable length, uncompressed, with the header of four bytes (`varatt.h`).
pub struct Varlena(Box<[u64]>);

impl Varlena {
    const HEADER: usize = size_of::<u32>();

    /// A `jsonb`: of what core made of the text, or of the text, where core left it to Postgres.
    ///
    /// # Errors
    /// `unexpected_failure`. Postgres raises its own over what `jsonb` cannot hold.
    pub fn jsonb(payload: Option<&[u8]>, json: &str) -> Result<Self> {
        payload.map_or_else(|| built_by_postgres(json), |payload| Ok(Self::from_payload(payload)))
    }

    /// A `text`.
    pub fn text(text: &str) -> Self {
        Self::from_payload(text.as_bytes())
    }

    fn from_payload(payload: &[u8]) -> Self {
        let size = payload.len().saturating_add(Self::HEADER);
        // Of u64, so that it is aligned for every type.
        let mut words = vec![0_u64; size.div_ceil(size_of::<u64>())].into_boxed_slice();
        // SAFETY: the words have at least `size` bytes, of which the header is the first four.
        unsafe {
            let start = words.as_mut_ptr().cast::<u8>();
            pgrx::varlena::set_varsize_4b(start.cast(), size as i32);
            start.add(Self::HEADER).copy_from_nonoverlapping(payload.as_ptr(), payload.len());
        }
        Self(words)
    }

    /// A pointer to it, good as long as this value.
    #[inline(always)]
    pub fn datum(&self) -> pg_sys::Datum {
        pg_sys::Datum::from(self.0.as_ptr())
    }

    /// A copy in the current memory context.
    pub fn copied(&self) -> pg_sys::Datum {
        copied(self.0.as_ptr().cast(), self.payload().len().saturating_add(Self::HEADER))
    }

    /// The bytes behind the header.
    #[inline(always)]
    pub fn payload(&self) -> &[u8] {
        // SAFETY: built by `from_payload`; the size in the header is that of the payload and the header.
        unsafe {
            let start = self.0.as_ptr().cast::<pg_sys::varlena>();
            std::slice::from_raw_parts(
                pgrx::varlena::vardata_any(start).cast::<u8>(),
                pgrx::varlena::varsize_any_exhdr(start),
            )
        }
    }
}

/// Copies `size` bytes into the current memory context, aligned for every type.
fn copied(start: *const u8, size: usize) -> pg_sys::Datum {
    // SAFETY: `start` is that of a value of this size, by the callers in this file.
    unsafe {
        let copy = pg_sys::palloc(size).cast::<u8>();
        copy.copy_from_nonoverlapping(start, size);
        pg_sys::Datum::from(copy)
    }
}
