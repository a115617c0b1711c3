//! How the mirror of WorkOS is kept. Declared in `sql/26_workos_sync.sql`.

use pgrx::prelude::*;

use crate::error::or_raise;
use crate::mirror::{reconcile, sync, webhook};
use crate::postgres::procedure::Transactions;

#[pg_extern(sql = false)]
fn sync_workos(max_pages: Option<i32>, fcinfo: pg_sys::FunctionCallInfo) {
    or_raise(Transactions::of_call(fcinfo).and_then(|transactions| sync::sync(&transactions, max_pages)));
}

#[pg_extern(sql = false)]
fn reconcile_workos(organization: Option<&str>, fcinfo: pg_sys::FunctionCallInfo) {
    let organization = organization.map(str::to_owned);
    let outcome = Transactions::of_call(fcinfo)
        .and_then(|transactions| reconcile::reconcile(&transactions, organization.as_deref()));
    if or_raise(outcome).is_none() {
        notice!("the tables are being compared with WorkOS already");
    }
}

#[pg_extern(sql = false)]
fn set_webhook_secret(secret: Option<&str>) {
    or_raise(webhook::set_secret(secret));
}

#[pg_extern(sql = false)]
fn receive_webhook(body: Option<&str>, signature: Option<&str>) -> &'static str {
    or_raise(webhook::receive(body, signature)).as_str()
}
