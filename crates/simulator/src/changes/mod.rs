//! What changes at WorkOS, by its API, its dashboard or a customer's identity provider.

pub(crate) mod it_contacts;
pub(crate) mod organization_domains;
pub(crate) mod organizations;
