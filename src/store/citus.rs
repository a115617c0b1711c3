//! What Citus has noted of this database.

use workos_auth_core::Result;

use super::query;

/// Whether Citus has spread tables over its nodes.
pub fn has_spread_tables() -> Result<bool> {
    let is_here = "SELECT pg_catalog.to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";
    let are_there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition)";
    Ok(holds(is_here)? && holds(are_there)?)
}

fn holds(question: &'static str) -> Result<bool> {
    Ok(query::catalog_rows(question, &[], |row| row.get::<bool>(1))? == [true])
}
