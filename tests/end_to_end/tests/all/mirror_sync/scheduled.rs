//! pg_cron follows WorkOS as the page says, in a server that was started for it.

use std::time::{Duration, Instant};

use workos_end_to_end::bed::ALICE;
use workos_end_to_end::documents::Document;
use workos_end_to_end::{Bed, lines};
use workos_testbed::Cluster;

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn pg_cron_follows_as_the_page_says() {
    let example = Document::read("docs/mirror.md").block("sql cron mirror");
    assert!(
        example.contains("call auth.sync_workos()") && example.contains("call auth.reconcile_workos()"),
        "{example}"
    );
    let settings = Document::read("docs/administration.md").block("ini cron").replace("'app'", "'mirrored'");
    let settings: Vec<&str> = settings.lines().collect();
    let cluster = Cluster::start_with(&settings).expect("a server with pg_cron; make setup-tests installs it");
    let bed = Bed::new(&cluster, "mirrored").await;
    bed.follows().await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin.batch_execute("create extension pg_cron").await.unwrap();
    bed.admin.batch_execute(&example).await.unwrap();
    bed.departs("alice");
    let deadline = Instant::now() + PATIENCE;
    while bed.lives(&alice).await {
        let said = lines(&bed.admin, "select status, return_message from cron.job_run_details").await.unwrap();
        assert!(!said.iter().any(|run| run.starts_with("failed")), "{said:?}");
        assert!(Instant::now() < deadline, "it was not run: {said:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
