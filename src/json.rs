//! `jsonb` from SQL and for it. pgrx's own type panics over what Postgres can hold and `serde_json` cannot parse: more than 128 levels.

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
use workos_auth_core::{Result, jsonb};

use crate::session::Varlena;

/// A `jsonb` as its text. Numbers keep their digits.
pub struct Jsonb(String);

impl Jsonb {
    /// The value, or `None` where it is nested too deeply, or has a member that `serde_json` keeps for its numbers.
    pub fn parse(&self) -> Option<Value> {
        serde_json::from_str(&self.0).ok()
    }

    /// The text, to be written into other JSON.
    pub fn raw(self) -> Option<Box<RawValue>> {
        RawValue::from_string(self.0).ok()
    }
}

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: the caller says that the datum is a jsonb; its output function returns a C string in this memory context.
        let text = unsafe {
            let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_JSONB_OUT), datum);
            CStr::from_ptr(text).to_string_lossy().into_owned()
        };
        Some(Self(text))
    }
}

// SAFETY: as pgrx implements it for types that it reads by FromDatum.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: called for an argument that is not NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| Self("null".into()))
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
