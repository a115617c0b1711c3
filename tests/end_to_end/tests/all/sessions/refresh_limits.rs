//! How long a session lives, and what ends it although its refresh token is good: each limit by its own name.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, refresh};
use workos_end_to_end::refreshing::refresh_times;
use workos_end_to_end::sql::{refused, refused_as};
use workos_end_to_end::waiting::pass;

#[tokio::test]
async fn each_limit_refuses_by_its_own_name_and_writes_nothing() {
    let bed = Bed::shared("limits").await;
    bed.set("workos_auth.session_idle_timeout", "1h").await;
    let app = bed.backend().await;
    let session = refresh_times(&app, &bed.sign_in(ALICE).await, 1).await;
    let id = session.session_id;
    let reset = format!(
        "update auth.users set banned_until = null, deleted_at = null;
         update auth.sessions set not_after = now() + interval '1 day', refreshed_at = now(), created_at = now(), recovered_at = null
         where id = '{id}'"
    );
    // In the order in which they are looked at: each case has all that come after it, too.
    let cases = [
        (
            "update auth.sessions set refreshed_at = now() - interval '61 min', created_at = now() - interval '2 h'",
            "session_idle",
        ),
        ("update auth.sessions set not_after = now()", "session_expired"),
        ("update auth.sessions set not_after = '-infinity'", "session_expired"),
        ("update auth.users set banned_until = now() + interval '1 min'", "user_banned"),
        ("update auth.users set banned_until = 'infinity'", "user_banned"),
        ("update auth.users set deleted_at = now()", "user_deleted"),
    ];
    bed.admin.batch_execute(&reset).await.unwrap();
    for (change, name) in cases {
        bed.admin.batch_execute(change).await.unwrap();
        let row = bed.session_row(id).await;
        for _ in 0..2 {
            refused(refresh(&app, &session.refresh_token).await, name);
        }
        assert_eq!(bed.session_row(id).await, row, "{change}");
    }
    // None of them ends the session: lifted, it goes on.
    bed.admin.batch_execute(&reset).await.unwrap();
    refresh(&app, &session.refresh_token).await.unwrap();

    // On the near side of each.
    let session = bed.sign_in(ALICE).await;
    bed.admin
        .batch_execute(
            "update auth.users set banned_until = now() - interval '1 s';
             update auth.sessions set not_after = now() + interval '2 min', created_at = now() - interval '59 min'",
        )
        .await
        .unwrap();
    let next = refresh(&app, &session.refresh_token).await.unwrap();
    // The access token does not outlive its session.
    let sql = "select $1::timestamptz <= not_after and $1::timestamptz > not_after - interval '2 s' from auth.sessions where id = $2";
    assert!(bed.admin.query_one(sql, &[&next.expires_at, &next.session_id]).await.unwrap().get::<_, bool>(0));
    // A sign of life that was no rotation counts as one.
    bed.admin
        .batch_execute(
            "update auth.sessions set refreshed_at = now() - interval '2 h', recovered_at = now() - interval '5 min'",
        )
        .await
        .unwrap();
    refresh(&app, &next.refresh_token).await.unwrap();
    // No end at all.
    bed.admin.batch_execute("update auth.sessions set not_after = null").await.unwrap();
    let session = bed.sign_in(ANNA).await;
    bed.admin.batch_execute("update auth.sessions set not_after = 'infinity'").await.unwrap();
    refresh(&app, &session.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_limit_is_no_theft_and_a_thief_gets_no_more_from_one() {
    let bed = Bed::shared("limit_no_theft").await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    refresh_times(&app, &session, 2).await;
    bed.age(session.session_id).await;
    bed.admin.batch_execute("update auth.sessions set not_after = now()").await.unwrap();
    refused(refresh(&app, &session.refresh_token).await, "session_expired");
    assert!(bed.is_alive(session.session_id).await);
    bed.admin.batch_execute("update auth.sessions set not_after = null").await.unwrap();
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
    assert!(!bed.is_alive(session.session_id).await);
}

#[tokio::test]
async fn session_ttl_counts_from_the_sign_in_and_for_new_sessions() {
    let bed = Bed::shared("ttl").await;
    let old = bed.sign_in(ALICE).await;
    bed.set("workos_auth.session_ttl", "2s").await;
    let admin = bed.superuser().await;
    let short = workos_end_to_end::sign_in(&admin, ALICE).await;
    let next = refresh(&admin, &short.refresh_token).await.unwrap();
    assert!(next.expires_at <= short.expires_at, "a refresh does not prolong a session");
    pass(next.claims["exp"].as_i64().unwrap()).await;
    refused(refresh(&admin, &next.refresh_token).await, "session_expired");
    refused(admin.query("select auth.verify_token($1)", &[&next.access_token]).await, "bad_jwt_expired");
    refresh(&admin, &old.refresh_token).await.unwrap();
}

#[tokio::test]
async fn one_session_a_person_is_the_newest_that_could_be_used() {
    let bed = Bed::shared("single").await;
    let first = bed.sign_in(ALICE).await;
    let second = bed.sign_in(ALICE).await;
    let anna = bed.sign_in(ANNA).await;
    let third = bed.sign_in(ALICE).await;
    // Off: all of them.
    for session in [&first, &second, &third, &anna] {
        refresh(&bed.admin, &session.refresh_token).await.unwrap();
    }

    bed.set("workos_auth.single_session_per_user", "on").await;
    bed.set("workos_auth.session_idle_timeout", "1h").await;
    let app = bed.backend().await;
    for session in [&first, &second] {
        let row = bed.session_row(session.session_id).await;
        refused(refresh(&app, &session.refresh_token).await, "session_superseded");
        assert_eq!(bed.session_row(session.session_id).await, row);
    }
    for session in [&third, &anna] {
        refresh(&app, &session.refresh_token).await.unwrap();
    }
    // Neither an end that has come, nor one by idleness, nor somebody who acts as the person is a newer session of theirs.
    let third = third.session_id;
    for (change, back) in [
        ("not_after = now() - interval '1 s'", "not_after = null"),
        (
            "created_at = created_at + interval '0', refreshed_at = now() - interval '2 h', recovered_at = now() - interval '2 h'",
            "refreshed_at = now()",
        ),
        ("actor = 'support@example.com'", "actor = null"),
    ] {
        let set = format!("update auth.sessions set {change} where id = '{third}'");
        let old = "update auth.sessions set created_at = created_at - interval '3 h', refreshed_at = now()";
        bed.admin.batch_execute(&format!("{old}; {set}")).await.unwrap();
        refused(refresh(&app, &first.refresh_token).await, "session_superseded");
        refresh(&app, &second.refresh_token).await.unwrap();
        bed.admin.batch_execute(&format!("update auth.sessions set {back} where id = '{third}'")).await.unwrap();
        refused(refresh(&app, &second.refresh_token).await, "session_superseded");
    }
    // Signed out, it is none.
    bed.admin.execute("delete from auth.sessions where id = $1", &[&third]).await.unwrap();
    refresh(&app, &second.refresh_token).await.unwrap();
}

/// Ids are random, so that the first of two would win half of the time.
#[tokio::test]
async fn the_newer_of_two_sessions_of_the_same_second_is_the_one() {
    let bed = Bed::shared("same_second").await;
    bed.set("workos_auth.single_session_per_user", "on").await;
    let app = bed.backend().await;
    for _ in 0..12 {
        let older = bed.sign_in(ALICE).await;
        let newer = bed.sign_in(ALICE).await;
        refused(refresh(&app, &older.refresh_token).await, "session_superseded");
        refresh(&app, &newer.refresh_token).await.unwrap();
    }
    // At the very same moment, which a hand or one transaction can bring about, one of them is it.
    let (one, two) = (bed.sign_in(ANNA).await, bed.sign_in(ANNA).await);
    bed.admin.batch_execute("update auth.sessions set created_at = '2026-01-01'").await.unwrap();
    let mut outcomes = Vec::new();
    for session in [one, two] {
        outcomes.push(match refresh(&app, &session.refresh_token).await {
            Ok(_) => "good",
            Err(error) => {
                refused(Err::<(), _>(error), "session_superseded");
                "superseded"
            }
        });
    }
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["good", "superseded"]);
}

#[tokio::test]
async fn only_a_superuser_changes_the_limits() {
    let bed = Bed::shared("limits_settings").await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    refresh(&app, &session.refresh_token).await.unwrap();
    for setting in ["session_ttl", "session_idle_timeout", "refresh_reuse_interval", "single_session_per_user"] {
        refused_as(app.batch_execute(&format!("set workos_auth.{setting} = 1")).await, "42501");
    }
    for (setting, value) in [("session_idle_timeout", "-1"), ("refresh_reuse_interval", "'2h'"), ("session_ttl", "0")] {
        refused_as(bed.admin.batch_execute(&format!("set workos_auth.{setting} = {value}")).await, "22023");
    }
}
