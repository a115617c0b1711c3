//! Values as Postgres holds them, built once and pointed to by Datums.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use std::ffi::CString;

use pgrx::fcinfo::direct_function_call_as_datum;
use pgrx::prelude::*;
use workos_auth_core::Result;

use crate::error::unexpected;

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
    /// Of an id.
    pub fn new(id: uuid::Uuid) -> Self {
        Self(id.into_bytes())
    }

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

    /// Of the bytes behind the header.
    pub fn from_payload(payload: &[u8]) -> Self {
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
