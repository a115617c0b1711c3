//! Operating: what administrators call about people, organizations and what is over. Declared in `sql/32_operating.sql`.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::admin::{self, joining, operating};
use crate::error::or_raise;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the SQL function")]
fn find_user(
    email: Option<&str>,
    organization: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(user_id, pgrx::Uuid),
        name!(email, Option<String>),
        name!(organization_ids, Vec<String>),
        name!(identity_ids, Vec<pgrx::Uuid>),
        name!(identity_emails, Vec<String>),
        name!(banned_until, Option<TimestampWithTimeZone>),
        name!(deleted_at, Option<TimestampWithTimeZone>),
        name!(last_sign_in_at, Option<TimestampWithTimeZone>),
        name!(created_at, TimestampWithTimeZone),
    ),
> {
    TableIterator::new(or_raise(admin::find_user(email, organization)).into_iter().map(|user| {
        (
            user.user_id,
            user.email,
            user.organization_ids,
            user.identity_ids,
            user.identity_emails,
            user.banned_until,
            user.deleted_at,
            user.last_sign_in_at,
            user.created_at,
        )
    }))
}

#[pg_extern(sql = false)]
fn ban_user(user_id: Option<pgrx::Uuid>, until: Option<TimestampWithTimeZone>) -> i64 {
    or_raise(operating::ban(user_id, until))
}

#[pg_extern(sql = false)]
fn unban_user(user_id: Option<pgrx::Uuid>) -> i64 {
    or_raise(operating::unban(user_id))
}

#[pg_extern(sql = false)]
fn revoke_sessions(user_id: Option<pgrx::Uuid>) -> i64 {
    or_raise(operating::revoke_sessions(user_id))
}

#[pg_extern(sql = false)]
fn revoke_session(session_id: Option<pgrx::Uuid>) -> i64 {
    or_raise(operating::revoke_session(session_id))
}

#[pg_extern(sql = false)]
fn revoke_issuer_session(issuer: Option<&str>, sid: Option<&str>) -> i64 {
    or_raise(operating::revoke_issuer_session(issuer, sid))
}

#[pg_extern(sql = false)]
fn revoke_organization(organization: Option<&str>) -> i64 {
    or_raise(operating::revoke_organization(organization))
}

#[pg_extern(sql = false)]
fn require_sso(organization: Option<&str>, required: Option<bool>) -> i64 {
    or_raise(operating::require_sso(organization, required))
}

#[pg_extern(sql = false)]
fn delete_user(user_id: Option<pgrx::Uuid>) -> i64 {
    or_raise(operating::delete(user_id))
}

#[pg_extern(sql = false)]
fn remove_member(user_id: Option<pgrx::Uuid>, organization: Option<&str>) -> i64 {
    or_raise(operating::remove_member(user_id, organization))
}

#[pg_extern(sql = false)]
fn move_identity(identity_id: Option<pgrx::Uuid>, organization: Option<&str>) {
    or_raise(joining::move_identity(identity_id, organization));
}

#[pg_extern(sql = false)]
fn merge_users(from_user: Option<pgrx::Uuid>, into_user: Option<pgrx::Uuid>) {
    or_raise(joining::merge_users(from_user, into_user));
}

#[pg_extern(sql = false)]
fn remove_orphans() -> i64 {
    or_raise(operating::remove_orphans())
}

#[pg_extern(sql = false)]
fn cleanup(batch: Option<i32>) -> i64 {
    or_raise(operating::cleanup(batch))
}
