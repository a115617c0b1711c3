//! What only moved is no copy: a restore elsewhere, a standby that takes over, pg_upgrade.

use futures_util::future::join_all;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, refresh, sign_in};
use workos_end_to_end::case;
use workos_end_to_end::check::check;
use workos_end_to_end::dumps::{bring_root_key, run};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

use super::{
    BECOME_NEW, CLUSTER, COPY, HERE, HOME, START, TAKE_OVER, copy, dump, goes_on, is_said_to_be_a_copy, mints_nothing,
    oid, restore,
};

#[tokio::test]
async fn a_dump_goes_on_elsewhere_and_beside_its_original_it_is_a_copy() {
    let bed = Bed::new(&CLUSTER, "dumped").await;
    let mut alice = bed.sign_in(ALICE).await;
    let file = dump(&bed);

    let beside = restore(bed.cluster, &file, "dumped_beside", &[]).await;
    mints_nothing("beside the original", &beside, &alice).await;
    let lives_in = format!("\"dumped\" (OID {})", oid(&bed.admin).await);
    is_said_to_be_a_copy("beside", &refused(beside.batch_execute(START).await, COPY), &beside, &lives_in).await;
    goes_on("the original", &bed.admin, &mut alice).await;

    // Elsewhere it goes on, and a copy that is made before its first token is one.
    let elsewhere = Cluster::start().unwrap();
    let first = Bed::new(&elsewhere, "elsewhere").await;
    bring_root_key(bed.cluster, &elsewhere).await;
    let restored = restore(&elsewhere, &file, "restored", &[]).await;
    assert_eq!(lines(&restored, HOME).await.unwrap(), lines(&restored, HERE).await.unwrap());
    drop(restored);
    let mut restored = Bed { database: "restored".to_owned(), ..first };
    let copied = copy(&mut restored, "restored_copy").await;
    let there = refresh(&restored.admin, &alice.refresh_token).await.unwrap();
    sign_in(&restored.admin, ALICE).await;
    mints_nothing("a copy of what was restored", &copied, &there).await;
    // A restore that says it is a replica, too: the trigger is enabled always.
    elsewhere.create_database("as_replica").await.unwrap();
    let mut command = elsewhere.command("pg_restore");
    command.env("PGOPTIONS", "-c session_replication_role=replica");
    command.args(["--exit-on-error", "--dbname=as_replica"]).arg(&file);
    run(command);
    let replica = elsewhere.connect("as_replica", SUPERUSER).await.unwrap();
    assert_eq!(lines(&replica, HOME).await.unwrap(), lines(&replica, HERE).await.unwrap());
    // One that leaves triggers out is settled by its first token.
    elsewhere.create_database("bare").await.unwrap();
    let bare = restore(&elsewhere, &file, "bare", &["--section=pre-data"]).await;
    bare.batch_execute("alter table auth.installation disable trigger all").await.unwrap();
    let bare = restore(&elsewhere, &file, "bare", &["--section=data", "--section=post-data"]).await;
    let kept = lines(&bare, HOME).await.unwrap();
    assert_ne!(kept, lines(&bare, HERE).await.unwrap(), "the trigger was not left out");
    bare.batch_execute("update auth.installation set database_oid = 999999999").await.unwrap();
    refresh(&bare, &alice.refresh_token).await.unwrap();
    assert_eq!(lines(&bare, HOME).await.unwrap(), lines(&bare, HERE).await.unwrap());
}

#[tokio::test]
async fn the_first_tokens_after_a_move_wait_for_nobody() {
    let bed = Bed::new(&CLUSTER, "moved_home").await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(bed.sign_in(ALICE).await);
    }
    // As pg_upgrade leaves it: the same OID in another cluster.
    let moved = "update auth.installation set system_identifier = system_identifier # 1";
    for level in ["read committed", "repeatable read", "serializable"] {
        bed.admin.batch_execute(moved).await.unwrap();
        // Somebody has settled it, and takes their time to commit.
        let slow = bed.superuser().await;
        slow.batch_execute(&format!("begin; select auth.create_session('{}')", sessions[0].user_id)).await.unwrap();
        let mut clients = Vec::new();
        for _ in &sessions {
            let client = bed.superuser().await;
            let begin = format!(
                "set statement_timeout = '10s'; begin isolation level {level}; select count(*) from auth.users"
            );
            client.batch_execute(&begin).await.unwrap();
            clients.push(client);
        }
        let first = clients.iter().zip(&sessions).map(async |(client, session)| {
            let refreshed = refresh(client, &session.refresh_token).await;
            refreshed.unwrap_or_else(|error| panic!("{level}, beside who has not committed: {error:?}"))
        });
        join_all(first).await;
        for client in &clients {
            client.batch_execute("rollback").await.unwrap();
        }
        slow.batch_execute("rollback").await.unwrap();
        assert_ne!(lines(&bed.admin, HOME).await.unwrap(), lines(&bed.admin, HERE).await.unwrap(), "{level}");

        // All at once; whoever keeps a snapshot may have to run again, once.
        for client in &clients {
            client
                .batch_execute(&format!("begin isolation level {level}; select count(*) from auth.users"))
                .await
                .unwrap();
        }
        let at_once = clients.iter().zip(&sessions).map(async |(client, session)| {
            let mut again = 0;
            loop {
                let refreshed = refresh(client, &session.refresh_token).await;
                let ended = client.batch_execute(if refreshed.is_ok() { "commit" } else { "rollback" }).await;
                match refreshed.and_then(|session| ended.map(|()| session)) {
                    Ok(session) => return (session, again),
                    Err(error) => {
                        assert_eq!(error.code().map(|code| code.code()), Some("40001"), "{level}: {error:?}");
                        assert!(level != "read committed" && again < 3, "{level}: {error:?}");
                        again += 1;
                        client.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
                    }
                }
            }
        });
        let refreshed = join_all(at_once).await;
        sessions = refreshed.into_iter().map(|(session, _)| session).collect();
        assert_eq!(lines(&bed.admin, HOME).await.unwrap(), lines(&bed.admin, HERE).await.unwrap(), "{level}");
    }
    // Taking over what has only moved says no more than that.
    bed.admin.batch_execute(moved).await.unwrap();
    let before = bed.count("select count(*) from auth.audit_log_entries").await;
    bed.admin.batch_execute(TAKE_OVER).await.unwrap();
    assert_eq!(lines(&bed.admin, HOME).await.unwrap(), lines(&bed.admin, HERE).await.unwrap());
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries").await, before);
}

#[tokio::test]
async fn a_standby_refuses_both_calls_and_goes_on_when_it_takes_over() {
    let primary = Cluster::start().unwrap();
    let mut bed = Bed::new(&primary, "upstream").await;
    let mut alice = bed.sign_in(ALICE).await;
    let copied = copy(&mut bed, "upstream_copy").await;
    let standby = primary.start_standby(&[]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let follower = standby.connect("upstream", SUPERUSER).await.unwrap();
    let copy_there = standby.connect("upstream_copy", SUPERUSER).await.unwrap();
    for client in [&follower, &copy_there] {
        for call in [BECOME_NEW, TAKE_OVER, START] {
            case!(call);
            assert_eq!(refused(client.batch_execute(call).await, "read_only").sqlstate, "25006");
        }
    }
    let found = async |client| check(client).await.into_iter().filter(|row| row.object == "auth.installation").count();
    assert_eq!((found(&follower).await, found(&copy_there).await), (0, 1));

    let home = lines(&bed.admin, HOME).await.unwrap();
    assert_eq!(text(&follower, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    goes_on("promoted", &follower, &mut alice).await;
    assert_eq!(lines(&follower, HOME).await.unwrap(), home);
    mints_nothing("a copy, promoted", &copy_there, &alice).await;
    // What is taken over there is nothing to the primary, which is another server by now.
    copy_there.batch_execute(TAKE_OVER).await.unwrap();
    refused(follower.batch_execute(START).await, COPY);
    bed.admin.batch_execute(START).await.unwrap();
    refused(copied.batch_execute(START).await, COPY);
}

#[tokio::test]
async fn pg_upgrade_goes_on_with_what_lives_and_with_no_copy() {
    let mut cluster = Cluster::start().unwrap();
    let mut alice = {
        let mut bed = Bed::new(&cluster, "upgraded").await;
        let alice = bed.sign_in(ALICE).await;
        let staging = copy(&mut bed, "upgraded_staging").await;
        let taker = copy(&mut bed, "upgraded_taker").await;
        taker.batch_execute(TAKE_OVER).await.unwrap();
        let loser = copy(&mut bed, "upgraded_loser").await;
        for client in [&bed.admin, &staging, &loser] {
            refused(client.batch_execute(START).await, COPY);
        }
        alice
    };
    let system = "select system_identifier from pg_control_system()";
    let before = text(&cluster.connect("postgres", SUPERUSER).await.unwrap(), system).await.unwrap();
    cluster.upgrade().await.unwrap();

    let taker = cluster.connect("upgraded_taker", SUPERUSER).await.unwrap();
    assert_ne!(text(&taker, system).await.unwrap(), before, "it is the same cluster");
    assert_ne!(lines(&taker, HOME).await.unwrap(), lines(&taker, HERE).await.unwrap());
    goes_on("what had taken over", &taker, &mut alice).await;
    assert_eq!(lines(&taker, HOME).await.unwrap(), lines(&taker, HERE).await.unwrap());
    for database in ["upgraded", "upgraded_staging", "upgraded_loser"] {
        let client = cluster.connect(database, SUPERUSER).await.unwrap();
        mints_nothing(database, &client, &alice).await;
    }
    // And the way back is there.
    let first = cluster.connect("upgraded", SUPERUSER).await.unwrap();
    first.batch_execute(TAKE_OVER).await.unwrap();
    first.batch_execute(START).await.unwrap();
    refused(taker.batch_execute(START).await, COPY);
}
