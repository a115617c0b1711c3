//! One's own account: what everyone may call about themselves. Declared in `sql/42_own_account.sql`.

use pgrx::datum::Inet;
use pgrx::prelude::*;

use crate::authkit_sessions;
use crate::error::or_raise;
use crate::own_account;
use crate::postgres::jsonb::{Built, Jsonb};

#[pg_extern(sql = false)]
fn get_user() -> Built {
    or_raise(own_account::get())
}

#[pg_extern(sql = false)]
fn get_user_of(access_token: Option<&str>) -> Built {
    or_raise(own_account::get_of(access_token))
}

#[pg_extern(sql = false)]
fn update_user(access_token: Option<&str>, user_metadata: Option<Jsonb>) -> Built {
    or_raise(own_account::update(access_token, user_metadata.as_ref()))
}

#[pg_extern(sql = false)]
fn sign_out(access_token: Option<&str>, scope: Option<&str>) -> i64 {
    or_raise(own_account::sign_out(access_token, scope))
}

#[pg_extern(sql = false)]
fn sign_out_of_workos(access_token: Option<&str>, scope: Option<&str>) -> i64 {
    or_raise(authkit_sessions::sign_out(access_token, scope))
}

#[pg_extern(sql = false)]
fn workos_logout_url(access_token: Option<&str>, return_to: Option<&str>) -> Option<String> {
    or_raise(authkit_sessions::logout_url(access_token, return_to))
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the SQL function")]
fn my_sessions(
    access_token: Option<&str>,
) -> TableIterator<
    'static,
    (
        name!(id, pgrx::Uuid),
        name!(created_at, TimestampWithTimeZone),
        name!(refreshed_at, Option<TimestampWithTimeZone>),
        name!(not_after, Option<TimestampWithTimeZone>),
        name!(ip, Option<Inet>),
        name!(user_agent, Option<String>),
        name!(organization_id, Option<String>),
        name!(connection_id, Option<String>),
        name!(is_current, bool),
    ),
> {
    TableIterator::new(or_raise(own_account::sessions(access_token)).into_iter().map(|session| {
        (
            session.id,
            session.created_at,
            session.refreshed_at,
            session.not_after,
            session.ip,
            session.user_agent,
            session.organization_id,
            session.connection_id,
            session.is_current,
        )
    }))
}
