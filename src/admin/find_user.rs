//! Finds people by their address.

use workos_auth_core::accounts::fold_email;
use workos_auth_core::{Error, Result};

use crate::store::users::{self, FoundUser};

/// `auth.find_user`
pub fn find_user(email: Option<&str>, organization: Option<&str>) -> Result<Vec<FoundUser>> {
    let email = email.ok_or_else(|| Error::null("email"))?;
    users::find(&fold_email(email), organization)
}
