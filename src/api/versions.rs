//! Which version is installed, and what an update script needs. Declared in `sql/21_versions.sql`.

use pgrx::prelude::*;
use workos_auth_core::{Error, Result};

use crate::error::or_raise;
use crate::postgres::extension_script::outside_script;
use crate::postgres::record::Record;
use crate::store::{privileges, scan};

#[pg_extern(sql = false)]
fn version() -> Record {
    Record::default().with(env!("CARGO_PKG_VERSION")).with(scan::sql_version())
}

#[pg_extern(sql = false)]
fn grant_outside_script(statement: Option<&str>) {
    or_raise(grant(statement));
}

fn grant(statement: Option<&str>) -> Result<()> {
    let statement = statement.ok_or_else(|| Error::null("statement"))?;
    if !statement.starts_with("GRANT ") {
        return Err(Error::invalid("statement", "it is no GRANT."));
    }
    outside_script(|| privileges::give(statement))
}
