//! One's own account: what everyone may call about themselves. Declared in `sql/42_own_account.sql`.

use pgrx::prelude::*;

use crate::error::or_raise;
use crate::json::{Built, Jsonb};
use crate::own_account;

#[pg_extern(sql = false)]
fn get_user() -> Built {
    or_raise(own_account::get())
}

#[pg_extern(sql = false)]
fn get_user_of(access_token: Option<&str>) -> Built {
    or_raise(own_account::get_of(access_token))
}

#[pg_extern(sql = false)]
fn update_user(user_metadata: Option<Jsonb>) -> Built {
    or_raise(own_account::update(user_metadata.as_ref()))
}
