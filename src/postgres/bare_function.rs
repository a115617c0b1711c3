//! Functions of Postgres's calling convention, version 1, without a guard around each call: what readers are made of, since
//! they run once a row.
//!
//! An ERROR that passes through such a function unguarded is fine, as long as it holds nothing to be dropped; a Rust panic
//! would end the whole server. So what is written here neither indexes nor unwraps nor allocates, and calls no function
//! that could raise except those that are marked `#[pg_guard]`.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use pgrx::prelude::*;

use super::runs;
use super::varlena::{Uuid, Varlena};

/// Declares functions for SQL, whose symbols are their names behind `workos_auth_`. A body is what is returned, an `Option`.
macro_rules! functions {
    ($($(#[$doc:meta])* fn $name:ident($arguments:pat) $body:block)+) => {$(
        $(#[$doc])*
        // SAFETY: nobody else has symbols of this prefix.
        #[unsafe(export_name = concat!("workos_auth_", stringify!($name)))]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: as above.
            #[unsafe(export_name = concat!("pg_finfo_workos_auth_", stringify!($name)))]
            extern "C" fn info() -> &'static pgrx::pg_sys::Pg_finfo_record {
                &pgrx::pg_sys::Pg_finfo_record { api_version: 1 }
            }
            #[inline(always)]
            unsafe fn body(
                $arguments: $crate::postgres::bare_function::Arguments,
            ) -> Option<impl $crate::postgres::bare_function::Returned> {
                // SAFETY: Postgres calls with the arguments that the function is declared with. Nothing here has a destructor.
                unsafe { $body }
            }
            // SAFETY: as above.
            unsafe {
                let arguments = $crate::postgres::bare_function::Arguments(fcinfo);
                $crate::postgres::bare_function::finish(fcinfo, body(arguments))
            }
        }
    )+};
}
pub(crate) use functions;

/// The arguments of a call.
#[derive(Clone, Copy)]
pub struct Arguments(pub pg_sys::FunctionCallInfo);

impl Arguments {
    /// The bytes of a `text` argument; `None` for NULL.
    ///
    /// # Safety
    /// The function is declared with a `text` at this place.
    #[inline(always)]
    pub unsafe fn text<'a>(self, at: usize) -> Option<&'a [u8]> {
        // SAFETY: Postgres passes as many arguments as the function is declared with.
        unsafe {
            let argument = &*(*self.0).args.as_ptr().add(at);
            if argument.isnull {
                return None;
            }
            let text: *const pg_sys::varlena = argument.value.cast_mut_ptr();
            let is_plain = match pgrx::varlena::varatt_is_1b(text) {
                true => !pgrx::varlena::varatt_is_1b_e(text),
                false => pgrx::varlena::varatt_is_4b_u(text),
            };
            let text = if is_plain { text } else { plain(text) };
            let length = pgrx::varlena::varsize_any_exhdr(text);
            Some(std::slice::from_raw_parts(pgrx::varlena::vardata_any(text).cast(), length))
        }
    }
}

impl Arguments {
    /// An `interval` argument in whole seconds, where a month has 30 days; `None` for NULL.
    ///
    /// # Safety
    /// The function is declared with an `interval` at this place.
    #[inline(always)]
    pub unsafe fn interval_seconds(self, at: usize) -> Option<i64> {
        const DAY: i64 = 86_400;
        // SAFETY: Postgres passes as many arguments as the function is declared with; an interval is passed by a pointer to it.
        let interval = unsafe {
            let argument = &*(*self.0).args.as_ptr().add(at);
            if argument.isnull {
                return None;
            }
            &*argument.value.cast_mut_ptr::<pg_sys::Interval>()
        };
        let days = i64::from(interval.month).saturating_mul(30).saturating_add(i64::from(interval.day));
        Some(days.saturating_mul(DAY).saturating_add(interval.time.div_euclid(1_000_000)))
    }
}

/// A value that was compressed or moved out of its row, as it was.
#[cold]
#[inline(never)]
#[pg_guard]
extern "C-unwind" fn plain(text: *const pg_sys::varlena) -> *const pg_sys::varlena {
    // SAFETY: a varlena, by the caller's word.
    unsafe { pg_sys::pg_detoast_datum_packed(text.cast_mut()) }
}

/// What a function returns.
pub trait Returned {
    /// As a Datum.
    fn datum(self) -> pg_sys::Datum;
}

impl Returned for bool {
    #[inline(always)]
    fn datum(self) -> pg_sys::Datum {
        self.into()
    }
}

/// What was read is there as long as the query, whose pin keeps it: a query gets a pointer. Outside of a query it may be the argument of a
/// procedure that changes the session, and is copied; so is what a query reads while it starts.
macro_rules! returned_from_what_was_read {
    ($type:ty) => {
        impl Returned for &$type {
            #[inline(always)]
            fn datum(self) -> pg_sys::Datum {
                #[cold]
                #[inline(never)]
                #[pg_guard]
                extern "C-unwind" fn copied(value: &$type) -> pg_sys::Datum {
                    value.copied()
                }

                match runs::current_run() {
                    0 => copied(self),
                    _ => (*self).datum(),
                }
            }
        }
    };
}

returned_from_what_was_read!(Uuid);
returned_from_what_was_read!(Varlena);

/// The result of a call, or NULL.
///
/// # Safety
/// `fcinfo` is the one that Postgres called with.
#[inline(always)]
pub unsafe fn finish(fcinfo: pg_sys::FunctionCallInfo, result: Option<impl Returned>) -> pg_sys::Datum {
    match result {
        Some(value) => value.datum(),
        None => {
            // SAFETY: by the caller's word.
            unsafe { (*fcinfo).isnull = true };
            pg_sys::Datum::null()
        }
    }
}

/// Which function is called; the invalid OID where C code calls it without saying so.
pub fn called(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Oid {
    // SAFETY: Postgres passes it, with a description of the function or NULL.
    unsafe { (*fcinfo).flinfo.as_ref().map_or(pg_sys::InvalidOid, |function| function.fn_oid) }
}
