//! People without WorkOS: what administrators call. Declared in `sql/33_people_without_workos.sql`.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::signing_in::session_record;
use crate::admin::{self, CreateSessionRequest};
use crate::error::or_raise;
use crate::postgres::bare_function::called;
use crate::postgres::jsonb::{Built, Jsonb};
use crate::postgres::once_per_query;
use crate::postgres::record::Record;
use crate::postgres::uuid::{from_postgres, to_postgres};

#[pg_extern(sql = false)]
fn create_user(email: Option<&str>, organization: Option<&str>, user_id: Option<pgrx::Uuid>) -> pgrx::Uuid {
    let id = or_raise(admin::create_user(email, organization, user_id.map(from_postgres)));
    to_postgres(id)
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn create_session(
    user_id: Option<pgrx::Uuid>,
    organization: Option<&str>,
    method: Option<&str>,
    actor: Option<&str>,
    reason: Option<&str>,
    ttl: Option<Interval>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let ttl = ttl.map(|ttl| admin::microseconds(ttl.months(), ttl.days(), ttl.micros()));
    let request =
        CreateSessionRequest { user_id: user_id.map(from_postgres), organization, method, actor, reason, ttl };
    let session = or_raise(once_per_query::answer(fcinfo, &request, || admin::create_session(&request)));
    or_raise(session_record(&session))
}

#[pg_extern(sql = false)]
fn import_supabase(user_row: Option<Jsonb>, identity_rows: Option<Jsonb>) -> pgrx::Uuid {
    to_postgres(or_raise(admin::import_supabase(user_row.as_ref(), identity_rows.as_ref())))
}

#[pg_extern(sql = false)]
fn create_visitor_token(role: Option<&core::ffi::CStr>, ttl: Option<Interval>) -> String {
    let ttl = ttl.map(|ttl| admin::microseconds(ttl.months(), ttl.days(), ttl.micros()));
    or_raise(admin::create_visitor_token(role, ttl)).expose().to_owned()
}

#[pg_extern(sql = false)]
fn as_user(user_id: Option<pgrx::Uuid>, as_role: Option<&core::ffi::CStr>, fcinfo: pg_sys::FunctionCallInfo) -> Built {
    let session = admin::as_user(user_id.map(from_postgres), as_role, called(fcinfo));
    or_raise(session.and_then(|session| session.json().map(Built::new)))
}
