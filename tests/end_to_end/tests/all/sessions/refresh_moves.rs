//! Refreshing after the database has moved: a dump that was restored, an older state, a standby that took over.

use serde_json::json;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, refresh};
use workos_end_to_end::refreshing::{counter, refresh_times};
use workos_end_to_end::sql::{refused, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

#[tokio::test]
async fn after_dump_and_restore_beside_the_root_key_everybody_goes_on() {
    let bed = Bed::shared("before_the_dump").await;
    let app = bed.backend().await;
    let alice = refresh_times(&app, &bed.sign_in(ALICE).await, 3).await;
    let anna = refresh_times(&app, &bed.sign_in(ANNA).await, 3).await;
    let file = bed.cluster.root_key_path().with_file_name("refresh.dump");
    let dump =
        bed.cluster.command("pg_dump").args(["--format=custom", "--file"]).arg(&file).arg(&bed.database).output();
    let dump = dump.unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    // What the dump does not have: Anna refreshed since.
    let newer = refresh_times(&app, &anna, 2).await;

    let database = bed.named("DATABASE_restored");
    bed.cluster.create_database(&database).await.unwrap();
    let restore =
        bed.cluster.command("pg_restore").args(["--exit-on-error", "--dbname", &database]).arg(&file).output();
    let restore = restore.unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let admin = bed.cluster.connect(&database, SUPERUSER).await.unwrap();
    admin.batch_execute("select auth.take_over_installation()").await.unwrap();
    let workos = workos_testbed::Workos::start().unwrap();
    let restored = Bed { cluster: bed.cluster, workos, database, admin };
    // The rights came along.
    let app = restored.connect(&bed.named("DATABASE_backend")).await;
    let next = refresh(&app, &alice.refresh_token).await.unwrap();
    assert_eq!((next.session_id, counter(&next.refresh_token)), (alice.session_id, 4));
    app.query_one("select auth.verify_token($1)", &[&next.access_token]).await.unwrap();

    // A counter ahead of the row is believed and goes on from there; the log has it.
    let accepted = refresh(&app, &newer.refresh_token).await.unwrap();
    assert_eq!(counter(&accepted.refresh_token), 6);
    let payload = json!({ "presented": 5, "current": 3, "recoveries": null });
    assert_eq!(restored.audited("token_history_lost", anna.session_id).await, [payload]);
    assert_eq!(refresh(&app, &newer.refresh_token).await.unwrap().refresh_token, accepted.refresh_token);
    // From here on, what is ancient is found as ever, and never gets the newest.
    restored.age(anna.session_id).await;
    refused(refresh(&app, &anna.refresh_token).await, "refresh_token_already_used");
    refused(refresh(&app, &accepted.refresh_token).await, "refresh_token_not_found");
    // The theft there is none here.
    assert!(bed.is_alive(newer.session_id).await);

    // The same state with a restore over it: an ancient token never yields a current one.
    let ancient = alice.refresh_token;
    let current = refresh_times(&app, &next, 5).await;
    restored.age(alice.session_id).await;
    refused(refresh(&app, &ancient).await, "refresh_token_already_used");
    refused(refresh(&app, &current.refresh_token).await, "refresh_token_not_found");
}

#[tokio::test]
async fn on_a_standby_that_took_over_and_lost_commits_everybody_goes_on() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "moving").await;
    let app = bed.backend().await;
    let alice = refresh_times(&app, &bed.sign_in(ALICE).await, 2).await;
    let anna = refresh_times(&app, &bed.sign_in(ANNA).await, 2).await;
    let standby = primary.start_standby(&["workos_auth.root_key_file = ''"]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();

    // Before anything else is looked at, and nothing is written there or here.
    let there = standby.connect("moving", "moving_backend").await.unwrap();
    let row = bed.session_row(alice.session_id).await;
    for token in [Some(alice.refresh_token.as_str()), Some("garbage"), Some(""), None] {
        let refusal = refused(there.query("select auth.refresh_session($1)", &[&token]).await, "read_only");
        assert!(refusal.detail.contains("standby") && refusal.hint.contains("primary"), "{refusal}");
        app.batch_execute("begin read only").await.unwrap();
        let refusal = refused(app.query("select auth.refresh_session($1)", &[&token]).await, "read_only");
        assert!(refusal.hint.contains("READ WRITE"), "{refusal}");
        app.batch_execute("rollback").await.unwrap();
    }
    assert_eq!(bed.session_row(alice.session_id).await, row);
    let sql = "select count(*) from pg_stat_activity where backend_type = 'workos_auth'";
    assert_eq!(text(&bed.admin, sql).await.unwrap().as_deref(), Some("0"));

    // The standby hears no more, and then takes over.
    let admin = standby.connect("moving", SUPERUSER).await.unwrap();
    admin.batch_execute("alter system set primary_conninfo = ''").await.unwrap();
    standby.reload().await.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while text(&admin, "select count(*) from pg_stat_wal_receiver").await.unwrap().as_deref() != Some("0") {
        assert!(std::time::Instant::now() < deadline, "it listens still");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let lost = refresh_times(&app, &alice, 3).await;
    assert_eq!(text(&admin, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    // Without the root key it says so, and nothing happens.
    refused(refresh(&there, &anna.refresh_token).await, "root_key_required");
    let key = primary.root_key_path().display().to_string();
    standby.append_conf(&format!("workos_auth.root_key_file = '{key}'")).unwrap();
    standby.reload().await.unwrap();
    let there = standby.connect("moving", "moving_backend").await.unwrap();
    assert_eq!(counter(&refresh(&there, &anna.refresh_token).await.unwrap().refresh_token), 3);
    let next = refresh(&there, &lost.refresh_token).await.unwrap();
    assert_eq!(counter(&next.refresh_token), 6);
    there.query_one("select auth.verify_token($1)", &[&next.access_token]).await.unwrap();

    // A thief is found there as well.
    let sql = "update auth.sessions set refreshed_at = refreshed_at - interval '1 min'";
    admin.batch_execute(sql).await.unwrap();
    refused(refresh(&there, &alice.refresh_token).await, "refresh_token_already_used");
    refused(refresh(&there, &next.refresh_token).await, "refresh_token_not_found");
    let sql = "select count(*) from auth.audit_log_entries where action in ('token_theft', 'token_history_lost')";
    assert_eq!(text(&admin, sql).await.unwrap().as_deref(), Some("2"));
}
