//! The background worker of a database, which needs no scheduler: it cleans up, and fetches the keys of trusted issuers.
//!
//! | file | to change |
//! |---|---|
//! | `tasks.rs` | what it does, and how often |
//! | `rounds.rs` | how it does one after the other, and what becomes of failures |
//!
//! When what is due is decided in `core::worker`. Postgres starts a worker where the server is no standby, or is one no more; it starts one
//! again that has ended, and ends it with the server. A server has no worker but for the databases that `workos_auth.worker_databases` names.

mod rounds;
mod tasks;

use std::ffi::CStr;
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;

use crate::postgres::background::{self, Database};
use crate::postgres::setting::{self, Lifetime};
use crate::postgres::wishes;
use crate::settings;
use crate::store::locks;

/// How long Postgres leaves a worker alone that has ended, such as one whose database is not there.
const RESTART: Duration = Duration::from_secs(10);

/// Has Postgres start the workers. Called last, from `_PG_init`, and does nothing where no server begins, or one that pg_upgrade fills.
pub fn register() {
    // SAFETY: globals of the process.
    if unsafe { !pg_sys::process_shared_preload_libraries_in_progress || pg_sys::IsBinaryUpgrade } {
        return;
    }
    wishes::define();
    for (place, database) in (0_i32..).zip(settings::worker_databases()) {
        BackgroundWorkerBuilder::new(&format!("workos_auth worker: {database}"))
            .set_type("workos_auth worker")
            .set_library("workos_auth")
            .set_function("workos_auth_worker")
            .set_argument(place.into_datum())
            .set_restart_time(Some(RESTART))
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .load();
    }
}

/// Whether the worker of this database runs; `None` where there is to be none.
pub fn runs() -> Option<bool> {
    // SAFETY: a global, and a look-up of the name of the database that this process is in, or of NULL.
    let (is_standby, name) = unsafe {
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        let name = if name.is_null() { None } else { CStr::from_ptr(name).to_str().ok() };
        (pg_sys::RecoveryInProgress(), name)
    };
    let is_named = name.is_some_and(|name| settings::worker_databases().iter().any(|named| named == name));
    (is_named && !is_standby).then(locks::has_worker)
}

/// The worker. It ends with its process.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn workos_auth_worker(place: pg_sys::Datum) {
    let place = place.value();
    let databases = settings::worker_databases();
    let Some(database) = databases.get(place) else { return };
    background::begin(Database::Name(database));
    setting::set_as_superuser(c"application_name", c"workos_auth worker", Lifetime::Session);
    BackgroundWorker::transaction(locks::lock_worker);
    wishes::claim(place);
    rounds::work(place);
}
