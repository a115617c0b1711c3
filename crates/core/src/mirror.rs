//! The mirror of WorkOS: its events, and its objects as events and lists show them. Strict on what somebody's access stands on: ids, states, roles,
//! permissions. Lenient on what a customer types freely: a name must not keep anybody's leaving from being seen.
//!
//! | file | what it reads |
//! |---|---|
//! | `page` | a page of `GET /events` |
//! | `event` | an event, and what it changes |
//! | `organization` | organizations, their domains and connections |
//! | `people` | roles and memberships |
//! | `directory` | directories, their users and groups |
//! | [`lists`] | all that WorkOS has, list after list |
//! | [`follow`] | from where events are asked for |
//! | `reading` | the members of an object |
//! | `moment` | dates |

mod directory;
mod event;
pub mod follow;
pub mod lists;
mod moment;
mod organization;
mod page;
mod people;
mod reading;
#[cfg(test)]
mod tests;

pub use directory::{Directory, DirectoryGroup, DirectoryUser};
pub use event::{Change, EVENTS, Event};
pub use moment::Moment;
pub use organization::{Connection, Domain, Organization};
pub use page::Page;
pub use people::{ACTIVE, Membership, Role};
pub use reading::{Read, Unreadable};
