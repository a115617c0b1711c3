//! What WorkOS's answers show, member by member as its OpenAPI file says. Who changes them: `changes`.

pub(crate) mod directory;
pub(crate) mod it_contact;
pub(crate) mod organization;
pub(crate) mod portal;
pub(crate) mod role;
pub(crate) mod user;
