//! How soon a change is seen by connections that have a session open: a sign-out, a retired key, another issuer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::Cluster;

async fn bed(name: &str) -> Bed<'static> {
    Bed::new(Cluster::shared().unwrap(), name).await
}

/// Has every query that may run in a parallel worker run in one.
async fn force_parallel(client: &Client) {
    let version: i32 = text(client, "show server_version_num").await.unwrap().unwrap().parse().unwrap();
    let (setting, value) =
        if version < 160_000 { ("force_parallel_mode", "on") } else { ("debug_parallel_query", "on") };
    let plan = "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0; set max_parallel_workers_per_gather = 2";
    client.batch_execute(&format!("set {setting} = {value}; {plan}")).await.unwrap();
}

#[tokio::test]
async fn a_sign_out_is_seen_in_the_next_statement_of_any_transaction() {
    let bed = bed("seen").await;
    let app = bed.role("app", "").await;
    let (reader, other) = (bed.connect(&app).await, bed.connect(&app).await);
    for isolation in ["read committed", "repeatable read", "serializable", "serializable read only deferrable"] {
        for parallel in [false, true] {
            if parallel {
                force_parallel(&reader).await;
            }
            let session = bed.sign_in(ALICE).await;
            set_session(&reader, &session.access_token, false).await.unwrap();
            set_session(&other, &session.access_token, false).await.unwrap();
            reader.batch_execute(&format!("begin isolation level {isolation}")).await.unwrap();
            // The snapshot is taken, the token verified and remembered.
            assert_eq!(text(&reader, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()));
            other.batch_execute("select auth.sign_out('local')").await.unwrap();
            refused(reader.batch_execute("select auth.uid()").await, "session_not_found");
            reader.batch_execute("rollback").await.unwrap();
            for readers in
                ["auth.jwt()", "auth.has_role('admin')", "auth.verify_token(current_setting('no.such', true))"]
            {
                let error = reader.batch_execute(&format!("select {readers}")).await;
                assert!(error.is_err(), "{isolation}: {readers}");
            }
        }
        reader.batch_execute("reset all").await.unwrap();
    }
}

#[tokio::test]
async fn workers_answer_as_the_leader_does_and_see_a_sign_out() {
    let bed = bed("workers").await;
    let app = bed.role("app", "").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    bed.admin.batch_execute(&format!("
        create table todos (id int, owner uuid, organization text);
        insert into todos select i, case when i % 4 = 0 then '{}'::uuid when i % 4 = 1 then '{}'::uuid end, 'org_acme' from generate_series(1, 40000) i;
        alter table todos enable row level security;
        create policy own on todos using (owner = auth.uid() and auth.has_role('admin'));
        grant select on todos to {app}; analyze todos", alice.user_id, bob.user_id)).await.unwrap();
    let reader = bed.connect(&app).await;
    let readers = "select auth.uid(), auth.role(), auth.email(), auth.session_id(), auth.organization_id(), auth.connection_id(),
        md5(auth.jwt()::text), auth.has_role('admin', 'org_acme'), auth.in_group('admins', null), md5(auth.jwks()::text)";
    let count = "select count(*), count(distinct owner), min(owner::text) from todos";
    for session in [&alice, &bob] {
        reader.batch_execute("reset all").await.unwrap();
        set_session(&reader, &session.access_token, false).await.unwrap();
        let (alone, rows) = (lines(&reader, readers).await.unwrap(), lines(&reader, count).await.unwrap());
        assert_eq!(rows, [format!("10000|1|{}", session.user_id)]);
        force_parallel(&reader).await;
        for query in [readers, count] {
            let plan = lines(&reader, &format!("explain (analyze, costs off) {query}")).await.unwrap().join("\n");
            let launched = plan.split("Workers Launched: ").nth(1).and_then(|rest| rest.lines().next());
            assert!(launched.is_some_and(|workers| workers != "0"), "no worker ran:\n{plan}");
        }
        assert_eq!(lines(&reader, readers).await.unwrap(), alone);
        assert_eq!(lines(&reader, count).await.unwrap(), rows);
    }
    reader.batch_execute("begin isolation level repeatable read").await.unwrap();
    assert_eq!(lines(&reader, count).await.unwrap(), [format!("10000|1|{}", bob.user_id)]);
    let other = bed.connect(&app).await;
    set_session(&other, &bob.access_token, false).await.unwrap();
    other.batch_execute("select auth.sign_out()").await.unwrap();
    refused(reader.batch_execute(count).await, "session_not_found");
    reader.batch_execute("rollback").await.unwrap();
    // A token that is bad in a worker is as bad as one in the leader.
    reader.batch_execute("set workos_auth.session_token = 'bad'").await.unwrap();
    refused(reader.batch_execute(count).await, "bad_jwt");
}

#[tokio::test]
async fn a_retired_key_is_refused_in_open_connections() {
    let bed = bed("retired").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let (reader, idle) = (bed.connect(&app).await, bed.connect(&app).await);
    for client in [&reader, &idle] {
        set_session(client, &session.access_token, false).await.unwrap();
        client.batch_execute("select auth.uid()").await.unwrap();
    }
    let good = async |client: &Client| {
        assert_eq!(text(client, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()))
    };
    let keys = "select jsonb_array_length(auth.jwks()->'keys')";
    assert_eq!(text(&reader, keys).await.unwrap().as_deref(), Some("1"));

    bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();
    for client in [&reader, &idle] {
        refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
        refused(client.query("select auth.verify_token($1)", &[&session.access_token]).await, "bad_jwt_key");
        assert_eq!(text(client, keys).await.unwrap().as_deref(), Some("0"));
    }
    bed.admin.batch_execute("update auth.signing_keys set status = 'retiring'").await.unwrap();
    good(&reader).await;

    // An uncommitted change is nobody else's, and a rolled back one nobody's.
    bed.admin.batch_execute("begin; update auth.signing_keys set status = 'retired'").await.unwrap();
    good(&reader).await;
    bed.admin.batch_execute("rollback").await.unwrap();
    good(&reader).await;

    // In a transaction that began before, too; and afterwards it is not forgotten again.
    bed.set("workos_auth.check_sessions", "off").await;
    let unchecked = bed.connect(&app).await;
    set_session(&unchecked, &session.access_token, false).await.unwrap();
    for client in [&reader, &unchecked] {
        for isolation in ["read committed", "repeatable read", "serializable"] {
            client.batch_execute(&format!("begin isolation level {isolation}")).await.unwrap();
            good(client).await;
            bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();
            refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
            client.batch_execute("rollback").await.unwrap();
            refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
            bed.admin.batch_execute("update auth.signing_keys set status = 'active'").await.unwrap();
            good(client).await;
        }
    }
    bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();

    // Replication's way of applying changes fires the trigger too.
    bed.admin.batch_execute("set session_replication_role = replica; update auth.signing_keys set status = 'active'; reset session_replication_role").await.unwrap();
    good(&reader).await;
    bed.admin.batch_execute("create table kept as table auth.signing_keys; truncate auth.signing_keys").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "bad_jwt_key");
    bed.admin.batch_execute("insert into auth.signing_keys table kept").await.unwrap();
    good(&reader).await;
    good(&idle).await;
    bed.admin.batch_execute("delete from auth.signing_keys").await.unwrap();
    refused(idle.batch_execute("select auth.uid()").await, "bad_jwt_key");
}

#[tokio::test]
async fn another_issuer_and_an_emptied_table_are_seen_in_open_connections() {
    let bed = bed("issuers").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let reader = bed.connect(&app).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    reader.batch_execute("select auth.uid()").await.unwrap();
    let known = text(&bed.admin, "select id from auth.installation").await.unwrap().unwrap();
    bed.admin.batch_execute("update auth.installation set id = gen_random_uuid()").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "bad_jwt_issuer");
    bed.admin.batch_execute(&format!("update auth.installation set id = '{known}'")).await.unwrap();
    reader.batch_execute("select auth.uid()").await.unwrap();
    bed.admin.batch_execute("truncate auth.sessions").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "session_not_found");

    // A deleted user, and a claim that has changed.
    let session = bed.sign_in(ALICE).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    bed.admin.batch_execute("update auth.sessions set claims_version = claims_version + 1").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "session_stale");
    bed.admin.batch_execute("delete from auth.users").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "session_not_found");
}

#[tokio::test]
async fn without_session_checks_a_token_is_good_until_it_expires() {
    let bed = bed("unchecked").await;
    let app = bed.role("app", "").await;
    bed.set("workos_auth.access_token_ttl", "2s").await;
    let backend = bed.backend().await;
    let short = workos_end_to_end::bed::sign_in(&backend, ALICE).await;
    bed.admin.batch_execute("alter database unchecked reset workos_auth.access_token_ttl").await.unwrap();
    let session = bed.sign_in(ALICE).await;
    bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
    let verify = "select auth.verify_token($1)";
    let checking = bed.connect(&app).await;
    refused(checking.query(verify, &[&session.access_token]).await, "session_not_found");
    bed.set("workos_auth.check_sessions", "off").await;
    let client = bed.connect(&app).await;
    client.query(verify, &[&session.access_token]).await.unwrap();
    set_session(&client, &session.access_token, false).await.unwrap();
    assert_eq!(text(&client, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()));
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    refused(client.query(verify, &[&short.access_token]).await, "bad_jwt_expired");
}
