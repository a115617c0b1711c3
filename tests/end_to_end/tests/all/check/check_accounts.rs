//! `auth.check()` of accounts: a connection whose people become new accounts at every sign-in.

use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::check::{Finding, check};
use workos_end_to_end::sql::{lines, text};

async fn found(at: &Accounts) -> Vec<Finding> {
    let all = check(&at.bed.admin).await;
    all.into_iter().filter(|row| row.finding.contains("another id at each sign-in")).collect()
}

#[tokio::test]
async fn an_identity_provider_that_gives_another_id_each_time() {
    let at = Accounts::new("unstable", &[]).await;
    // Two successors at one address are people who came and went, and so are many at many.
    for (number, email) in [(1, "ann"), (2, "ann"), (3, "ann"), (4, "bea"), (5, "bea"), (6, "cem"), (7, "cem")] {
        let id = number.to_string();
        at.signs_in(&format!("prof_{id}"), OKTA, &format!("{email}@initech.com"), &id).await;
        // The simulator picks people by their address.
        at.put(&format!("prof_{id}"), OKTA, &format!("{id}@gone.example"), &id);
    }
    assert_eq!(found(&at).await, []);
    at.signs_in("prof_8", OKTA, "ann@initech.com", "8").await;
    let rows = found(&at).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&*rows[0].severity, &*rows[0].object), ("warning", OKTA));
    assert!(rows[0].finding.contains(": 1 of their addresses"), "{rows:?}");
    let by_hand = text(&at.bed.admin, &rows[0].remedy).await.unwrap().unwrap();
    assert!(by_hand.contains(OKTA) && by_hand.contains("auth.merge_users"), "{by_hand}");

    // Another connection's people are its own; what is over for a week is no news.
    at.signs_in("prof_9", GOOGLE, "dee@initech.com", "9").await;
    at.admin("update auth.audit_log_entries set created_at = created_at - interval '8 days'").await;
    assert_eq!(found(&at).await, []);
    at.admin("update auth.audit_log_entries set created_at = created_at + interval '2 days'").await;
    assert_eq!(found(&at).await.len(), 1);
}

/// However long the log is, the question reads its own entries alone.
#[tokio::test]
async fn the_question_goes_by_an_index() {
    let at = Accounts::new("indexed", &[]).await;
    at.admin("insert into auth.audit_log_entries (action) select 'login' from generate_series(1, 20000); analyze auth.audit_log_entries").await;
    let client = at.bed.superuser().await;
    client.batch_execute("begin; select from auth.check_facts()").await.unwrap();
    let read = "select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relid = 'auth.audit_log_entries'::regclass";
    let read: Vec<String> = lines(&client, read).await.unwrap();
    assert!(read[0].parse::<i64>().unwrap() < 100, "{read:?} rows were read");
    client.batch_execute("rollback").await.unwrap();
}
