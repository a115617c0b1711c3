//! The mirror of WorkOS: what its events and lists tell is written down, and what follows is done in the same transaction. What they say is read
//! by `core::mirror`. WorkOS is asked by `sync.rs` and `reconcile.rs` alone, in transactions of their own.
//!
//! | file | to change |
//! |---|---|
//! | `apply.rs` | `auth.apply_events`: pages, the cursor, which event leads where |
//! | `organizations.rs` | organizations, domains, connections |
//! | `people.rs` | roles, memberships, users and sessions of AuthKit |
//! | `directories.rs` | directories, their users and groups |
//! | `leaving.rs` | what becomes of somebody who has left |
//! | `sync.rs`, `source.rs` | `auth.sync_workos`; the pages of WorkOS |
//! | `reconcile.rs` | `auth.reconcile_workos` |
//! | `webhook.rs` | `auth.receive_webhook`, `auth.set_webhook_secret` |
//! | `follow.rs` | whether the background worker is to follow |
//! | `standing.rs` | whether somebody who signs in has left, and how old the mirror is |

mod apply;
mod directories;
mod follow;
mod leaving;
mod organizations;
mod people;
pub mod reconcile;
mod source;
mod standing;
pub mod sync;
pub mod webhook;

pub use apply::{apply_events, skip_event};
pub use follow::{is_followed, is_reconciliation_due};
pub use standing::{
    age, await_removal, claim, grant_roles, granted, refuse_departed, refuse_overdue, refuse_removed,
    refuse_removed_subject, refuse_subject_of_session,
};
