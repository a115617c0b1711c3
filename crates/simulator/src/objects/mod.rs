//! What WorkOS's answers show, member by member as its OpenAPI file says. Who changes them: `changes`.

pub(crate) mod it_contact;
pub(crate) mod organization;
pub(crate) mod portal;
