//! A database that verifies what another one signs, fed by logical replication.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, server_major};

use crate::bed::Bed;
use crate::sql::{lines, text};

/// What arrives may take this long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The settings of a cluster with many publishers and verifiers.
pub fn replicating() -> Vec<&'static str> {
    let mut settings = vec![
        "wal_level = logical",
        "max_replication_slots = 100",
        "max_wal_senders = 100",
        "max_worker_processes = 200",
        "max_logical_replication_workers = 100",
        "max_sync_workers_per_subscription = 4",
        "wal_retrieve_retry_interval = '200ms'",
    ];
    // Before, max_replication_slots was the bound.
    if server_major().unwrap() >= 18 {
        settings.push("max_active_replication_origins = 100");
    }
    settings
}

static SHARED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_with(&replicating()).unwrap());

/// The cluster of all tests with a verifier that change nothing that is the cluster's.
pub fn logical() -> &'static Cluster {
    LazyLock::force(&SHARED)
}

/// A verifier.
pub struct Verifier<'a> {
    /// where it is
    pub cluster: &'a Cluster,
    /// the database's name, and that of its subscription and its slot
    pub database: String,
    /// a superuser's connection
    pub admin: Client,
}

/// What a role of a subscription's connection is given, as docs/verifiers.md says.
pub fn grants(role: &str) -> String {
    format!(
        "grant usage on schema auth to {role};
         grant select (id, claims_version) on auth.sessions to {role};
         grant select (kid, algorithm, public_key, status) on auth.signing_keys to {role};
         grant select (id, issuer) on auth.organizations to {role};
         grant select (installation_id, beat, sent_at, issuer, audience) on auth.heartbeat to {role};"
    )
}

impl<'a> Verifier<'a> {
    /// Makes a database a verifier, without a subscription yet.
    pub async fn of(cluster: &'a Cluster, database: &str) -> Self {
        cluster.create_database(database).await.unwrap();
        let admin = cluster.connect(database, SUPERUSER).await.unwrap();
        admin.batch_execute("create extension workos_auth; select auth.become_verifier()").await.unwrap();
        Self { cluster, database: database.to_owned(), admin }
    }

    /// Has an issuer publish, and subscribes to it over a role with what it needs and no more; returns once all is copied.
    pub async fn subscribed_to(self, issuer: &Bed<'_>) -> Self {
        issuer.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
        let link = self.link(issuer).await;
        self.subscribe(issuer, &link, "").await;
        self.until_fed().await;
        self
    }

    /// Has another issuer publish, and subscribes to it too, by a subscription of this name; returns at once.
    pub async fn also_subscribe(&self, issuer: &Bed<'_>, subscription: &str) {
        issuer.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
        let link = self.link(issuer).await;
        self.subscribe_by(subscription, issuer, &link, "").await;
    }

    /// A role of the issuer's for the connection of a subscription, with what that needs and no more.
    async fn link(&self, issuer: &Bed<'_>) -> String {
        let link = issuer.role(&format!("to_{}", self.database), "replication bypassrls").await;
        issuer.admin.batch_execute(&grants(&link)).await.unwrap();
        link
    }

    /// CREATE SUBSCRIPTION, over a role of the issuer's, with further options. The slot is made first: within one cluster it must be.
    pub async fn subscribe(&self, issuer: &Bed<'_>, role: &str, options: &str) {
        self.subscribe_by(&self.database, issuer, role, options).await;
    }

    /// The same by a name of its own, which is that of its slot too.
    pub async fn subscribe_by(&self, subscription: &str, issuer: &Bed<'_>, role: &str, options: &str) {
        let slot = format!("select pg_create_logical_replication_slot('{subscription}', 'pgoutput')");
        issuer.admin.batch_execute(&slot).await.unwrap();
        let sql = format!(
            "create subscription {subscription} connection 'host=127.0.0.1 port={} dbname={} user={role}' publication workos_auth
             with (create_slot = false, slot_name = '{subscription}' {options})",
            issuer.cluster.port(),
            issuer.database
        );
        self.admin.batch_execute(&sql).await.unwrap();
    }

    /// Waits until everything is copied.
    pub async fn until_fed(&self) {
        let all = "4 * (select count(*) from pg_subscription as s where s.subdbid = d.oid)";
        self.until(&format!(
            "(select (select count(*) = {all} and bool_and(srsubstate = 'r') from pg_subscription_rel)
              from pg_database as d where d.datname = current_database())"
        ))
        .await;
    }

    /// Waits until this SQL condition is true here.
    pub async fn until(&self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while text(&self.admin, &format!("select {condition}")).await.unwrap().as_deref() != Some("t") {
            let states = "select srrelid::regclass, srsubstate from pg_subscription_rel";
            assert!(
                Instant::now() < deadline,
                "it never comes to this: {condition}\n{:?}\n{}",
                lines(&self.admin, states).await,
                self.cluster.log_of(&self.database).unwrap()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until the server has written this about the verifier, or about a process that feeds it.
    pub async fn until_logged(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.cluster.log_of(&self.database).unwrap();
            if log.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "not in the log: {text}\n{log}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Has the issuer send a heartbeat, and waits until it has arrived: with it, all that was committed before.
    pub async fn catch_up(&self, issuer: &Bed<'_>) {
        let beat = text(&issuer.admin, "select auth.send_heartbeat()").await.unwrap().unwrap();
        let installation = text(&issuer.admin, "select id from auth.installation").await.unwrap().unwrap();
        self.until(&format!(
            "exists (select from auth.heartbeat where installation_id = '{installation}' and beat >= {beat})"
        ))
        .await;
    }

    /// Drops the subscription, whose slot stays with the issuer where it is gone already, and empties what it fed.
    pub async fn begin_anew(&self) {
        self.admin.batch_execute(&format!("drop subscription {}", self.database)).await.unwrap();
        self.admin.batch_execute("select auth.become_verifier()").await.unwrap();
    }

    /// The findings of `auth.check()` that are errors, of one column, in a connection of today's settings.
    pub async fn errors(&self, column: &str) -> Vec<String> {
        let superuser = self.cluster.connect(&self.database, SUPERUSER).await.unwrap();
        lines(&superuser, &format!("select {column} from auth.check() where severity = 'error'")).await.unwrap()
    }

    /// Makes a role that may log in, and connects as it.
    pub async fn app(&self, name: &str) -> Client {
        let role = format!("{}_{name}", self.database);
        self.admin.batch_execute(&format!("create role {role} login")).await.unwrap();
        self.cluster.connect(&self.database, &role).await.unwrap()
    }
}
