//! `installation`: which one this database is, and where it lives. Beside it, in a catalog that every database of the cluster sees, where
//! those live that were taken over.

use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::installation::Place;
use workos_auth_core::{Result, random};

use super::{query, scan, spi, uuid_arg};
use crate::postgres::snapshot::Snapshot;

/// Random bytes that the names of locks are keyed with.
pub type LockKey = [u8; 32];

/// The row of `auth.installation`.
pub struct InstallationRow {
    /// which installation it is
    pub id: Uuid,
    /// where it lives; absent where the row came without it
    pub home: Option<Place>,
}

/// The row, if there is one yet.
pub fn row() -> Option<InstallationRow> {
    scan::installation(|row| {
        let home = place(row.get(c"system_identifier"), row.get(c"database_oid"));
        Some(InstallationRow { id: row.uuid(c"id")?, home })
    })
}

/// Which installation it is. The first set-up of a database names it.
pub fn id_or_new() -> Result<Uuid> {
    match scan::installation_id() {
        Some(id) => Ok(id),
        None => {
            let id = random::uuid()?;
            insert(id, here(), &random::bytes()?)?;
            Ok(id)
        }
    }
}

fn insert(id: Uuid, home: Place, lock_key: &LockKey) -> Result<()> {
    query::execute(
        "INSERT INTO auth.installation (id, system_identifier, database_oid, lock_key) VALUES ($1, $2, $3, $4)",
        &[uuid_arg(id), system(home).into(), database(home).into(), lock_key.as_slice().into()],
    )
    .map(drop)
}

/// It is another installation from now on.
pub fn rename(id: Uuid, home: Place, lock_key: &LockKey) -> Result<()> {
    // A key that others may reference: what follows from the change is theirs, as what follows from a removal is.
    query::execute(
"UPDATE auth.installation SET id = $1, system_identifier = $2, database_oid = $3, lock_key = $4, created_at = pg_catalog.now()",
        &[uuid_arg(id), system(home).into(), database(home).into(), lock_key.as_slice().into()],
    )
    .map(drop)
}

/// It lives here from now on. Waits for nobody: whoever holds the row writes the same.
pub fn settle(home: Place) -> Result<()> {
    query::execute(
        "UPDATE auth.installation SET system_identifier = $1, database_oid = $2 WHERE singleton OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT singleton FROM auth.installation FOR NO KEY UPDATE SKIP LOCKED))",
        &[system(home).into(), database(home).into()],
    )
    .map(drop)
}

/// It lives here from now on, whoever else wrote otherwise.
pub fn move_to(home: Place) -> Result<()> {
    query::execute(
        "UPDATE auth.installation SET system_identifier = $1, database_oid = $2",
        &[system(home).into(), database(home).into()],
    )
    .map(drop)
}

/// Nobody signs in, is signed in or refreshes from now on, until the transaction ends. Waits for those who do; readers go on.
pub fn shut_out_sign_ins() -> Result<()> {
    spi::utility("LOCK TABLE auth.flow_states, auth.sessions IN SHARE ROW EXCLUSIVE MODE")
}

/// Tells the other databases of the cluster where an installation lives since it was taken over. With the rights of the caller, who must
/// be a superuser.
pub fn announce(id: Uuid, home: Place) -> Result<()> {
    // SAFETY: looks a constant name up, and takes a lock on the role that conflicts with itself alone. It is held to the end of the
    // transaction, so that nobody writes over what another database has added.
    unsafe {
        let owner = pg_sys::get_role_oid(c"workos_auth_owner".as_ptr(), false);
        let lock = pg_sys::ShareUpdateExclusiveLock.cast_signed();
        pg_sys::LockSharedObject(pg_sys::AuthIdRelationId, owner, 0, lock);
    }
    let mut homes = scan::homes(Some(&Snapshot::now()));
    homes.set(id, home);
    // Its text has hexadecimal digits, `-`, `@`, `/` and `,` alone.
    let statement = format!("ALTER ROLE workos_auth_owner SET workos_auth.installation_homes = '{homes}'");
    spi::utility(&statement)
}

/// Where this database is.
pub fn here() -> Place {
    // SAFETY: read the control data in shared memory and a global of the backend.
    unsafe { Place { system: pg_sys::GetSystemIdentifier(), database: pg_sys::MyDatabaseId.to_u32() } }
}

/// The name of a database of the cluster, if there is one of this OID.
pub fn database_name(oid: u32) -> Option<String> {
    // SAFETY: a catalog look-up; NULL for none.
    unsafe {
        let name = pg_sys::get_database_name(pg_sys::Oid::from(oid));
        (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_string_lossy().into_owned())
    }
}

/// As it stands in the columns `system_identifier` and `database_oid`. Postgres shows system identifiers as signed numbers.
pub fn place(system: Option<i64>, database: Option<i64>) -> Option<Place> {
    Some(Place { system: system?.cast_unsigned(), database: u32::try_from(database?).ok()? })
}

/// What stands in the column `system_identifier`.
pub fn system(home: Place) -> i64 {
    home.system.cast_signed()
}

/// What stands in the column `database_oid`.
pub fn database(home: Place) -> i64 {
    i64::from(home.database)
}
