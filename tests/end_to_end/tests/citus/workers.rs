//! What a worker believes, and for how long.

use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::server_major;

use crate::nodes::Nodes;

const WHO: &str = "select auth.uid()";

/// Connections between nodes are kept, for other clients.
#[tokio::test]
async fn no_token_outlives_its_transaction_on_a_connection_between_nodes() {
    let nodes = Nodes::new("worker_outlives").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.catch_up().await;
    let (alices, bobs) = (&alice.access_token, &bob.access_token);
    let (alice, bob) = (Some(alice.user_id.to_string()), Some(bob.user_id.to_string()));
    let node = nodes.as_node(0).await;
    let session = format!("set workos_auth.session_token = '{alices}'");
    let local = |token: &str| format!("set local workos_auth.session_token = '{token}'");

    node.batch_execute(&session).await.unwrap();
    assert_eq!(text(&node, WHO).await.unwrap(), None);
    // Read in its own transaction, and then in others.
    node.batch_execute(&format!("begin; {session}")).await.unwrap();
    assert_eq!(text(&node, WHO).await.unwrap(), alice);
    node.batch_execute("commit").await.unwrap();
    assert_eq!(text(&node, WHO).await.unwrap(), None);
    for end in ["commit", "rollback", "prepare transaction 'worker_outlives'"] {
        // What was set for the session comes back at the end of what was local.
        node.batch_execute(&format!("begin; {session}; {}", local(bobs))).await.unwrap();
        assert_eq!(text(&node, WHO).await.unwrap(), bob, "{end}");
        node.batch_execute(end).await.unwrap();
        assert_eq!(text(&node, WHO).await.unwrap(), None, "{end}");
        node.batch_execute("begin").await.unwrap();
        assert_eq!(text(&node, WHO).await.unwrap(), None, "{end}");
        // Nor does a savepoint bring it back.
        node.batch_execute(&format!("savepoint s; {}; rollback to s", local(bobs))).await.unwrap();
        assert_eq!(text(&node, WHO).await.unwrap(), None, "{end}");
        node.batch_execute("rollback").await.unwrap();
    }
    node.batch_execute("rollback prepared 'worker_outlives'").await.unwrap();
    // Within a transaction a savepoint means what it means.
    node.batch_execute(&format!("begin; {}; savepoint s; {}", local(alices), local(bobs))).await.unwrap();
    assert_eq!(text(&node, WHO).await.unwrap(), bob);
    node.batch_execute("rollback to s").await.unwrap();
    assert_eq!(text(&node, WHO).await.unwrap(), alice);
    // And parallel workers are whoever leads them.
    let force = if server_major().unwrap() >= 16 { "debug_parallel_query" } else { "force_parallel_mode" };
    let parallel =
        format!("set local {force} = on; set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0");
    node.batch_execute(&parallel).await.unwrap();
    let row = "select auth.uid() from (select count(*) from pg_class) as c";
    assert_eq!(text(&node, row).await.unwrap(), alice);
    node.batch_execute("commit").await.unwrap();
    node.batch_execute(&format!("begin; {parallel}")).await.unwrap();
    assert_eq!(text(&node, row).await.unwrap(), None);
    node.batch_execute("commit").await.unwrap();

    // A client's own connection to a worker is as everywhere.
    let app = nodes.workers[0].cluster.connect(&nodes.workers[0].database, &nodes.app).await.unwrap();
    app.batch_execute("set citus.propagate_set_commands = 'none'").await.unwrap();
    set_session(&app, alices, false).await.unwrap();
    assert_eq!(text(&app, WHO).await.unwrap(), alice);
    assert_eq!(text(&app, WHO).await.unwrap(), alice);
}

/// A query that a worker answers alone runs its functions there: its author may be whoever owns a view.
#[tokio::test]
async fn a_worker_takes_a_session_from_the_node_of_its_client_alone() {
    let nodes = Nodes::new("worker_takes").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 6).await;
    let bobs = &bob.access_token;
    for call in [
        "auth.set_session($1, true) is not null",
        "auth.set_session($1, false) is not null",
        "set_config('workos_auth.session_token', $1, true) is not null",
        "auth.clear_session() is null",
    ] {
        let app = nodes.begin_as(&alice).await;
        let query = format!("select id from notes where id = 1 and {}", call.replace("$1", &format!("'{bobs}'")));
        let error = refused(app.query(&query, &[]).await, "session_not_handed_on");
        assert!(!format!("{error:?}").contains(bobs), "{call}: {error:?}");
        app.batch_execute("rollback").await.unwrap();
        assert_eq!(Nodes::seen(&app).await, Vec::<String>::new(), "{call}");
    }
    // Nor from a procedure that runs there.
    let node = nodes.as_node(0).await;
    let set = format!("do $$ begin set local workos_auth.session_token = '{bobs}'; end $$");
    refused(node.batch_execute(&set).await, "session_not_handed_on");
    // What others see of the command that hands a session on has no token.
    node.batch_execute(&format!("begin; set local workos_auth.session_token = '{bobs}'")).await.unwrap();
    let shown = "select count(*) from pg_stat_activity where query like '%' || $1 || '%'";
    let row = nodes.workers[0].admin.query_one(shown, &[&&bobs[..40]]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn a_worker_refuses_a_session_that_has_ended_meanwhile() {
    let nodes = Nodes::new("worker_revoked").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    nodes.write(&alice, 1, 6).await;
    for query in ["select * from notes where id = 3", "select count(*) from notes"] {
        let alice = nodes.issuer.sign_in(ALICE).await;
        nodes.catch_up().await;
        let app = nodes.begin_as(&alice).await;
        assert_eq!(Nodes::seen(&app).await.len(), 6);
        let out = format!("select auth.sign_out('{}', 'local')", alice.access_token);
        nodes.issuer.admin.batch_execute(&out).await.unwrap();
        nodes.catch_up().await;
        refused(app.query(query, &[]).await, "session_not_found");
    }
}

#[tokio::test]
async fn a_new_node_lets_nobody_in_until_it_is_fed() {
    let nodes = Nodes::with_a_new_node("worker_new").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let app = nodes.begin_as(&alice).await;
    // It holds every shard.
    let error = refused(app.query("select count(*) from notes", &[]).await, "provider_not_configured");
    assert!(error.hint.contains("auth.become_verifier"), "{error}");
    let errors = "select object from auth.check() where severity = 'error' and finding like '%Citus%'";
    assert_eq!(lines(&nodes.workers[0].admin, errors).await.unwrap(), ["auth.verifier"]);
    app.batch_execute("rollback").await.unwrap();
    nodes.feed(0).await;
    nodes.write(&alice, 1, 3).await;
    let app = nodes.begin_as(&alice).await;
    assert_eq!(Nodes::seen(&app).await, ["1", "2", "3"]);
    assert_eq!(lines(&nodes.workers[0].admin, errors).await.unwrap(), Vec::<String>::new());
}
