//! A row as a result: of a composite type, or of OUT arguments.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode};

/// The columns of a row, in order. The function's own declaration says what they are called.
#[derive(Default)]
pub struct Record(Vec<Option<pg_sys::Datum>>);

impl Record {
    /// Adds a column.
    #[must_use]
    pub fn with(mut self, value: impl IntoDatum) -> Self {
        self.0.push(value.into_datum());
        self
    }
}

// SAFETY: returns a row of the type that the function is declared with, or raises.
unsafe impl BoxRet for Record {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        let mut descriptor: pg_sys::TupleDesc = std::ptr::null_mut();
        // SAFETY: fcinfo is the one Postgres called us with; the arrays have as many members as the descriptor, which is
        // compared first.
        unsafe {
            let class = pg_sys::get_call_result_type(fcinfo.as_mut_ptr(), std::ptr::null_mut(), &mut descriptor);
            let is_row = class == pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE;
            if !is_row || usize::try_from((*descriptor).natts) != Ok(self.0.len()) {
                crate::error::raise(Error::with_detail(
                    ErrorCode::ExtensionOutdated,
                    "A function is declared with other columns than it returns.",
                ));
            }
            let descriptor = pg_sys::BlessTupleDesc(descriptor);
            let mut nulls: Vec<bool> = self.0.iter().map(Option::is_none).collect();
            let mut values: Vec<pg_sys::Datum> =
                self.0.iter().map(|value| value.unwrap_or(pg_sys::Datum::null())).collect();
            let tuple = pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            fcinfo.return_raw_datum(pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data))
        }
    }
}

// SAFETY: used by pgrx to write SQL, which we write by hand.
unsafe impl SqlTranslatable for Record {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Record);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("record"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal("record")));
}
