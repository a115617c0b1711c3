//! Direct scans under a catalog snapshot: of the tables that readers look at, and of those that every sign-in looks at.
//!
//! Not SPI: a reader may be called by a role without any right on these tables, in a parallel worker, on a standby, and in
//! a REPEATABLE READ transaction that must still see a later sign-out. A catalog snapshot is a fresh one each time. For a handful
//! of rows a scan also costs a fraction of what a plan does.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::seal::Purpose;

use super::configuration::{DataKeyRow, SigningKeyRow as PrivateKeyRow};
use crate::json::Jsonb;

/// A row of `auth.signing_keys`, as far as verifying needs it.
pub struct SigningKeyRow {
    /// the JWK
    pub public_key: serde_json::Value,
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

/// In no order.
static ALL: [&Table; 9] =
    [&SESSIONS, &SIGNING_KEYS, &INSTALLATION, &FLOW_STATES, &DATA_KEYS, &HOOKS, &REDIRECT_URLS, &USERS, &IDENTITIES];

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
    let mut version = None;
    by_uuid(&SESSIONS, c"id", id, |row| version = row.get(c"claims_version"));
    version
}

/// What a refresh is decided by: what the row is now, whatever snapshot the transaction keeps. Times are in Postgres's own
/// microseconds.
pub struct RefreshState {
    /// none for a session that cannot be refreshed
    pub salt: Option<[u8; 16]>,
    /// `claims_version`
    pub claims_version: i64,
    /// `refresh_token_counter`
    pub counter: i64,
    /// `created_at`
    pub created_at: i64,
    /// `refreshed_at`
    pub refreshed_at: Option<i64>,
    /// `recoveries`
    pub recoveries: i16,
    /// `recovered_counter`
    pub recovered_counter: Option<i64>,
    /// `recovered_at`
    pub recovered_at: Option<i64>,
    /// `not_after`
    pub not_after: Option<i64>,
}

/// The state of a session, or `None` where it has ended.
pub fn refresh_state(id: Uuid) -> Option<RefreshState> {
    let mut state = None;
    by_uuid(&SESSIONS, c"id", id, |row| {
        let time = |column| row.get::<TimestampWithTimeZone>(column).map(i64::from);
        state = Some(RefreshState {
            salt: row.get::<Vec<u8>>(c"refresh_token_salt").and_then(|salt| salt.try_into().ok()),
            claims_version: row.get(c"claims_version").unwrap_or_default(),
            counter: row.get(c"refresh_token_counter").unwrap_or_default(),
            created_at: time(c"created_at").unwrap_or_default(),
            refreshed_at: time(c"refreshed_at"),
            recoveries: row.get(c"recoveries").unwrap_or_default(),
            recovered_counter: row.get(c"recovered_counter"),
            recovered_at: time(c"recovered_at"),
            not_after: time(c"not_after"),
        });
    });
    state
}

/// The mode of a flow, or `None` where it is gone.
pub fn flow_mode(id: Uuid) -> Option<String> {
    let mut mode = None;
    by_uuid(&FLOW_STATES, c"id", id, |row| mode = row.get(c"mode"));
    mode
}

/// Every signing key.
pub fn signing_keys() -> Vec<SigningKeyRow> {
    let mut keys = Vec::new();
    scan(&SIGNING_KEYS, None, |row| {
        let public_key = row.get::<Jsonb>(c"public_key").and_then(|jwk| jwk.parse());
        if let (Some(public_key), Some(status)) = (public_key, row.get(c"status")) {
            keys.push(SigningKeyRow { public_key, status });
        }
    });
    keys
}

/// The id of the installation, if there is one yet.
pub fn installation_id() -> Option<Uuid> {
    find(&INSTALLATION, |row| row.get::<pgrx::Uuid>(c"id").map(|id| Uuid::from_bytes(*id.as_bytes())))
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
    scan(&REDIRECT_URLS, None, |row| patterns.extend(row.get::<String>(c"pattern")));
    patterns
}

/// A row of `auth.users`, if there is one.
pub fn user<T>(id: Uuid, mut read: impl FnMut(&Row) -> T) -> Option<T> {
    let mut user = None;
    by_uuid(&USERS, c"id", id, |row| user = Some(read(row)));
    user
}

/// The rows of `auth.identities` of a user, in no order.
pub fn identities<T>(user_id: Uuid, mut read: impl FnMut(&Row) -> T) -> Vec<T> {
    let mut identities = Vec::new();
    by_uuid(&IDENTITIES, c"user_id", user_id, |row| identities.push(read(row)));
    identities
}

/// A row of one of the tables.
pub struct Row {
    tuple: pg_sys::HeapTuple,
    relation: pg_sys::Relation,
}

impl Row {
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

/// The first answer, over all rows of a small table.
fn find<T>(table: &Table, mut read: impl FnMut(&Row) -> Option<T>) -> Option<T> {
    let mut found = None;
    scan(table, None, |row| found = found.take().or_else(|| read(row)));
    found
}

fn by_uuid(table: &Table, column: &CStr, id: Uuid, each: impl FnMut(&Row)) {
    scan(table, Some((column, id.into_bytes())), each);
}

/// The rows, or those whose column, the first of the index, has this value.
fn scan(table: &Table, of: Option<(&CStr, [u8; 16])>, mut each: impl FnMut(&Row)) {
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
                pg_sys::Datum::from(id.as_ptr()),
            );
        }
        let keys = i32::from(of.is_some());
        let scan = pg_sys::systable_beginscan(relation, index, of.is_some(), std::ptr::null_mut(), keys, &mut key);
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
