//! Direct scans of the tables that readers look at, and of those that every sign-in and refresh looks at.
//!
//! Not SPI: a reader may be called by a role without any right on these tables, in a parallel worker, on a standby, and in
//! a REPEATABLE READ transaction that must still see a later sign-out. A scan sees what is there now: it is given a fresh snapshot
//! each time, or, where several rows must agree, a [`Snapshot`]. For a handful of rows it also costs a fraction of what a plan does.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::prelude::*;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::seal::Purpose;
use workos_auth_core::{Error, Result};

use super::configuration::{DataKeyRow, SigningKeyRow as PrivateKeyRow};
use crate::error::unexpected;
use crate::json::Jsonb;

/// A row of `auth.signing_keys`, as far as verifying needs it.
pub struct SigningKeyRow {
    /// the JWK
    pub public_key: Value,
    /// pending, active, retiring or retired
    pub status: String,
}

/// OIDs of a table and of the index that it is read by, looked up once; forgotten when anything about a relation changes that
/// could be theirs, such as DROP EXTENSION and CREATE EXTENSION.
struct Table {
    name: &'static CStr,
    index: &'static CStr,
    oids: Cell<Option<(pg_sys::Oid, pg_sys::Oid)>>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for Table {}

impl Table {
    const fn new(name: &'static CStr, index: &'static CStr) -> Self {
        Self { name, index, oids: Cell::new(None) }
    }

    /// `None` where the extension is not installed in this database.
    fn oids(&self) -> Option<(pg_sys::Oid, pg_sys::Oid)> {
        if self.oids.get().is_none() {
            // SAFETY: syscache look-ups by constant names.
            let (table, index) = unsafe {
                let schema = pg_sys::get_namespace_oid(c"auth".as_ptr(), true);
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

    fn is(&self, relation: pg_sys::Oid) -> bool {
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

static SESSIONS: Table = Table::new(c"sessions", c"sessions_pkey");
static SIGNING_KEYS: Table = Table::new(c"signing_keys", c"signing_keys_pkey");
static INSTALLATION: Table = Table::new(c"installation", c"installation_pkey");
static FLOW_STATES: Table = Table::new(c"flow_states", c"flow_states_pkey");
static DATA_KEYS: Table = Table::new(c"data_keys", c"data_keys_pkey");
static HOOKS: Table = Table::new(c"hooks", c"hooks_pkey");
static REDIRECT_URLS: Table = Table::new(c"redirect_urls", c"redirect_urls_pkey");
static USERS: Table = Table::new(c"users", c"users_pkey");
static IDENTITIES: Table = Table::new(c"identities", c"identities_user_id_idx");
static MEMBERSHIPS: Table = Table::new(c"organization_memberships", c"organization_memberships_user_id_idx");

/// In no order.
static ALL: [&Table; 10] = [
    &SESSIONS,
    &SIGNING_KEYS,
    &INSTALLATION,
    &FLOW_STATES,
    &DATA_KEYS,
    &HOOKS,
    &REDIRECT_URLS,
    &USERS,
    &IDENTITIES,
    &MEMBERSHIPS,
];

/// Called from the relation cache's callback, where nothing may be allocated or raised. Says whether cached rows (signing
/// keys, the installation) may have changed.
pub fn forget(relation: pg_sys::Oid) -> bool {
    let all = relation == pg_sys::InvalidOid;
    let cached_rows_changed = all
        || SIGNING_KEYS.is(relation)
        || INSTALLATION.is(relation)
        || (SIGNING_KEYS.oids.get().is_none() && INSTALLATION.oids.get().is_none());
    for table in ALL {
        if all || table.is(relation) {
            table.oids.set(None);
        }
    }
    cached_rows_changed
}

/// `claims_version` of a session, or `None` where it has ended.
pub fn session_claims_version(id: Uuid) -> Option<i64> {
    one(&SESSIONS, c"id", id, None, |row| row.get(c"claims_version"))?
}

/// The mode of a flow, or `None` where it is gone.
pub fn flow_mode(id: Uuid) -> Option<String> {
    one(&FLOW_STATES, c"id", id, None, |row| row.get(c"mode"))?
}

/// Every signing key.
pub fn signing_keys() -> Vec<SigningKeyRow> {
    let mut keys = Vec::new();
    scan(&SIGNING_KEYS, None, None, |row| {
        let public_key = row.get::<Jsonb>(c"public_key").and_then(|jwk| jwk.parse());
        if let (Some(public_key), Some(status)) = (public_key, row.get(c"status")) {
            keys.push(SigningKeyRow { public_key, status });
        }
    });
    keys
}

/// The id of the installation, if there is one yet.
pub fn installation_id() -> Option<Uuid> {
    find(&INSTALLATION, |row| row.uuid(c"id"))
}

/// The first data key that is wanted.
pub fn data_key(is_wanted: impl Fn(&Row) -> bool) -> Option<DataKeyRow> {
    find(&DATA_KEYS, |row| {
        is_wanted(row).then(|| {
            Some(DataKeyRow {
                id: row.key_id(c"id")?,
                purpose: Purpose::parse(&row.get::<String>(c"purpose")?).ok()?,
                wrapped_key: row.get(c"wrapped_key")?,
            })
        })?
    })
}

/// The signing key that signs today.
pub fn active_signing_key() -> Option<PrivateKeyRow> {
    find(&SIGNING_KEYS, |row| {
        if row.get::<String>(c"status")? != "active" {
            return None;
        }
        Some(PrivateKeyRow {
            kid: row.get(c"kid")?,
            private_key: row.get(c"private_key")?,
            data_key_id: row.key_id(c"data_key_id")?,
        })
    })
}

/// The function that is named for an event.
pub fn hook(event: &str) -> Option<String> {
    find(&HOOKS, |row| if row.get::<String>(c"event")? == event { row.get(c"function") } else { None })
}

/// The patterns of `auth.redirect_urls`.
pub fn redirect_patterns() -> Vec<String> {
    let mut patterns = Vec::new();
    scan(&REDIRECT_URLS, None, None, |row| patterns.extend(row.get::<String>(c"pattern")));
    patterns
}

/// A row of `auth.sessions`, if there is one.
pub fn session<T>(id: Uuid, snapshot: &Snapshot, read: impl FnMut(&Row) -> T) -> Option<T> {
    one(&SESSIONS, c"id", id, Some(snapshot), read)
}

/// A row of `auth.users`, if there is one.
pub fn user<T>(id: Uuid, snapshot: &Snapshot, read: impl FnMut(&Row) -> T) -> Option<T> {
    one(&USERS, c"id", id, Some(snapshot), read)
}

/// The rows of `auth.identities` of a user, in no order.
pub fn identities<T>(user_id: Uuid, snapshot: &Snapshot, mut read: impl FnMut(&Row) -> T) -> Vec<T> {
    let mut identities = Vec::new();
    scan(&IDENTITIES, Some((c"user_id", user_id)), Some(snapshot), |row| identities.push(read(row)));
    identities
}

/// The row of `auth.organization_memberships` of a user in an organization, if there is one.
pub fn membership<T>(
    user_id: Uuid,
    organization_id: &str,
    snapshot: &Snapshot,
    mut read: impl FnMut(&Row) -> T,
) -> Option<T> {
    let mut membership = None;
    scan(&MEMBERSHIPS, Some((c"user_id", user_id)), Some(snapshot), |row| {
        if row.get::<String>(c"organization_id").as_deref() == Some(organization_id) {
            membership = Some(read(row));
        }
    });
    membership
}

/// What is committed now, and what this transaction has written: for rows of several tables that must agree. Whatever the
/// transaction's isolation level is.
pub struct Snapshot(pg_sys::Snapshot);

impl Snapshot {
    /// Not in a parallel query, whose processes share a snapshot.
    pub fn now() -> Self {
        // SAFETY: in a transaction, as every SQL function is. Registered, so that it lasts until it is dropped; an error's clean-up
        // drops it too, before the resource owner that counts it ends.
        Self(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: registered by `now`, once.
        unsafe { pg_sys::UnregisterSnapshot(self.0) };
    }
}

/// A row of one of the tables.
pub struct Row {
    tuple: pg_sys::HeapTuple,
    relation: pg_sys::Relation,
}

impl Row {
    /// A column that is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it was.
    pub fn required<T: FromDatum>(&self, column: &CStr) -> Result<T> {
        self.get(column).ok_or_else(|| unexpected("A column that is never NULL was NULL."))
    }

    /// A `uuid`, unless it is NULL.
    pub fn uuid(&self, column: &CStr) -> Option<Uuid> {
        self.get::<pgrx::Uuid>(column).map(|id| Uuid::from_bytes(*id.as_bytes()))
    }

    /// A `timestamptz` in Postgres's own microseconds, unless it is NULL.
    pub fn micros(&self, column: &CStr) -> Option<i64> {
        self.get::<TimestampWithTimeZone>(column).map(i64::from)
    }

    /// A `jsonb` of a person's, which is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it cannot be parsed.
    pub fn json(&self, column: &CStr) -> Result<Value> {
        self.required::<Jsonb>(column)?.parse().ok_or_else(unreadable)
    }

    /// The id of a data key: an unsigned 32-bit number.
    pub fn key_id(&self, column: &CStr) -> Option<u32> {
        u32::try_from(self.get::<i64>(column)?).ok()
    }

    /// A column, unless it is NULL.
    pub fn get<T: FromDatum>(&self, column: &CStr) -> Option<T> {
        let mut is_null = false;
        // SAFETY: the tuple is the scan's current one, its descriptor the relation's; T is the column's type.
        unsafe {
            let attribute = pg_sys::get_attnum((*self.relation).rd_id, column.as_ptr());
            if attribute <= 0 {
                return None;
            }
            let datum = pg_sys::heap_getattr(self.tuple, attribute.into(), (*self.relation).rd_att, &mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}

/// What is said of metadata that Postgres can hold and the parser cannot.
pub fn unreadable() -> Error {
    unexpected("A user's metadata is nested too deeply, or has a member that the parser keeps for itself.")
}

/// The first answer, over all rows of a small table.
fn find<T>(table: &Table, mut read: impl FnMut(&Row) -> Option<T>) -> Option<T> {
    let mut found = None;
    scan(table, None, None, |row| found = found.take().or_else(|| read(row)));
    found
}

/// The row whose column has this value, where that is unique.
fn one<T>(
    table: &Table,
    column: &CStr,
    id: Uuid,
    snapshot: Option<&Snapshot>,
    mut read: impl FnMut(&Row) -> T,
) -> Option<T> {
    let mut found = None;
    scan(table, Some((column, id)), snapshot, |row| found = Some(read(row)));
    found
}

/// The rows, or those whose column, the first of the index, has this value; under a fresh snapshot, if none is given.
fn scan(table: &Table, of: Option<(&CStr, Uuid)>, snapshot: Option<&Snapshot>, mut each: impl FnMut(&Row)) {
    let Some((relation, index)) = table.open() else { return };
    // SAFETY: the sequence of systable scans (genam.c); an error in between is cleaned up by the resource owner. A NULL
    // snapshot asks for a fresh one. The key points into `of`, which outlives the scan.
    unsafe {
        let mut key: pg_sys::ScanKeyData = std::mem::zeroed();
        if let Some((column, id)) = &of {
            pg_sys::ScanKeyInit(
                &mut key,
                pg_sys::get_attnum((*relation).rd_id, column.as_ptr()),
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::from(pg_sys::F_UUID_EQ),
                pg_sys::Datum::from(id.as_bytes().as_ptr()),
            );
        }
        let keys = i32::from(of.is_some());
        let snapshot = snapshot.map_or(std::ptr::null_mut(), |snapshot| snapshot.0);
        let scan = pg_sys::systable_beginscan(relation, index, of.is_some(), snapshot, keys, &mut key);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            each(&Row { tuple, relation });
        }
        pg_sys::systable_endscan(scan);
        pg_sys::relation_close(relation, LOCK);
    }
}
