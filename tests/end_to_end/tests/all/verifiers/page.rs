//! `docs/verifiers.md`, from an issuer to a verifier on another server and back.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::documents::Document;
use workos_end_to_end::documents::markdown::Kind;
use workos_end_to_end::fed::{Verifier, grants, logical};
use workos_end_to_end::sql::{lines, refused};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// The role of the page and its slot are the cluster's: no other test there has such names.
#[tokio::test]
async fn the_page_is_right() {
    let issuer = Bed::new(logical(), "page_issuer").await;
    let there = Cluster::start().unwrap();
    there.create_database("app").await.unwrap();
    let admin = there.connect("app", SUPERUSER).await.unwrap();
    let verifier = Verifier { cluster: &there, database: "app".into(), admin };
    let connection = format!("host=127.0.0.1 port={} dbname=page_issuer user=verifiers", issuer.cluster.port());
    // The second issuer, in the same cluster, where the page's first one has made the role.
    let second = Bed::new(logical(), "page_second").await;
    let other = format!("host=127.0.0.1 port={} dbname=page_second user=verifiers", second.cluster.port());
    let bob = second.sign_in(BOB).await;
    let mut alice = None;
    let mut ran = (0, 0);
    for piece in Document::read("docs/verifiers.md").pieces() {
        let Kind::Code(words) = piece.kind else { continue };
        let block = piece
            .text
            .replace("host=db1.example.com dbname=app user=verifiers password=…", &connection)
            .replace("host=db2.example.com dbname=app user=verifiers password=…", &other);
        if block.contains("page_second") {
            second.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
            second.admin.batch_execute(&grants("verifiers")).await.unwrap();
        }
        let client = match words.as_str() {
            "sql issuer" => &issuer.admin,
            "sql verifier" => &verifier.admin,
            "ini" => continue,
            other => panic!("a block of {other}"),
        };
        // CREATE and DROP SUBSCRIPTION are alone in their messages.
        for statement in block.split_inclusive(';').filter(|statement| !statement.trim().is_empty()) {
            client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        match words.as_str() {
            "sql issuer" => ran.0 += 1,
            _ => ran.1 += 1,
        }
        // Once it subscribes, and once it has copied anew, people are there.
        if block.contains("CREATE SUBSCRIPTION") {
            verifier.until_fed().await;
            if block.contains("workos_auth_us") {
                verifier.catch_up(&second).await;
                let app = verifier.app("app_second").await;
                set_session(&app, &bob.access_token, false).await.unwrap();
            }
            verifier.catch_up(&issuer).await;
            alice = Some(issuer.sign_in(ALICE).await);
            verifier.catch_up(&issuer).await;
            let app = verifier.app(&format!("app_{}", ran.1)).await;
            set_session(&app, &alice.as_ref().unwrap().access_token, false).await.unwrap();
            assert_eq!(verifier.errors("finding").await, Vec::<String>::new());
            let of_issuer = "select finding from auth.check() where severity = 'error'";
            assert_eq!(lines(&issuer.admin, of_issuer).await.unwrap(), Vec::<String>::new());
            let error =
                refused(verifier.admin.batch_execute("select auth.rotate_signing_key()").await, "verifier_only");
            assert!(error.hint.contains("the database app on db1.example.com"), "{error}");
        }
    }
    assert_eq!(ran, (3, 7));
    // It is no verifier any more.
    let app = there.connect("app", "app_app_4").await.unwrap();
    refused(set_session(&app, &alice.unwrap().access_token, false).await, "provider_not_configured");
}
