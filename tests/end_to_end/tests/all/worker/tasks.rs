//! What the background worker does, with no scheduler: it removes what is over, and fetches the keys of trusted issuers.

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::check::check_all;
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, KeyServer, OtherIssuer, accept};
use workos_end_to_end::sql::{lines, refused, refused_as, text};

use super::CLUSTER;

#[tokio::test]
async fn it_cleans_up_batch_after_batch() {
    let bed = Bed::new(&CLUSTER, "worker_cleans").await;
    bed.sign_in(ALICE).await;
    bed.set("workos_auth.audit_retention", "1h").await;
    let sql = "insert into auth.sessions (id, not_after) select gen_random_uuid(), now() - interval '1 minute' from generate_series(1, 2500);
        insert into auth.audit_log_entries (action, created_at) select 'old', now() - interval '1 day' from generate_series(1, 2500)";
    bed.admin.batch_execute(sql).await.unwrap();
    // It may have run before. The next worker has the setting, too.
    bed.ends_worker().await;
    bed.until("(select count(*) from auth.sessions) = 1").await;
    bed.until("not exists (select from auth.audit_log_entries where action = 'old')").await;
    // The last batch is written down too: with it, the task is done for a while.
    bed.until_task("cleanup", "failures = 0 and next_at > now() + interval '5 minutes'").await;
    let sql = "select last_failed_at, last_error, last_started_at <= last_succeeded_at, next_at > last_succeeded_at from auth.worker_status where task = 'cleanup'";
    assert_eq!(lines(&bed.admin, sql).await.unwrap(), ["NULL|NULL|t|t"]);

    // It has nothing to reproach itself with, nor has auth.check(), which says no more of preloading either.
    bed.until_task("issuer_keys", "failures = 0").await;
    bed.has_worker().await;
    assert_eq!(check_all(&bed.admin).await, []);

    // Administrators read what it did, and nobody else does.
    let (operator, nobody) = (bed.role("operator", "").await, bed.role("nobody", "").await);
    bed.admin.batch_execute(&format!("select auth.grant_admin('{operator}')")).await.unwrap();
    let (operator, nobody) = (bed.connect(&operator).await, bed.connect(&nobody).await);
    let tasks = "select string_agg(task, ' ' order by task) from auth.worker_status";
    assert_eq!(
        text(&operator, tasks).await.unwrap().as_deref(),
        Some("cleanup events heartbeat issuer_keys reconciliation")
    );
    refused_as(operator.batch_execute("delete from auth.worker_status").await, "42501");
    refused_as(nobody.batch_execute(tasks).await, "42501");
    // It keeps no dump from being restored.
    let dump = CLUSTER.command("pg_dump").args(["--dbname=worker_cleans", "--data-only"]).output().unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.contains("COPY auth.audit_log_entries") && !dump.contains("worker_status"), "{dump}");
}

#[tokio::test]
async fn a_key_that_is_not_known_is_fetched_soon() {
    let bed = Bed::new(&CLUSTER, "worker_keys").await;
    bed.until_task("issuer_keys", "last_count = 0").await;
    let issuer = OtherIssuer::new("https://api.example.com", Algorithm::Es256);
    let server = KeyServer::start(&issuer.jwks()).await;
    let trust = "select auth.trust_issuer($1, 'authkit', jwks_uri => $2, client_id => $3)";
    bed.admin.execute(trust, &[&issuer.name, &server.uri, &AUTHKIT_CLIENT]).await.unwrap();
    let backend = bed.backend().await;
    let token = issuer.token("ann", json!({}));
    // It is due in an hour. Whoever presents the token is refused, and so has nothing to commit.
    refused(accept(&backend, &token).await, "bad_jwt_key");
    bed.until_task("issuer_keys", "last_count = 1 and failures = 0").await;
    accept(&backend, &token).await.unwrap();
    assert_eq!(server.asked(), 1);

    // However often somebody asks for what is not there.
    let stranger = OtherIssuer::new("https://api.example.com", Algorithm::Es256).token("ann", json!({}));
    for _ in 0..50 {
        refused(accept(&backend, &stranger).await, "bad_jwt_key");
    }
    assert!(server.asked() <= 2, "{}", server.asked());
}
