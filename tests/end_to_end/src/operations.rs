//! What an operator does to people and organizations, as SQL for an administrator's connection: each in one message.

use uuid::Uuid;

/// Nobody signs in as this user until the ban is lifted, and the sessions end.
pub fn ban(user: Uuid) -> String {
    format!("select auth.ban_user('{user}')")
}

/// Lifts a ban.
pub fn unban(user: Uuid) -> String {
    format!("select auth.unban_user('{user}')")
}

/// Removes a user with everything that hangs on them.
pub fn delete_user(user: Uuid) -> String {
    format!("select auth.delete_user('{user}')")
}

/// Ends a user's sessions.
pub fn revoke_sessions(user: Uuid) -> String {
    format!("select auth.revoke_sessions('{user}')")
}

/// Ends the sessions of an organization.
pub fn revoke_organization(organization: &str) -> String {
    format!("select auth.revoke_organization('{organization}')")
}
