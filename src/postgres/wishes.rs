//! What any backend tells the background worker of its database: that somebody wishes something done sooner.
//!
//! It stands in shared memory, since whoever wishes may be about to fail, and its transaction with it. That is there where the library is
//! preloaded by the server, as it is wherever there is such a worker.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use pgrx::PgAtomic;
use pgrx::prelude::*;

/// How many workers there may be.
pub const PLACES: usize = 64;

/// Of each worker: its database, its process, and whether somebody wishes something.
type Places = ([AtomicU32; PLACES], [AtomicI32; PLACES], [AtomicBool; PLACES]);

// SAFETY: the name is ours.
static WISHES: PgAtomic<Places> = unsafe { PgAtomic::new(c"workos_auth wishes") };

/// Whether the memory is there. Set before any backend is forked.
static IS_THERE: AtomicBool = AtomicBool::new(false);

/// Asks for the memory. Called from `_PG_init` while the server loads its libraries.
#[expect(unexpected_cfgs, reason = "pgrx's macro asks for versions that this extension is not written for")]
pub fn define() {
    pgrx::pg_shmem_init!(
        WISHES = (
            [const { AtomicU32::new(0) }; PLACES],
            [const { AtomicI32::new(0) }; PLACES],
            [const { AtomicBool::new(false) }; PLACES],
        )
    );
    IS_THERE.store(true, Ordering::Relaxed);
}

/// The worker of this place works in this process's database.
pub fn claim(place: usize) {
    let (databases, processes, _) = WISHES.get();
    // SAFETY: reads globals of the backend.
    let (database, process) = unsafe { (pg_sys::MyDatabaseId, pg_sys::MyProcPid) };
    if let (Some(of), Some(by)) = (databases.get(place), processes.get(place)) {
        by.store(process, Ordering::Relaxed);
        of.store(database.to_u32(), Ordering::Release);
    }
}

/// Has the worker of this database, if there is one, do what it does at a wish. Raises nothing.
pub fn wish() {
    if !IS_THERE.load(Ordering::Relaxed) {
        return;
    }
    let (databases, processes, wishes) = WISHES.get();
    // SAFETY: reads a global of the backend.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    for ((of, by), wish) in databases.iter().zip(processes).zip(wishes) {
        // Whoever comes after the first wakes nobody.
        if of.load(Ordering::Acquire) == database && !wish.swap(true, Ordering::Relaxed) {
            // SAFETY: NULL where there is no such backend any more; an entry is never freed, and a latch may be set for nothing.
            unsafe {
                let process = pg_sys::BackendPidGetProc(by.load(Ordering::Relaxed));
                if !process.is_null() {
                    pg_sys::SetLatch(&raw mut (*process).procLatch);
                }
            }
        }
    }
}

/// Whether somebody wishes something of the worker of this place.
pub fn is_wished(place: usize) -> bool {
    WISHES.get().2.get(place).is_some_and(|wish| wish.load(Ordering::Relaxed))
}

/// The worker of this place does it now. Whoever comes later wishes it again.
pub fn hear(place: usize) {
    if let Some(wish) = WISHES.get().2.get(place) {
        wish.store(false, Ordering::Relaxed);
    }
}
