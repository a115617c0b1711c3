//! Everything that happens to sessions, in any order, comes to what the model says.

use workos_auth_core::ErrorCode;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::GINA;
use workos_end_to_end::session_walk::walk;

const STEPS: usize = 3_000;

/// What the walks that are always the same meet, or they show nothing. One by chance may not: some of it is rare.
const MET: &[&str] = &[
    "refresh_token_not_found",
    "refresh_token_already_used",
    "conflict",
    "user_banned",
    "session_expired",
    "session_not_found",
    "session_stale",
    "validation_failed",
];

async fn walk_in(database: &str, seed: u64) -> (Bed<'static>, Vec<String>) {
    // A refresh token that is good, elsewhere.
    let elsewhere = Bed::shared(&format!("{database}_elsewhere")).await;
    let foreign = elsewhere.sign_in(GINA).await.refresh_token;
    let bed = Bed::shared(database).await;
    let said = walk(&bed, &foreign, seed, STEPS).await;
    (bed, said)
}

async fn walk_that_meets_all(database: &str, seed: u64) {
    let (bed, said) = walk_in(database, seed).await;
    for name in MET {
        let code = ErrorCode::ALL.iter().find(|code| code.name() == *name).unwrap();
        let refusal = format!("Refused(\"{}\")", code.sqlstate());
        assert!(said.iter().any(|line| line.contains(&refusal)), "seed {seed}: nothing came to {name}");
    }
    for theft in ["stale", "recoveries"] {
        let sql = format!("select count(*) from auth.audit_log_entries where payload->>'theft' = '{theft}'");
        assert!(bed.count(&sql).await > 0, "seed {seed}: no theft was found by {theft}");
    }
}

#[tokio::test]
async fn a_walk_that_is_always_the_same() {
    walk_that_meets_all("same", 1).await;
}

#[tokio::test]
async fn another_walk_that_is_always_the_same() {
    walk_that_meets_all("same_too", 2).await;
}

#[tokio::test]
async fn a_walk_that_nobody_has_gone_before() {
    walk_in("fresh", fastrand::u64(..)).await;
}
