//! Direct scans of the tables that readers look at, and of those that every sign-in and refresh looks at.
//!
//! Not SPI: a reader may be called by a role without any right on these tables, in a parallel worker, on a standby, and in
//! a REPEATABLE READ transaction that must still see a later sign-out. A scan sees what is there now: it is given a fresh snapshot
//! each time, or, where several rows must agree, a [`Snapshot`]. For a handful of rows it also costs a fraction of what a plan does.

use std::cell::Cell;
use std::ffi::CStr;
use std::ops::ControlFlow;

use pgrx::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;
use workos_auth_core::seal::Purpose;
use workos_auth_core::{Error, Result};

use super::configuration::{DataKeyRow, Provider, SigningKeyRow as PrivateKeyRow};
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
static PROVIDERS: Table = Table::new(c"providers", c"providers_pkey");
static FLOW_STATES: Table = Table::new(c"flow_states", c"flow_states_pkey");
static FLOW_STATES_BY_STATE: Table = Table::new(c"flow_states", c"flow_states_state_hash_key");
static FLOW_STATES_BY_CHALLENGE: Table = Table::new(c"flow_states", c"flow_states_code_challenge_key");
static FLOW_STATES_BY_CODE: Table = Table::new(c"flow_states", c"flow_states_code_hash_key");
static FLOW_STATES_BY_EXPIRY: Table = Table::new(c"flow_states", c"flow_states_expires_at_idx");
static DATA_KEYS: Table = Table::new(c"data_keys", c"data_keys_pkey");
static HOOKS: Table = Table::new(c"hooks", c"hooks_pkey");
static REDIRECT_URLS: Table = Table::new(c"redirect_urls", c"redirect_urls_pkey");
static USERS: Table = Table::new(c"users", c"users_pkey");
static IDENTITIES: Table = Table::new(c"identities", c"identities_user_id_idx");
static IDENTITIES_BY_PROFILE: Table = Table::new(c"identities", c"identities_provider_provider_id_key");
static ORGANIZATIONS: Table = Table::new(c"organizations", c"organizations_pkey");
static DOMAINS: Table = Table::new(c"organization_domains", c"organization_domains_pkey");
static MEMBERSHIP: Table = Table::new(c"organization_memberships", c"organization_memberships_pkey");
static MEMBERSHIPS: Table = Table::new(c"organization_memberships", c"organization_memberships_user_id_idx");

/// In no order.
static ALL: [&Table; 19] = [
    &SESSIONS,
    &SIGNING_KEYS,
    &INSTALLATION,
    &PROVIDERS,
    &FLOW_STATES,
    &FLOW_STATES_BY_STATE,
    &FLOW_STATES_BY_CHALLENGE,
    &FLOW_STATES_BY_CODE,
    &FLOW_STATES_BY_EXPIRY,
    &DATA_KEYS,
    &HOOKS,
    &REDIRECT_URLS,
    &USERS,
    &IDENTITIES,
    &IDENTITIES_BY_PROFILE,
    &ORGANIZATIONS,
    &DOMAINS,
    &MEMBERSHIP,
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
    one(&SESSIONS, &[Key::Uuid(c"id", id)], None, |row| row.get(c"claims_version"))?
}

/// The mode of a flow, or `None` where it is gone.
pub fn flow_mode(id: Uuid) -> Option<String> {
    one(&FLOW_STATES, &[Key::Uuid(c"id", id)], None, |row| row.get(c"mode"))?
}

/// What a flow is found by. Each is unique.
pub enum FlowKey<'a> {
    /// SHA-256 of the state
    State(&'a [u8; 32]),
    /// the client's challenge
    Challenge(&'a str),
    /// SHA-256 of a code of our own
    Code(&'a [u8; 32]),
}

/// A row of `auth.flow_states`, if there is one.
pub fn flow<T>(key: &FlowKey, snapshot: &Snapshot, read: impl FnMut(&Row) -> T) -> Option<T> {
    let (table, key) = match key {
        FlowKey::State(hash) => (&FLOW_STATES_BY_STATE, Key::Bytes(c"state_hash", &hash[..])),
        FlowKey::Challenge(challenge) => (&FLOW_STATES_BY_CHALLENGE, Key::Text(c"code_challenge", challenge)),
        FlowKey::Code(hash) => (&FLOW_STATES_BY_CODE, Key::Bytes(c"code_hash", &hash[..])),
    };
    one(table, &[key], Some(snapshot), read)
}

/// Whether some flow expired before this time, in Postgres's own microseconds.
pub fn has_expired_flow(before: i64, snapshot: &Snapshot) -> bool {
    one(&FLOW_STATES_BY_EXPIRY, &[Key::Before(c"expires_at", before)], Some(snapshot), |_| ()).is_some()
}

/// The WorkOS provider, if there is one.
pub fn provider() -> Option<Result<Provider>> {
    find(&PROVIDERS, |row| {
        Some((|| {
            Ok(Provider {
                id: row.required_uuid(c"id")?,
                enabled: row.required(c"enabled")?,
                client_id: row.required(c"client_id")?,
                client_secret: row.required(c"client_secret")?,
                data_key_id: row.required_key_id(c"data_key_id")?,
                redirect_uri: row.required(c"redirect_uri")?,
                api_url: row.required(c"api_url")?,
            })
        })())
    })
}

/// Every signing key.
pub fn signing_keys() -> Vec<SigningKeyRow> {
    all(&SIGNING_KEYS, &[], None, |row| {
        let public_key = row.get::<Jsonb>(c"public_key")?.parse()?;
        Some(SigningKeyRow { public_key, status: row.get(c"status")? })
    })
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
    all(&REDIRECT_URLS, &[], None, |row| row.get(c"pattern"))
}

/// A row of `auth.sessions`, if there is one.
pub fn session<T>(id: Uuid, snapshot: &Snapshot, read: impl FnMut(&Row) -> T) -> Option<T> {
    one(&SESSIONS, &[Key::Uuid(c"id", id)], Some(snapshot), read)
}

/// A row of `auth.users`, if there is one.
pub fn user<T>(id: Uuid, snapshot: &Snapshot, read: impl FnMut(&Row) -> T) -> Option<T> {
    one(&USERS, &[Key::Uuid(c"id", id)], Some(snapshot), read)
}

/// The rows of `auth.identities` of a user, in no order.
pub fn identities<T>(user_id: Uuid, snapshot: &Snapshot, mut read: impl FnMut(&Row) -> T) -> Vec<T> {
    all(&IDENTITIES, &[Key::Uuid(c"user_id", user_id)], Some(snapshot), |row| Some(read(row)))
}

/// The row of `auth.identities` of a WorkOS profile, if there is one.
pub fn identity_by_profile<T>(profile_id: &str, snapshot: &Snapshot, read: impl FnMut(&Row) -> T) -> Option<T> {
    let keys = [Key::Text(c"provider", "workos"), Key::Text(c"provider_id", profile_id)];
    one(&IDENTITIES_BY_PROFILE, &keys, Some(snapshot), read)
}

/// Whether an organization is known.
pub fn knows_organization(id: &str, snapshot: &Snapshot) -> bool {
    one(&ORGANIZATIONS, &[Key::Text(c"id", id)], Some(snapshot), |_| ()).is_some()
}

/// Whether the organization vouches for a domain.
pub fn organization_has_domain(organization_id: &str, domain: &str, snapshot: &Snapshot) -> bool {
    let keys = [Key::Text(c"organization_id", organization_id), Key::Text(c"domain", domain)];
    one(&DOMAINS, &keys, Some(snapshot), |_| ()).is_some()
}

/// The organizations that a user belongs to, in no order.
pub fn organizations_of(user_id: Uuid, snapshot: &Snapshot) -> Vec<String> {
    all(&MEMBERSHIPS, &[Key::Uuid(c"user_id", user_id)], Some(snapshot), |row| row.get(c"organization_id"))
}

/// The row of `auth.organization_memberships` of a user in an organization, if there is one.
pub fn membership<T>(
    user_id: Uuid,
    organization_id: &str,
    snapshot: &Snapshot,
    read: impl FnMut(&Row) -> T,
) -> Option<T> {
    let keys = [Key::Text(c"organization_id", organization_id), Key::Uuid(c"user_id", user_id)];
    one(&MEMBERSHIP, &keys, Some(snapshot), read)
}

/// What is seen of the tables. For rows of several tables that must agree.
pub struct Snapshot(pg_sys::Snapshot);

// Registered, so that it lasts until it is dropped; an error's clean-up drops it too, before the resource owner that counts it ends.
impl Snapshot {
    /// What is committed now, and what this transaction has written, whatever its isolation level is. Not in a parallel query, whose
    /// processes share a snapshot.
    pub fn now() -> Self {
        // SAFETY: in a transaction, as every SQL function is.
        Self(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) })
    }

    /// What a statement of [`super::query`] would see: under REPEATABLE READ and SERIALIZABLE, what the transaction sees.
    pub fn of_transaction() -> Self {
        // SAFETY: as above.
        Self(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot()) })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: registered when it was made, once.
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

    /// A `uuid` that is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it was.
    pub fn required_uuid(&self, column: &CStr) -> Result<Uuid> {
        self.required::<pgrx::Uuid>(column).map(|id| Uuid::from_bytes(*id.as_bytes()))
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

    /// The same as it is, to be written into other JSON.
    ///
    /// # Errors
    /// `unexpected_failure`: it was NULL.
    pub fn raw_json(&self, column: &CStr) -> Result<Box<RawValue>> {
        self.required::<Jsonb>(column)?.raw().ok_or_else(unreadable)
    }

    /// The id of a data key: an unsigned 32-bit number.
    pub fn key_id(&self, column: &CStr) -> Option<u32> {
        u32::try_from(self.get::<i64>(column)?).ok()
    }

    /// The same where it is never NULL.
    ///
    /// # Errors
    /// `unexpected_failure`: it was, or is none.
    pub fn required_key_id(&self, column: &CStr) -> Result<u32> {
        u32::try_from(self.required::<i64>(column)?).map_err(|_| unexpected("The id of a data key is out of range."))
    }

    /// A column, unless it is NULL.
    pub fn get<T: FromDatum>(&self, column: &CStr) -> Option<T> {
        let mut is_null = false;
        // SAFETY: the tuple is the scan's current one, its descriptor the relation's; T is the column's type.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            // Only looks the name up, in the descriptor.
            let attribute = pg_sys::SPI_fnumber(descriptor, column.as_ptr());
            if attribute <= 0 {
                return None;
            }
            let datum = pg_sys::heap_getattr(self.tuple, attribute, descriptor, &mut is_null);
            T::from_datum(datum, is_null)
        }
    }
}

/// What is said of metadata that Postgres can hold and the parser cannot.
pub fn unreadable() -> Error {
    unexpected("A user's metadata is nested too deeply, or has a member that the parser keeps for itself.")
}

/// The first answer, over all rows of a small table.
fn find<T>(table: &Table, read: impl FnMut(&Row) -> Option<T>) -> Option<T> {
    first(table, &[], None, read)
}

/// A column of the table's index, and what it must be.
enum Key<'a> {
    Uuid(&'static CStr, Uuid),
    Text(&'static CStr, &'a str),
    Bytes(&'static CStr, &'a [u8]),
    /// A `timestamptz` that is less than this.
    Before(&'static CStr, i64),
}

impl Key<'_> {
    /// `None` for a column that is not there.
    fn scan_key(&self, descriptor: pg_sys::TupleDesc) -> Option<pg_sys::ScanKeyData> {
        let (column, function, value) = match self {
            Self::Uuid(column, id) => (column, pg_sys::F_UUID_EQ, pg_sys::Datum::from(id.as_bytes().as_ptr())),
            Self::Text(column, text) => (column, pg_sys::F_TEXTEQ, text.into_datum()?),
            Self::Bytes(column, bytes) => (column, pg_sys::F_BYTEAEQ, bytes.into_datum()?),
            Self::Before(column, time) => (column, pg_sys::F_TIMESTAMPTZ_LT, pg_sys::Datum::from(*time)),
        };
        let strategy = match self {
            Self::Before(..) => pg_sys::BTLessStrategyNumber,
            _ => pg_sys::BTEqualStrategyNumber,
        };
        // The columns of type text have no collation of their own; those of other types have none.
        let collation = match self {
            Self::Text(..) => pg_sys::DEFAULT_COLLATION_OID,
            _ => pg_sys::InvalidOid,
        };
        // SAFETY: the descriptor of an open table; the key is all written.
        unsafe {
            let attribute = i16::try_from(pg_sys::SPI_fnumber(descriptor, column.as_ptr())).ok().filter(|n| *n > 0)?;
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

/// The first row with these keys.
fn one<T>(table: &Table, keys: &[Key], snapshot: Option<&Snapshot>, mut read: impl FnMut(&Row) -> T) -> Option<T> {
    first(table, keys, snapshot, |row| Some(read(row)))
}

/// The first answer, over the rows with these keys.
fn first<T>(
    table: &Table,
    keys: &[Key],
    snapshot: Option<&Snapshot>,
    mut read: impl FnMut(&Row) -> Option<T>,
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
fn all<T>(table: &Table, keys: &[Key], snapshot: Option<&Snapshot>, mut read: impl FnMut(&Row) -> Option<T>) -> Vec<T> {
    let mut found = Vec::new();
    scan(table, keys, snapshot, |row| {
        found.extend(read(row));
        ControlFlow::Continue(())
    });
    found
}

/// The rows with these keys, which are the first columns of the index, or without keys all of them, until `each` breaks off; under a
/// fresh snapshot, if none is given.
fn scan(table: &Table, keys: &[Key], snapshot: Option<&Snapshot>, mut each: impl FnMut(&Row) -> ControlFlow<()>) {
    let Some((relation, index)) = table.open() else { return };
    // SAFETY: the sequence of systable scans (genam.c); an error in between is cleaned up by the resource owner. A NULL
    // snapshot asks for a fresh one. The scan's keys point into `keys`, which outlive it.
    unsafe {
        let descriptor = (*relation).rd_att;
        // Without a column that is wanted, nothing is.
        let Some(mut wanted) = keys.iter().map(|key| key.scan_key(descriptor)).collect::<Option<Vec<_>>>() else {
            return pg_sys::relation_close(relation, LOCK);
        };
        let snapshot = snapshot.map_or(std::ptr::null_mut(), |snapshot| snapshot.0);
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
            if tuple.is_null() || each(&Row { tuple, relation }).is_break() {
                break;
            }
        }
        pg_sys::systable_endscan(scan);
        pg_sys::relation_close(relation, LOCK);
    }
}
