//! What `pg_stat_activity` says that a backend waits for.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::AtomicU32;

use pgrx::prelude::*;

/// A wait event of ours. Postgres has names for those from version 17 on; before, all are `Extension`.
pub struct WaitEvent {
    name: &'static CStr,
    id: OnceCell<u32>,
}

impl WaitEvent {
    /// One of this name.
    pub const fn new(name: &'static CStr) -> Self {
        Self { name, id: OnceCell::new() }
    }

    /// Postgres's number for it.
    pub fn id(&self) -> u32 {
        *self.id.get_or_init(|| registered(self.name))
    }

    /// Shows the event while the value lives, and over what Postgres itself would show meanwhile, such as waiting for a lock.
    pub fn show(&self) -> Shown {
        let event = self.id();
        // SAFETY: `my_wait_event_info` points to a word that is this backend's own. The other word is static.
        unsafe {
            let word = pg_sys::my_wait_event_info;
            ptr::write_volatile(word, event);
            pg_sys::pgstat_set_wait_event_storage(UNSEEN.as_ptr());
            Shown { word }
        }
    }
}

/// Where Postgres notes what nobody is to see.
static UNSEEN: AtomicU32 = AtomicU32::new(0);

/// An event is shown.
pub struct Shown {
    word: *mut u32,
}

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: the word that `show` found, in shared memory or in the backend's own.
        unsafe {
            pg_sys::pgstat_set_wait_event_storage(self.word);
            ptr::write_volatile(self.word, 0);
        }
    }
}

#[cfg(any(feature = "pg15", feature = "pg16"))]
fn registered(_: &CStr) -> u32 {
    pg_sys::PG_WAIT_EXTENSION
}

/// A cluster has room for so many names. Where others have taken all of it, ours is `Extension`.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
fn registered(name: &'static CStr) -> u32 {
    use super::transaction::in_subtransaction;

    // SAFETY: the name is a C string; the same name has the same number in every backend.
    in_subtransaction(|| Ok(unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) }))
        .unwrap_or(pg_sys::PG_WAIT_EXTENSION)
}
