//! Locks of the lock manager under tags that no SQL function can take: `pg_advisory_lock` uses 1 and 2 in the tag's fourth
//! field, where these have 7 and above. So nobody can hold up a sign-in from SQL, nor take a slot.

use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::settings;

const SLOT: u16 = 7;
const FLOW: u16 = 8;
const ACCOUNT: u16 = 9;
const SETUP: u16 = 10;

fn tag(kind: u16, field1: u32, field2: u32, field3: u32) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: field1,
        locktag_field2: field2,
        locktag_field3: field3,
        locktag_field4: kind,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// A tag of this database, named by the first 64 bits of something random or hashed.
fn database_tag(kind: u16, name: &[u8]) -> pg_sys::LOCKTAG {
    let word = |at: usize| name.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    // SAFETY: reads a global of the backend.
    tag(kind, unsafe { pg_sys::MyDatabaseId }.to_u32(), word(0), word(4))
}

fn try_lock(tag: &pg_sys::LOCKTAG) -> bool {
    // SAFETY: a valid tag; the lock belongs to the transaction and ends with it.
    let got = unsafe { pg_sys::LockAcquire(tag, pg_sys::ExclusiveLock.cast_signed(), false, true) };
    got != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

fn lock(tag: &pg_sys::LOCKTAG) {
    // SAFETY: as above; waits, is cancellable and takes part in deadlock detection.
    unsafe { pg_sys::LockAcquire(tag, pg_sys::ExclusiveLock.cast_signed(), false, false) };
}

/// Whoever exchanges the code of this flow, until the transaction ends. The loser is refused at once.
pub fn exchange(flow: Uuid) -> Result<()> {
    match try_lock(&database_tag(FLOW, flow.as_bytes())) {
        true => Ok(()),
        false => Err(ErrorCode::Conflict.into()),
    }
}

/// One writer at a time for whatever is known under this name (an identity, an e-mail address); waits for the other
/// transaction. `hash` is a cryptographic one, so that nobody can choose names that collide.
pub fn account(hash: &[u8; 32]) {
    lock(&database_tag(ACCOUNT, hash));
}

/// One set-up at a time; waits for the other transaction.
pub fn setup() {
    lock(&database_tag(SETUP, &[]));
}

/// A place among the `workos_auth.max_concurrent_requests` of the cluster; given back when dropped, or by the error's abort.
#[derive(Debug)]
pub struct Slot(u32);

const SLOT_MAGIC: u32 = 0x776f_726b; // "work": keeps clear of other extensions that use the same trick

impl Slot {
    /// Takes a free slot, or is refused at once.
    pub fn take() -> Result<Self> {
        let slots = settings::max_concurrent_requests();
        // Backends begin at different slots, so that they seldom try the same one.
        // SAFETY: reads a global of the backend.
        let first = unsafe { pg_sys::MyProcPid }.unsigned_abs() % slots;
        (0..slots)
            .map(|i| (first + i) % slots)
            .find(|&slot| try_lock(&tag(SLOT, 0, SLOT_MAGIC, slot)))
            .map(Slot)
            .ok_or_else(|| Error::with_detail(ErrorCode::TooManyRequests, format!("All {slots} of them are taken.")))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // While an error unwinds, the abort of the transaction releases the lock.
        if !std::thread::panicking() {
            // SAFETY: this backend holds the lock, since it made the Slot.
            unsafe {
                pg_sys::LockRelease(&tag(SLOT, 0, SLOT_MAGIC, self.0), pg_sys::ExclusiveLock.cast_signed(), false)
            };
        }
    }
}
