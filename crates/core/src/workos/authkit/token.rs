//! What WorkOS's access token says of a session.

use crate::error::{ErrorCode, Result};
use crate::jsonb::Members;
use crate::token::reading::{act_sub, as_date, as_text, list_or_empty, object, required, text_of, text_or_none, typed};
use crate::token::{Parts, take_apart};
use crate::workos_id;

/// A token of a person's session.
pub(super) struct SessionToken {
    /// `sub`, `user_…`
    pub subject: String,
    /// `sid`, `session_…`
    pub session_id: String,
    /// `org_id`
    pub organization_id: Option<String>,
    /// `auth_time`; tokens from before July 2026 have none.
    pub auth_time: Option<i64>,
    /// `iat`
    pub issued_at: Option<i64>,
    /// `role`, which a template of the dashboard may have written over.
    pub role: Option<String>,
    /// `roles`
    pub roles: Vec<String>,
    /// `permissions`
    pub permissions: Vec<String>,
    /// `act.sub`
    pub actor: Option<String>,
}

/// Reads a token that has come from WorkOS itself. The error is half a sentence, which shows nothing of the token.
pub(super) fn read(token: &str, client_id: &str) -> std::result::Result<SessionToken, String> {
    let payload =
        payload(token).map_err(|error| error.detail().unwrap_or_default().trim_end_matches('.').to_owned())?;
    let claims = object(&payload, "payload").map_err(|_| "its payload is not a JSON object".to_owned())?;
    let read = claims_of(&claims);
    let read = read.map_err(|error| error.detail().unwrap_or_default().trim_end_matches('.').to_owned())?;
    // Tokens of agents, widgets and machines are signed with the same key: WorkOS's Python SDK tells them apart so.
    let kind = |name: &str| text_or_none(claims.get(name), name).map_err(|_| format!("its {name} is not a string"));
    if kind("sub_profile")?.is_some_and(|profile| profile != "user") || claims.get("sub_type").is_some() {
        return Err("it is not of a person's session".to_owned());
    }
    if !read.subject.starts_with("user_") {
        return Err("its sub does not begin with user_".to_owned());
    }
    if kind("client_id")?.is_some_and(|of| of != client_id) {
        return Err("it is of another client".to_owned());
    }
    for (name, id) in
        [("sub", Some(&read.subject)), ("sid", Some(&read.session_id)), ("org_id", read.organization_id.as_ref())]
    {
        if let Some(id) = id {
            workos_id::check(id).map_err(|why| format!("its {name} {why}"))?;
        }
    }
    Ok(read)
}

fn payload(token: &str) -> Result<String> {
    let Parts { payload, .. } = take_apart(token)?;
    text_of(payload, "payload")
}

fn claims_of(claims: &Members<'_>) -> Result<SessionToken> {
    let get = |name: &str| claims.get(name);
    Ok(SessionToken {
        subject: required(get("sub").map(as_text), "sub")?,
        session_id: required(get("sid").map(as_text), "sid")?,
        organization_id: text_or_none(get("org_id"), "org_id")?,
        auth_time: typed(get("auth_time").map(as_date), "auth_time")?,
        issued_at: typed(get("iat").map(as_date), "iat")?,
        role: text_or_none(get("role"), "role")?,
        roles: list_or_empty(get("roles"), "roles")?,
        permissions: list_or_empty(get("permissions"), "permissions")?,
        actor: match get("act") {
            None => None,
            Some(_) => Some(act_sub(claims).filter(|actor| !actor.is_empty()).ok_or(ErrorCode::BadJwt)?),
        },
    })
}
