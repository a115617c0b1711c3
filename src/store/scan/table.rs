//! How a table is read without a plan: by an index, under a snapshot.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};
use std::ops::{ControlFlow, Not};

use hashbrown::HashMap;
use pgrx::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::error::{raise, unexpected};
use crate::postgres::jsonb::Jsonb;
use crate::postgres::snapshot::Snapshot;
use crate::postgres::uuid::from_postgres;

/// OIDs of a table and of the index that it is read by, looked up once; forgotten when anything about a relation changes that
/// could be theirs, such as DROP EXTENSION and CREATE EXTENSION.
pub struct Table {
    schema: &'static CStr,
    name: &'static CStr,
    index: &'static CStr,
    oids: Cell<Option<(pg_sys::Oid, pg_sys::Oid)>>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for Table {}

impl Table {
    /// By its name and that of an index, in the schema `auth`.
    pub const fn new(name: &'static CStr, index: &'static CStr) -> Self {
        Self { schema: c"auth", name, index, oids: Cell::new(None) }
    }

    /// By its name and that of an index, in the schema `pg_catalog`.
    pub const fn catalog(name: &'static CStr, index: &'static CStr) -> Self {
        Self { schema: c"pg_catalog", name, index, oids: Cell::new(None) }
    }

    /// `None` where the extension is not installed in this database.
    fn oids(&self) -> Option<(pg_sys::Oid, pg_sys::Oid)> {
        if self.oids.get().is_none() {
            // SAFETY: syscache look-ups by constant names.
            let (table, index) = unsafe {
                let schema = pg_sys::get_namespace_oid(self.schema.as_ptr(), true);
                (
                    pg_sys::get_relname_relid(self.name.as_ptr(), schema),
                    pg_sys::get_relname_relid(self.index.as_ptr(), schema),
                )
            };
            if table != pg_sys::InvalidOid && index != pg_sys::InvalidOid {
                self.oids.set(Some((table, index)));
            }
        }
        self.oids.get()
    }

    /// `None` where the extension is not installed in this database.
    pub fn oid(&self) -> Option<pg_sys::Oid> {
        self.oids().map(|(table, _)| table)
    }

    /// Whether this database has it: the SQL may be that of an older version.
    pub fn exists(&self) -> bool {
        self.oids().is_some()
    }

    /// Whether its OIDs are known.
    pub fn is_known(&self) -> bool {
        self.oids.get().is_some()
    }

    /// Has them looked up again, and the numbers of columns.
    pub fn forget(&self) {
        self.oids.set(None);
        // Called at any point where a lock is taken: it frees nothing.
        _ = COLUMNS.try_with(|columns| columns.try_borrow_mut().map(|mut columns| columns.clear()));
    }

    /// Whether this is the table or its index, as far as they are known.
    pub fn is(&self, relation: pg_sys::Oid) -> bool {
        self.oids.get().is_some_and(|(table, index)| table == relation || index == relation)
    }

    /// Opens the table, and says which index is that of this name now. Taking the lock may tell of another one (REINDEX
    /// CONCURRENTLY), or that the table is gone (DROP EXTENSION); with the lock, neither changes.
    fn open(&self) -> Option<(pg_sys::Relation, pg_sys::Oid)> {
        loop {
            let (table, _) = self.oids()?;
            // SAFETY: NULL for a table that is gone.
            let relation = unsafe { pg_sys::try_relation_open(table, LOCK) };
            match self.oids() {
                Some((now, index)) if now == table && !relation.is_null() => return Some((relation, index)),
                _ if relation.is_null() => self.oids.set(None),
                // SAFETY: opened above.
                _ => unsafe { pg_sys::relation_close(relation, LOCK) },
            }
            pgrx::check_for_interrupts!();
        }
    }
}

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();

/// A row of one of the tables.
pub struct ScannedRow {
    tuple: pg_sys::HeapTuple,
    relation: pg_sys::Relation,
}

impl ScannedRow {
    /// A column that is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it was.
    pub fn required<T: FromDatum>(&self, column: &'static CStr) -> Result<T> {
        self.get(column).ok_or_else(|| unexpected("A column that is never NULL was NULL."))
    }

    /// A `uuid`, unless it is NULL.
    pub fn uuid(&self, column: &'static CStr) -> Option<Uuid> {
        self.get::<pgrx::Uuid>(column).map(from_postgres)
    }

    /// A `uuid` that is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it was.
    pub fn required_uuid(&self, column: &'static CStr) -> Result<Uuid> {
        self.required::<pgrx::Uuid>(column).map(from_postgres)
    }

    /// A `timestamptz` in Postgres's own microseconds, unless it is NULL.
    pub fn micros(&self, column: &'static CStr) -> Option<i64> {
        self.get::<TimestampWithTimeZone>(column).map(i64::from)
    }

    /// A `jsonb` of a person's, which is never NULL.
    ///
    /// # Errors
    /// `user_metadata_unreadable`.
    pub fn json(&self, column: &'static CStr) -> Result<Value> {
        self.required::<Jsonb>(column)?.parse().ok_or_else(|| unreadable(&column.to_string_lossy()))
    }

    /// The same as it is, to be written into other JSON.
    ///
    /// # Errors
    /// `user_metadata_unreadable`: its numbers are too long.
    pub fn raw_json(&self, column: &'static CStr) -> Result<Box<RawValue>> {
        self.required::<Jsonb>(column)?.raw().ok_or_else(|| unreadable(&column.to_string_lossy()))
    }

    /// The id of a data key: an unsigned 32-bit number.
    pub fn key_id(&self, column: &'static CStr) -> Option<u32> {
        u32::try_from(self.get::<i64>(column)?).ok()
    }

    /// The same where it is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it was, or is none.
    pub fn required_key_id(&self, column: &'static CStr) -> Result<u32> {
        u32::try_from(self.required::<i64>(column)?).map_err(|_| unexpected("The id of a data key is out of range."))
    }

    /// Whether a column is not NULL, of whatever type.
    pub fn is_given(&self, column: &'static CStr) -> bool {
        // SAFETY: as in `get`.
        unsafe { pg_sys::heap_attisnull(self.tuple, attribute(self.relation, column), (*self.relation).rd_att) }.not()
    }

    /// A column, unless it is NULL.
    pub fn get<T: FromDatum>(&self, column: &'static CStr) -> Option<T> {
        let mut is_null = false;
        // SAFETY: the tuple is the scan's current one, its descriptor the relation's; T is the column's type.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            let attribute = attribute(self.relation, column);
            let datum = pg_sys::heap_getattr(self.tuple, attribute, descriptor, &mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}

thread_local! {
    /// The numbers of columns, by the OID of their table and the address of their name.
    static COLUMNS: RefCell<HashMap<(pg_sys::Oid, *const c_char), i32>> = RefCell::new(HashMap::new());
}

/// The number of a column, which is looked up by its name in the relation's descriptor once. Raises an error where it is not there: the SQL is
/// that of an older version.
///
/// # Safety
/// The relation is open.
unsafe fn attribute(relation: pg_sys::Relation, column: &'static CStr) -> i32 {
    // SAFETY: by the caller's word.
    let place = (unsafe { (*relation).rd_id }, column.as_ptr());
    if let Some(attribute) = COLUMNS.with_borrow(|columns| columns.get(&place).copied()) {
        return attribute;
    }
    // SAFETY: by the caller's word.
    let attribute = unsafe { pg_sys::SPI_fnumber((*relation).rd_att, column.as_ptr()) };
    if attribute <= 0 {
        // SAFETY: as above; the name is a C string in the relation's own row.
        let table = unsafe { CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr()) };
        let (table, column) = (table.to_string_lossy(), column.to_string_lossy());
        let detail = format!("The table {table} has no column {column}.");
        raise(Error::with_detail(ErrorCode::ExtensionOutdated, detail));
    }
    COLUMNS.with_borrow_mut(|columns| columns.insert(place, attribute));
    attribute
}

/// What is said of JSON in a column that Postgres can hold and no token.
pub fn unreadable(column: &str) -> Error {
    Error::with_detail(ErrorCode::UserMetadataUnreadable, format!("The column {column} is {}.", Jsonb::UNREADABLE))
}

/// `timestamptz_lt` (pg_proc.dat).
const TIMESTAMPTZ_LT: u32 = 1154;

/// A column of the table's index, and what it must be.
pub enum Key<'a> {
    Uuid(&'static CStr, Uuid),
    Text(&'static CStr, &'a str),
    Bytes(&'static CStr, &'a [u8]),
    Oid(&'static CStr, pg_sys::Oid),
    /// A `timestamptz` that is less than this.
    Before(&'static CStr, i64),
    /// A `bigint` that is greater than this.
    Above(&'static CStr, i64),
}

impl Key<'_> {
    fn scan_key(&self, relation: pg_sys::Relation) -> Option<pg_sys::ScanKeyData> {
        let (column, function, value) = match self {
            Self::Uuid(column, id) => (column, pg_sys::F_UUID_EQ, pg_sys::Datum::from(id.as_bytes().as_ptr())),
            Self::Text(column, text) => (column, pg_sys::F_TEXTEQ, text.into_datum()?),
            Self::Bytes(column, bytes) => (column, pg_sys::F_BYTEAEQ, bytes.into_datum()?),
            Self::Oid(column, oid) => (column, pg_sys::F_OIDEQ, pg_sys::Datum::from(*oid)),
            Self::Before(column, time) => (column, TIMESTAMPTZ_LT, pg_sys::Datum::from(*time)),
            Self::Above(column, number) => (column, pg_sys::F_INT8GT, pg_sys::Datum::from(*number)),
        };
        let strategy = match self {
            Self::Before(..) => pg_sys::BTLessStrategyNumber,
            Self::Above(..) => pg_sys::BTGreaterStrategyNumber,
            _ => pg_sys::BTEqualStrategyNumber,
        };
        // The columns of type text have no collation of their own; those of other types have none.
        let collation = match self {
            Self::Text(..) => pg_sys::DEFAULT_COLLATION_OID,
            _ => pg_sys::InvalidOid,
        };
        // SAFETY: an open table; the key is all written.
        unsafe {
            let attribute = i16::try_from(attribute(relation, column)).ok()?;
            let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
            pg_sys::ScanKeyEntryInitialize(
                &mut key,
                0,
                attribute,
                strategy as u16,
                pg_sys::InvalidOid,
                collation,
                pg_sys::Oid::from(function),
                value,
            );
            Some(key)
        }
    }
}

/// The first answer, over all rows of a small table.
pub fn search_all_rows<T>(table: &Table, read: impl FnMut(&ScannedRow) -> Option<T>) -> Option<T> {
    first_match(table, &[], None, read)
}

/// The first row with these keys.
pub fn row_by_key<T>(
    table: &Table,
    keys: &[Key],
    snapshot: Option<&Snapshot>,
    mut read: impl FnMut(&ScannedRow) -> T,
) -> Option<T> {
    first_match(table, keys, snapshot, |row| Some(read(row)))
}

/// The first answer, over the rows with these keys.
pub fn first_match<T>(
    table: &Table,
    keys: &[Key],
    snapshot: Option<&Snapshot>,
    mut read: impl FnMut(&ScannedRow) -> Option<T>,
) -> Option<T> {
    let mut found = None;
    scan(table, keys, snapshot, |row| match read(row) {
        None => ControlFlow::Continue(()),
        answer => {
            found = answer;
            ControlFlow::Break(())
        }
    });
    found
}

/// Every answer, over the rows with these keys.
pub fn collect<T>(
    table: &Table,
    keys: &[Key],
    snapshot: Option<&Snapshot>,
    mut read: impl FnMut(&ScannedRow) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    scan(table, keys, snapshot, |row| {
        found.extend(read(row));
        ControlFlow::Continue(())
    });
    found
}

/// The rows with these keys, which are the first columns of the index, or without keys all of them, until `each` breaks off; under a
/// fresh snapshot, if none is given.
fn scan(
    table: &Table,
    keys: &[Key],
    snapshot: Option<&Snapshot>,
    mut each: impl FnMut(&ScannedRow) -> ControlFlow<()>,
) {
    let Some((relation, index)) = table.open() else { return };
    // SAFETY: the sequence of systable scans (genam.c); an error in between is cleaned up by the resource owner. A NULL
    // snapshot asks for a fresh one. The scan's keys point into `keys`, which outlive it.
    unsafe {
        let Some(mut wanted) = keys.iter().map(|key| key.scan_key(relation)).collect::<Option<Vec<_>>>() else {
            return pg_sys::relation_close(relation, LOCK);
        };
        let snapshot = snapshot.map_or(std::ptr::null_mut(), Snapshot::as_ptr);
        let scan = pg_sys::systable_beginscan(
            relation,
            index,
            !keys.is_empty(),
            snapshot,
            wanted.len() as i32,
            wanted.as_mut_ptr(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() || each(&ScannedRow { tuple, relation }).is_break() {
                break;
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::relation_close(relation, LOCK);
    }
}
