//! What changes at WorkOS, by its API, its dashboard or a customer's identity provider, and the events that tell of it.

pub(crate) mod change;
pub(crate) mod connections;
pub(crate) mod directories;
pub(crate) mod directory_groups;
pub(crate) mod directory_users;
pub(crate) mod it_contacts;
pub(crate) mod memberships;
pub(crate) mod organization_domains;
pub(crate) mod organizations;
mod previous;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod users;
