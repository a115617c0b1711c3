//! WorkOS's REST API, as far as it needs an API key. The routes are in `server`.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod it_contacts;
pub(crate) mod organization_domains;
pub(crate) mod organizations;
pub(crate) mod page;
pub(crate) mod portal;
