//! The mirror of WorkOS: what its events and lists tell is written down, and what follows is done in the same transaction. What they say is read
//! by `core::mirror`; nothing here asks WorkOS.
//!
//! | file | to change |
//! |---|---|
//! | `apply.rs` | `auth.apply_events`: pages, the cursor, which event leads where |
//! | `organizations.rs` | organizations, domains, connections |
//! | `people.rs` | roles, memberships, users and sessions of AuthKit |
//! | `directories.rs` | directories, their users and groups |
//! | `leaving.rs` | what becomes of somebody who has left |
//! | `standing.rs` | whether somebody who signs in has left, and how old the mirror is |

mod apply;
mod directories;
mod leaving;
mod organizations;
mod people;
mod standing;

pub use apply::{apply_change, apply_events, apply_webhook_event, begin, skip_event};
pub use standing::{
    age, claim, grant_roles, granted, refuse_overdue, refuse_removed, refuse_removed_profile, refuse_removed_subject,
};
