//! Locks of the lock manager under tags that no SQL function can take: `pg_advisory_lock` uses 1 and 2 in the tag's fourth
//! field, where these have 7 and above. So nobody can hold up a sign-in from SQL, nor take a slot.
//!
//! `pg_locks` shows the tags to everybody: they are keyed, so that nobody can tell from one which address or session it is about.

use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result, lock_name};

use super::scan;

// 7 and 12 are those of the `request_slots`.
const FLOW: u16 = 8;
const ACCOUNT: u16 = 9;
const SETUP: u16 = 10;
const THEFT: u16 = 11;
const THEFT_FOUND: u16 = 20;
const WORKER: u16 = 21;
const MIRROR: u16 = 22;
const RECONCILIATION: u16 = 23;
const SWITCH: u16 = 24;

pub(super) fn tag(kind: u16, field1: u32, field2: u32, field3: u32) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: field1,
        locktag_field2: field2,
        locktag_field3: field3,
        locktag_field4: kind,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// A tag of this database. Before the first set-up there is no key, and all locks of a kind are one.
fn database_tag(kind: u16, name: &[u8]) -> pg_sys::LOCKTAG {
    let [first, second] = scan::lock_key().map_or([0, 0], |key| lock_name::of(&key, kind, name));
    // SAFETY: reads a global of the backend.
    tag(kind, unsafe { pg_sys::MyDatabaseId }.to_u32(), first, second)
}

/// A lock of the transaction, given up when dropped.
///
/// An error gives it up too, before the abort would: Postgres tells the client of an error first, and the client's next try, on
/// another connection, must not lose to a transaction that is already dead.
#[derive(Debug)]
pub struct TransactionLock {
    tag: pg_sys::LOCKTAG,
    owner: pg_sys::ResourceOwner,
}

impl TransactionLock {
    fn held(tag: pg_sys::LOCKTAG) -> Self {
        // SAFETY: reads a global of the backend.
        Self { tag, owner: unsafe { pg_sys::CurrentResourceOwner } }
    }

    pub(super) fn try_take(tag: pg_sys::LOCKTAG) -> Option<Self> {
        // SAFETY: a valid tag; the lock belongs to the transaction and ends with it.
        let got = unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock.cast_signed(), false, true) };
        match got {
            pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => None,
            _ => Some(Self::held(tag)),
        }
    }

    pub(super) fn take(tag: pg_sys::LOCKTAG) -> Self {
        // SAFETY: as above; waits, is cancellable and takes part in deadlock detection.
        unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock.cast_signed(), false, false) };
        Self::held(tag)
    }

    /// The same lock, once the subtransaction that took it has been released to the transaction around it.
    pub(super) fn handed_to_transaction(mut self) -> Self {
        // SAFETY: reads a global of the backend.
        self.owner = unsafe { pg_sys::CurTransactionResourceOwner };
        self
    }

    /// Keeps the lock to the end of the transaction.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for TransactionLock {
    fn drop(&mut self) {
        // SAFETY: this transaction holds the lock, since it made this value. LockRelease raises no error, only warnings: it takes the lock
        // from the current resource owner alone.
        unsafe {
            let current = pg_sys::CurrentResourceOwner;
            pg_sys::CurrentResourceOwner = self.owner;
            pg_sys::LockRelease(&self.tag, pg_sys::ExclusiveLock.cast_signed(), false);
            pg_sys::CurrentResourceOwner = current;
        }
    }
}

/// Whoever exchanges the code of this flow. The loser is refused at once. To be kept once the flow is consumed.
pub fn lock_flow_for_exchange(flow: Uuid) -> Result<TransactionLock> {
    TransactionLock::try_take(database_tag(FLOW, flow.as_bytes())).ok_or_else(|| {
        let detail = "Another transaction has begun to exchange this sign-in's code and is not finished.";
        Error::with_detail(ErrorCode::Conflict, detail)
            .hint("A code is exchanged once. Wait for the other call's answer.")
    })
}

/// Whoever asks WorkOS for another organization of this session. The loser is refused at once. To be kept once WorkOS has answered.
pub fn lock_session_for_switch(session: Uuid) -> Result<TransactionLock> {
    TransactionLock::try_take(database_tag(SWITCH, session.as_bytes())).ok_or_else(|| {
        let detail = "Another transaction changes the organization of this session and is not finished.";
        Error::with_detail(ErrorCode::Conflict, detail).hint("Wait for the other call's answer, and try again.")
    })
}

/// One writer at a time for whatever is known under this name (an identity, an e-mail address), until the transaction ends; waits
/// for the other transaction.
fn lock_name(name: &str) {
    TransactionLock::take(database_tag(ACCOUNT, name.as_bytes())).keep();
}

/// One writer at a time for an identity: what `identities.provider` and `identities.provider_id` say. Of several, in their order. Before the
/// locks of addresses.
pub fn lock_identity(provider: &str, provider_id: &str) {
    lock_name(&format!("identity {provider} {provider_id}"));
}

/// One writer at a time for an address, in lower case. Of several, in their order. Before rows are locked.
pub fn lock_email(email: &str) {
    lock_name(&format!("email {email}"));
}

/// Whoever ends a session that was stolen.
pub fn try_lock_theft(session: Uuid) -> Option<TransactionLock> {
    TransactionLock::try_take(database_tag(THEFT, session.as_bytes()))
}

/// Whoever has found a session stolen and waits for its end. The others need not start a worker too.
pub fn try_lock_found_theft(session: Uuid) -> Option<TransactionLock> {
    TransactionLock::try_take(database_tag(THEFT_FOUND, session.as_bytes()))
}

/// One set-up at a time, until the transaction ends; waits for the other transaction.
pub fn lock_setup() {
    // Not keyed: the first set-up makes the key.
    // SAFETY: reads a global of the backend.
    TransactionLock::take(tag(SETUP, unsafe { pg_sys::MyDatabaseId }.to_u32(), 0, 0)).keep();
}

/// Not keyed: that a database has a worker is no secret.
fn worker_tag() -> pg_sys::LOCKTAG {
    // SAFETY: reads a global of the backend.
    tag(WORKER, unsafe { pg_sys::MyDatabaseId }.to_u32(), 0, 0)
}

/// The one background worker of this database, until its process ends; waits for another.
pub fn lock_worker() {
    let is_the_sessions = true;
    // SAFETY: a valid tag; waits, and is cancellable.
    unsafe { pg_sys::LockAcquire(&worker_tag(), pg_sys::ExclusiveLock.cast_signed(), is_the_sessions, false) };
}

/// Whether this database's background worker runs: it holds its lock.
pub fn has_worker() -> bool {
    const SHARED: pg_sys::LOCKMODE = pg_sys::RowShareLock.cast_signed();
    let tag = worker_tag();
    // SAFETY: a valid tag. Several may look at once; what was taken is given up at once.
    unsafe {
        match pg_sys::LockAcquire(&tag, SHARED, false, true) {
            pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => true,
            _ => {
                pg_sys::LockRelease(&tag, SHARED, false);
                false
            }
        }
    }
}

/// A lock that outlives transactions, for work that commits as it goes; given up when dropped.
#[derive(Debug)]
pub struct StandingLock(pg_sys::LOCKTAG);

impl StandingLock {
    fn acquire(tag: pg_sys::LOCKTAG, may_wait: bool) -> Option<Self> {
        let is_the_sessions = true;
        // SAFETY: a valid tag; waits, and is cancellable.
        match unsafe { pg_sys::LockAcquire(&tag, pg_sys::ExclusiveLock.cast_signed(), is_the_sessions, !may_wait) } {
            pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL => None,
            _ => Some(Self(tag)),
        }
    }
}

impl Drop for StandingLock {
    fn drop(&mut self) {
        // SAFETY: this process holds the lock, since it made this value. LockRelease raises no error, only warnings.
        unsafe { pg_sys::LockRelease(&self.0, pg_sys::ExclusiveLock.cast_signed(), true) };
    }
}

/// Whoever brings a page of WorkOS into the mirror, from the request to the commit: what an answer says is not older than what others have
/// applied meanwhile. Waits for another.
pub fn lock_mirror() -> Option<StandingLock> {
    // SAFETY: reads a global of the backend.
    StandingLock::acquire(tag(MIRROR, unsafe { pg_sys::MyDatabaseId }.to_u32(), 0, 0), true)
}

/// Whoever compares the mirror with all that WorkOS has; `None` where another does.
pub fn try_lock_reconciliation() -> Option<StandingLock> {
    // SAFETY: reads a global of the backend.
    StandingLock::acquire(tag(RECONCILIATION, unsafe { pg_sys::MyDatabaseId }.to_u32(), 0, 0), false)
}
