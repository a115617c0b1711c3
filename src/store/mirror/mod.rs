//! What WorkOS knows of customers and their people, as its events and lists tell it.
//!
//! | file | tables |
//! |---|---|
//! | `following.rs` | `workos_sync_state`, `workos_events`: how far this database has followed |
//! | `organizations.rs` | `organizations`, `organization_domains`, `connections` |
//! | `people.rs` | `roles`, `workos_memberships` |
//! | `directories.rs` | `directories`, `directory_users` |
//! | `belonging.rs` | `directory_users`: who each is here |
//! | `groups.rs` | `directory_groups`, `directory_group_members` |
//!
//! Writing what is older than what is there writes nothing, and so does writing what was removed: `workos_removals` has the ids.

pub mod belonging;
pub mod directories;
pub mod following;
pub mod groups;
pub mod organizations;
pub mod people;

use pgrx::datum::DatumWithOid;
use workos_auth_core::Result;
use workos_auth_core::mirror::Moment;

use super::query;
use crate::postgres::clock;

/// Remembers that WorkOS has removed something, by its id.
pub fn remember_removal(id: &str) -> Result<()> {
    query::execute("INSERT INTO auth.workos_removals (id) VALUES ($1) ON CONFLICT DO NOTHING", &[id.into()]).map(drop)
}

fn timestamp<'a>(moment: Moment) -> Result<DatumWithOid<'a>> {
    clock::timestamp_of_micros(moment.0).map(Into::into)
}
