//! What an operator does to people and organizations, as SQL for a superuser's connection: each in one message, and so in one
//! transaction, or in one that is open.

use uuid::Uuid;

/// Nobody signs in as this user until the ban is lifted, and the sessions end.
pub fn ban(user: Uuid) -> String {
    format!("update auth.users set banned_until = 'infinity' where id = '{user}'; {}", revoke_sessions(user))
}

/// Lifts a ban.
pub fn unban(user: Uuid) -> String {
    format!("update auth.users set banned_until = null where id = '{user}'")
}

/// Removes a user with everything that hangs on them.
pub fn delete_user(user: Uuid) -> String {
    let lock = format!("select from auth.users where id = '{user}' for update");
    format!("{lock}; {}; delete from auth.users where id = '{user}'", revoke_sessions(user))
}

/// Ends a user's sessions.
pub fn revoke_sessions(user: Uuid) -> String {
    end_sessions(&format!("user_id = '{user}'"))
}

/// Ends the sessions of an organization.
pub fn revoke_organization(organization: &str) -> String {
    end_sessions(&format!("organization_id = '{organization}'"))
}

/// In the order of their ids, so that two who end several never wait for each other.
fn end_sessions(which: &str) -> String {
    format!(
        "delete from auth.sessions
         where id = any (array(select id from auth.sessions where {which} order by id for update))"
    )
}
