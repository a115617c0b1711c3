//! Refuses a foreign key to a table of the extension whose column is of another type than the column that it references, or that references
//! something else than what the table's rows are known by.
//!
//! Postgres checks a foreign key as the owner of the referenced table, and casts the referencing value to the type of the referenced
//! column: a cast that somebody made for a type of their own would run as `workos_auth_owner`. Postgres checks the rows that are there
//! while it makes the constraint, so the constraint is looked at as soon as it is in the catalog, before it is used.
//!
//! A foreign key to another column, such as a telephone number, would tell whether somebody has it, and ON UPDATE CASCADE would hand its new
//! value to who may not read it.
//!
//! The hook is there once the library is loaded. The event trigger `workos_auth_foreign_keys` has every command that can make a
//! constraint load it first.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode};

use crate::error::raise;

/// The catalog `pg_constraint` and its index by `oid` (pg_constraint.h).
const PG_CONSTRAINT: u32 = 2606;
const PG_CONSTRAINT_OID_INDEX: u32 = 2667;

struct Previous(Cell<pg_sys::object_access_hook_type>);

// SAFETY: a backend has one thread.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(Cell::new(None));

/// Hooks into the creation of objects. Called once, from `_PG_init`.
pub fn install() {
    // SAFETY: in _PG_init; the hook is a function of this library, which is never unloaded.
    unsafe {
        PREVIOUS.0.set(pg_sys::object_access_hook);
        pg_sys::object_access_hook = Some(object_accessed);
    }
}

unsafe extern "C-unwind" fn object_accessed(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    part: c_int,
    argument: *mut c_void,
) {
    if let Some(previous) = PREVIOUS.0.get() {
        // SAFETY: the call goes on to whom it would have gone without us.
        unsafe { previous(access, class, object, part, argument) };
    }
    if access == pg_sys::ObjectAccessType::OAT_POST_CREATE && class.to_u32() == PG_CONSTRAINT {
        constraint_created(object);
    }
}

#[pg_guard]
extern "C-unwind" fn constraint_created(constraint: pg_sys::Oid) {
    let Some(foreign_key) = ForeignKey::of(constraint).filter(ForeignKey::leads_to_us) else { return };
    if let Some(detail) = foreign_key.cast().or_else(|| foreign_key.other_column()) {
        raise(Error::with_detail(ErrorCode::ForeignKeyUnsafe, detail));
    }
}

/// A row of `pg_constraint`.
struct ForeignKey {
    table: pg_sys::Oid,
    columns: Vec<i16>,
    referenced: pg_sys::Oid,
    referenced_columns: Vec<i16>,
    /// The unique index of the referenced columns.
    index: pg_sys::Oid,
}

impl ForeignKey {
    /// The constraint, if it is a foreign key. It is not visible to queries yet.
    fn of(constraint: pg_sys::Oid) -> Option<Self> {
        const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();
        // SAFETY: the sequence of a systable scan (genam.c) by `oid`, column 1, which sees what this command has written; an error in
        // between is cleaned up by the resource owner. Columns are found by their names, and read as their types.
        unsafe {
            let catalog = pg_sys::relation_open(pg_sys::Oid::from(PG_CONSTRAINT), LOCK);
            let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
            pg_sys::ScanKeyInit(
                &mut key,
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_OIDEQ),
                pg_sys::Datum::from(constraint),
            );
            let index = pg_sys::Oid::from(PG_CONSTRAINT_OID_INDEX);
            let scan = pg_sys::systable_beginscan(catalog, index, true, &raw mut pg_sys::SnapshotSelfData, 1, &mut key);
            let tuple = pg_sys::systable_getnext(scan);
            let found = if tuple.is_null() { None } else { Self::read(tuple, (*catalog).rd_att) };
            pg_sys::systable_endscan(scan);
            pg_sys::relation_close(catalog, LOCK);
            found
        }
    }

    /// # Safety
    /// `tuple` is one of `pg_constraint`, whose descriptor is `descriptor`.
    unsafe fn read(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Option<Self> {
        /// # Safety
        /// As above, and T is the column's type.
        unsafe fn column<T: FromDatum>(
            tuple: pg_sys::HeapTuple,
            descriptor: pg_sys::TupleDesc,
            name: &std::ffi::CStr,
        ) -> Option<T> {
            let mut is_null = false;
            // SAFETY: by the caller's word; the name is looked up in the descriptor.
            unsafe {
                let attribute = pg_sys::SPI_fnumber(descriptor, name.as_ptr());
                let datum = pg_sys::heap_getattr(tuple, attribute, descriptor, &mut is_null);
                T::from_datum(datum, is_null)
            }
        }
        // SAFETY: by the caller's word. Only a foreign key has confkey.
        unsafe {
            Some(Self {
                referenced_columns: column(tuple, descriptor, c"confkey")?,
                referenced: column(tuple, descriptor, c"confrelid")?,
                columns: column(tuple, descriptor, c"conkey")?,
                table: column(tuple, descriptor, c"conrelid")?,
                index: column(tuple, descriptor, c"conindid")?,
            })
        }
    }

    /// Whether it leads from a table of somebody's to one of the extension.
    fn leads_to_us(&self) -> bool {
        // SAFETY: catalog look-ups by OID.
        unsafe {
            let ours = pg_sys::get_namespace_oid(c"auth".as_ptr(), true);
            pg_sys::get_rel_namespace(self.referenced) == ours && pg_sys::get_rel_namespace(self.table) != ours
        }
    }

    /// Which column it references, if that is neither the primary key nor `id`.
    fn other_column(&self) -> Option<String> {
        const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();
        // SAFETY: the table is there, since the command that makes the constraint holds a lock on it; names are copied.
        unsafe {
            let relation = pg_sys::relation_open(self.referenced, LOCK);
            #[cfg(not(feature = "pg18"))]
            let primary_key = pg_sys::RelationGetPrimaryKeyIndex(relation);
            #[cfg(feature = "pg18")]
            let primary_key = pg_sys::RelationGetPrimaryKeyIndex(relation, true);
            pg_sys::relation_close(relation, LOCK);
            let columns = self.referenced_columns.iter();
            let columns: Vec<String> =
                columns.map(|column| text(pg_sys::get_attname(self.referenced, *column, true))).collect();
            if primary_key == self.index || columns == ["id"] {
                return None;
            }
            let table = text(pg_sys::get_rel_name(self.referenced));
            Some(format!("It references auth.{table} ({}), which is not its primary key.", columns.join(", ")))
        }
    }

    /// Which column would have to be cast, if one would.
    fn cast(&self) -> Option<String> {
        // SAFETY: catalog look-ups by OID.
        unsafe {
            let column = self.columns.iter().zip(&self.referenced_columns).find(|(column, referenced)| {
                let from = pg_sys::getBaseType(pg_sys::get_atttype(self.table, **column));
                let to = pg_sys::getBaseType(pg_sys::get_atttype(self.referenced, **referenced));
                // varchar is text with a length.
                from != to && !(from == pg_sys::VARCHAROID && to == pg_sys::TEXTOID)
            });
            column.map(|(column, referenced)| {
                format!(
                    "The column {} of {} is of another type than auth.{} ({}), which it references.",
                    text(pg_sys::get_attname(self.table, *column, true)),
                    text(pg_sys::get_rel_name(self.table)),
                    text(pg_sys::get_rel_name(self.referenced)),
                    text(pg_sys::get_attname(self.referenced, *referenced, true)),
                )
            })
        }
    }
}

/// # Safety
/// `name` is a C string or NULL.
unsafe fn text(name: *const std::ffi::c_char) -> String {
    match name.is_null() {
        true => "?".to_owned(),
        // SAFETY: by the caller's word.
        false => unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy().into_owned(),
    }
}
