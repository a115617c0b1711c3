//! `jsonb` from SQL and for it. pgrx's own type panics over what Postgres can hold and `serde_json` cannot parse: more than 128 levels;
//! and it takes members apart that `serde_json` keeps for itself.

use std::ffi::CStr;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use workos_auth_core::{Result, json, jsonb};

use super::varlena::Varlena;

/// The most digits that the numbers of a `jsonb` may have together: nine bytes, `1e131071`, are 131,072 when they are written out.
const MAX_DIGITS: usize = 1 << 20;

/// A `jsonb` as its text; `None` where its numbers are too long to be written out. Numbers keep their digits.
pub struct Jsonb(Option<String>);

impl Jsonb {
    /// What is said of one that cannot be parsed: half a sentence.
    pub const UNREADABLE: &str = "nested too deeply, beyond 120 levels, or has numbers of more than a million digits";

    /// The value, or `None` where it is nested too deeply, or its numbers are too long.
    pub fn parse(&self) -> Option<Value> {
        json::parse(self.0.as_deref()?).ok()
    }

    /// The text, to be written into other JSON; `None` where its numbers are too long.
    pub fn raw(self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.0?).ok()
    }
}

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller says that the datum is a jsonb; its output function returns a C string in this memory context.
        let text = unsafe {
            let plain = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::Jsonb>();
            (digits(plain) <= MAX_DIGITS).then(|| {
                let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_JSONB_OUT), plain.into());
                CStr::from_ptr(text).to_string_lossy().into_owned()
            })
        };
        Some(Self(text))
    }
}

/// How many digits the numbers have together, as far as [`MAX_DIGITS`] and one number more.
///
/// # Safety
/// A `jsonb` that is neither compressed nor stored elsewhere.
unsafe fn digits(jsonb: *mut pg_sys::Jsonb) -> usize {
    let mut sum: usize = 0;
    // SAFETY: Postgres's own walk over the value (`jsonb_util.c`), which says of each token whether `value` is one, and of which kind.
    // A number lies where the value has it, with a header of four bytes of length and, behind it, at least two words or no digits.
    unsafe {
        let mut walk = pg_sys::JsonbIteratorInit(&raw mut (*jsonb).root);
        let mut value: pg_sys::JsonbValue = std::mem::zeroed();
        while sum <= MAX_DIGITS {
            let token = pg_sys::JsonbIteratorNext(&mut walk, &mut value, false);
            let is_value = matches!(token, TOKEN_VALUE | TOKEN_ITEM);
            if token == pg_sys::JsonbIteratorToken::WJB_DONE {
                break;
            }
            if is_value && value.type_ == pg_sys::jbvType::jbvNumeric {
                let number = value.val.numeric.cast::<pg_sys::varlena>();
                let length = pgrx::varlena::varsize_any_exhdr(number) / size_of::<u16>();
                let words = std::slice::from_raw_parts(pgrx::varlena::vardata_any(number).cast::<u16>(), length);
                sum = sum.saturating_add(jsonb::numeric_digits(words));
            }
        }
    }
    sum
}

const TOKEN_VALUE: pg_sys::JsonbIteratorToken::Type = pg_sys::JsonbIteratorToken::WJB_VALUE;
const TOKEN_ITEM: pg_sys::JsonbIteratorToken::Type = pg_sys::JsonbIteratorToken::WJB_ELEM;

// SAFETY: as pgrx implements it for types that it reads by FromDatum.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: called for an argument that is not NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| Self(Some("null".into())))
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: the argument is a jsonb, as the function is declared.
        unsafe { arg.unbox_arg_using_from_datum() }.into()
    }
}

/// A `jsonb` that was built before: returned as a copy.
pub struct Built(pg_sys::Datum);

impl Built {
    /// Copies it into the memory of the call.
    pub fn new(json: &Varlena) -> Self {
        Self(json.copied())
    }

    /// Builds it of a text.
    ///
    /// # Errors
    /// `unexpected_failure`. Postgres raises its own over what `jsonb` cannot hold.
    pub fn of(json: &str) -> Result<Self> {
        Varlena::jsonb(jsonb::of_object(json).as_deref(), json).map(|json| Self::new(&json))
    }
}

impl IntoDatum for Built {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

// SAFETY: a jsonb in the memory context of the call.
unsafe impl BoxRet for Built {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: the datum is of the type that the function is declared to return.
        unsafe { fcinfo.return_raw_datum(self.0) }
    }
}

macro_rules! is_jsonb {
    ($type:ty) => {
        // SAFETY: used by pgrx to write SQL, which we write by hand.
        unsafe impl SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($type);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
            const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
                Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
        }
    };
}

is_jsonb!(Jsonb);
is_jsonb!(Built);
