//! A copy that takes over, and the original that stops.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, sign_in};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::cluster::SUPERUSER;

use super::{
    BECOME_NEW, CLUSTER, COPY, START, TAKE_OVER, copy, goes_on, is_said_to_be_a_copy, mints_nothing, oid, rows, verify,
};

#[tokio::test]
async fn who_takes_over_goes_on_and_the_other_stops_at_once() {
    let mut bed = Bed::new(&CLUSTER, "first").await;
    let mut alice = bed.sign_in(ALICE).await;
    let second = copy(&mut bed, "second").await;
    let third = copy(&mut bed, "third").await;
    let (first_oid, second_oid) = (oid(&bed.admin).await, oid(&second).await);

    // Open connections of the first: idle, and in transactions that keep their snapshot and hold locks.
    let idle = bed.superuser().await;
    let inside = bed.superuser().await;
    inside
        .batch_execute("begin isolation level repeatable read; select count(*) from pg_db_role_setting, auth.installation, auth.sessions")
        .await
        .unwrap();
    for client in [&bed.admin, &idle, &inside] {
        client.batch_execute(START).await.unwrap();
    }

    // Rolled back, nothing has happened; before it is committed, neither.
    second.batch_execute("begin; select auth.take_over_installation()").await.unwrap();
    second.batch_execute(START).await.unwrap();
    goes_on("first, not committed", &bed.admin, &mut alice).await;
    second.batch_execute("rollback").await.unwrap();
    goes_on("first, rolled back", &bed.admin, &mut alice).await;
    mints_nothing("second, rolled back", &second, &alice).await;

    let before = rows(&bed.admin).await;
    let id = text(&second, TAKE_OVER).await.unwrap();
    assert_eq!(id, text(&bed.admin, "select id from auth.installation").await.unwrap());
    assert_eq!(rows(&bed.admin).await, before);
    refused(inside.batch_execute(START).await, COPY);
    inside.batch_execute("rollback").await.unwrap();
    for client in [&bed.admin, &idle, &inside, &third] {
        let refusal = refused(client.batch_execute(START).await, COPY);
        is_said_to_be_a_copy("taken over", &refusal, client, &format!("\"second\" (OID {second_oid})")).await;
    }
    mints_nothing("first, taken over", &bed.admin, &alice).await;
    verify(&bed.admin, &alice.access_token).await.unwrap();
    let taken = "select payload->'from'->>'database', payload->'from'->>'oid' from auth.audit_log_entries where action = 'installation_taken_over'";
    assert_eq!(lines(&second, taken).await.unwrap(), [format!("first|{first_oid}")]);
    let mut opened = sign_in(&second, ALICE).await;
    goes_on("second", &second, &mut opened).await;

    // Once more does nothing.
    let before = rows(&second).await;
    second.batch_execute(TAKE_OVER).await.unwrap();
    assert_eq!(rows(&second).await, before);

    // And back, and to the third, although what it was copied from is gone.
    bed.admin.batch_execute(TAKE_OVER).await.unwrap();
    goes_on("first, taken back", &bed.admin, &mut alice).await;
    mints_nothing("second, taken back", &second, &alice).await;
    second.batch_execute(TAKE_OVER).await.unwrap();
    goes_on("second again", &second, &mut opened).await;
    let postgres = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    postgres.batch_execute("drop database first with (force)").await.unwrap();
    refused(third.batch_execute(START).await, COPY);
    third.batch_execute(TAKE_OVER).await.unwrap();
    sign_in(&third, ALICE).await;
    mints_nothing("second, taken over by what it has never seen", &second, &opened).await;

    // The other way out is there as well.
    second.batch_execute(BECOME_NEW).await.unwrap();
    sign_in(&second, ALICE).await;
    sign_in(&third, ALICE).await;
}

#[tokio::test]
async fn who_took_over_is_told_of_the_installation_alone() {
    let mut bed = Bed::new(&CLUSTER, "one").await;
    let mut other = Bed::new(&CLUSTER, "another").await;
    let (mut alice, mut bob) = (bed.sign_in(ALICE).await, other.sign_in(BOB).await);
    let (one, another) = (copy(&mut bed, "one_copy").await, copy(&mut other, "another_copy").await);
    // Both at once, in one row of a catalog: the later one waits.
    one.batch_execute("begin; select auth.take_over_installation()").await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let waits =
                "exists (select from pg_stat_activity where datname = 'another_copy' and wait_event_type = 'Lock')";
            bed.until(waits).await;
            one.batch_execute("commit").await
        },
        another.batch_execute(TAKE_OVER)
    );
    first.unwrap();
    second.unwrap();
    goes_on("one", &one, &mut alice).await;
    goes_on("another", &another, &mut bob).await;
    refused(bed.admin.batch_execute(START).await, COPY);
    refused(other.admin.batch_execute(START).await, COPY);
    other.admin.batch_execute(TAKE_OVER).await.unwrap();
    refused(bed.admin.batch_execute(START).await, COPY);
    one.batch_execute(START).await.unwrap();
    refused(another.batch_execute(START).await, COPY);
}
