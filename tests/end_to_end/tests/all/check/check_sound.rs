//! Databases of which `auth.check()` reports nothing: a fresh one, a restored one, the demo's, and the examples'; and a standby.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB};
use workos_end_to_end::check::check;
use workos_testbed::Cluster;

use super::CLUSTER;

/// The value of a string constant in Rust source.
fn constant(source: &str, name: &str) -> String {
    let value = source.split_once(&format!("const {name}: &str = \"")).unwrap().1.split_once("\";").unwrap().0;
    value.replace("\\\"", "\"")
}

#[tokio::test]
async fn a_fresh_database_and_one_that_is_used() {
    let cluster = &*CLUSTER;
    cluster.create_database("sound_empty").await.unwrap();
    let admin = cluster.connect("sound_empty", "postgres").await.unwrap();
    admin.batch_execute("create extension workos_auth").await.unwrap();
    assert_eq!(check(&admin).await, []);
    let bed = Bed::new(cluster, "sound_fresh").await;
    assert_eq!(check(&bed.admin).await, []);
    bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    assert_eq!(check(&bed.admin).await, []);

    let file = cluster.root_key_path().with_file_name("sound.dump");
    let dump =
        cluster.command("pg_dump").args(["--format=custom", "--dbname=sound_fresh", "--file"]).arg(&file).output();
    assert!(dump.unwrap().status.success());
    cluster.create_database("sound_restored").await.unwrap();
    let restore =
        cluster.command("pg_restore").args(["--exit-on-error", "--dbname=sound_restored"]).arg(&file).output();
    assert!(restore.unwrap().status.success());
    let restored = cluster.connect("sound_restored", "postgres").await.unwrap();
    restored.batch_execute("select auth.take_over_installation()").await.unwrap();
    assert_eq!(check(&restored).await, []);
}

#[tokio::test]
async fn the_demo() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "demo").await;
    let setting_up = include_str!("../../../../../demo/src/story/setting_up.rs");
    let todos = include_str!("../../../../../demo/src/story/todos.rs");
    bed.admin.batch_execute(&constant(setting_up, "ROLES")).await.unwrap();
    bed.admin.batch_execute("select auth.grant_sign_in('app')").await.unwrap();
    bed.admin.batch_execute(&constant(todos, "TABLE")).await.unwrap();
    // The check is awake: this is the moment before row-level security is on.
    let findings = check(&bed.admin).await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((&*findings[0].severity, &*findings[0].object), ("error", "public.todos"));
    bed.admin.batch_execute(&constant(todos, "ENABLE")).await.unwrap();
    bed.admin.batch_execute(&constant(todos, "POLICIES")).await.unwrap();
    assert_eq!(check(&bed.admin).await, []);
}

#[tokio::test]
async fn the_examples() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "examples").await;
    let schema = include_str!("../../../../../examples/schema.sql").replace(":\"DBNAME\"", "examples");
    bed.admin.batch_execute(&schema).await.unwrap();
    assert_eq!(check(&bed.admin).await, []);
    // And it is awake.
    bed.admin.batch_execute("alter table todos disable row level security").await.unwrap();
    assert_eq!(check(&bed.admin).await.len(), 1);
}

#[tokio::test]
async fn a_standby_tells_the_same() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "copied").await;
    let standby = primary.start_standby(&["workos_auth.root_key_file = ''"]).unwrap();
    bed.admin.batch_execute("create table open (a int); grant select on open to public").await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let told = check(&standby.connect("copied", "postgres").await.unwrap()).await;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told, check(&bed.admin).await);
}
