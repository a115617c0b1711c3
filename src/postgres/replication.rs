//! Logical replication, as the processes see it that apply what a subscription brings.

use pgrx::prelude::*;

/// The beginning of `Subscription` (pg_subscription.h).
#[repr(C)]
struct Subscription {
    oid: pg_sys::Oid,
}

unsafe extern "C" {
    /// The subscription that this process applies or copies for, or NULL (worker_internal.h).
    #[link_name = "MySubscription"]
    static MY_SUBSCRIPTION: *const Subscription;
}

/// `pg_subscription.oid` of the subscription whose changes this process applies.
pub fn subscription() -> Option<pg_sys::Oid> {
    // SAFETY: a global of the process; NULL but in the processes of logical replication, which keep it as long as they run.
    unsafe { MY_SUBSCRIPTION.as_ref() }.map(|subscription| subscription.oid)
}
