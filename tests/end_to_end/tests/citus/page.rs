//! `docs/citus.md`, with one worker.

use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::documents::Document;
use workos_end_to_end::documents::markdown::Kind;
use workos_end_to_end::sql::text;

use crate::nodes::{Nodes, SETTINGS, WORKER};

#[tokio::test]
async fn the_page_is_right() {
    let nodes = Nodes::before_the_page("page_right").await;
    let worker = &nodes.workers[0];
    let connection =
        format!("host=127.0.0.1 port={} dbname={} user=verifiers", nodes.issuer.cluster.port(), nodes.issuer.database);
    let mut requests = Vec::new();
    for piece in Document::read("docs/citus.md").pieces() {
        let Kind::Code(words) = piece.kind else { continue };
        let block =
            piece.text.replace("host=coordinator.example.com dbname=app user=verifiers password=…", &connection);
        let client = match words.as_str() {
            "sql coordinator" => &nodes.issuer.admin,
            "sql worker" => &worker.admin,
            "sql node" => {
                requests.push(block);
                continue;
            }
            // That of the clusters.
            "ini" => {
                let said = SETTINGS.into_iter().chain([WORKER]);
                assert_eq!(block.lines().collect::<Vec<_>>(), said.collect::<Vec<_>>());
                continue;
            }
            other => panic!("a block of {other}"),
        };
        for statement in block.split_inclusive(';').filter(|statement| !statement.trim().is_empty()) {
            client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
    }
    worker.until_fed().await;
    nodes.issuer.admin.batch_execute(&format!("grant requests to {}", nodes.app)).await.unwrap();
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.catch_up().await;
    let app = nodes.connect().await;
    for session in [&alice, &bob] {
        app.batch_execute("begin; set local role requests").await.unwrap();
        set_session(&app, &session.access_token, true).await.unwrap();
        app.batch_execute("insert into notes (body) values ('one''s own')").await.unwrap();
        app.batch_execute("commit").await.unwrap();
    }
    let [request] = &*requests else { panic!("{requests:?}") };
    for statement in request.split_terminator(";\n") {
        match statement.contains("$1") {
            true => drop(app.query(statement, &[&alice.access_token]).await.unwrap()),
            false if statement.starts_with("SELECT") => assert_eq!(app.query(statement, &[]).await.unwrap().len(), 1),
            false => app.batch_execute(statement).await.unwrap(),
        }
    }
    // Without a session there is nobody.
    app.batch_execute("set role requests").await.unwrap();
    assert_eq!(text(&app, "select count(*) from notes").await.unwrap().as_deref(), Some("0"));
}
