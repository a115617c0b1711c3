//! The mirror of WorkOS. Declared in `sql/25_workos_mirror.sql`.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use crate::error::or_raise;
use crate::mirror;
use crate::postgres::jsonb::Jsonb;

#[pg_extern(sql = false)]
fn apply_events(page: Option<Jsonb>, after: Option<&str>) -> i64 {
    or_raise(mirror::apply_events(page, after))
}

#[pg_extern(sql = false)]
fn skip_event(id: Option<&str>) -> bool {
    or_raise(mirror::skip_event(id))
}

#[pg_extern(sql = false)]
fn mirror_age() -> Option<Interval> {
    mirror::age().map(|age| Interval::from_seconds(age.as_secs_f64()))
}
