//! A coordinator of Citus that signs people in, and workers that verify: each a cluster, with a database of the same name.

use std::sync::LazyLock;

use tokio::sync::Mutex;
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{Session, set_session};
use workos_end_to_end::fed::{Verifier, grants, replicating};
use workos_end_to_end::sql::lines;
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Everybody's notes, spread by their ids; who asks sees their own. `topics` is spread by another column, so that joins repartition.
const SCHEMA: &str = "
    create table notes (id bigint primary key, owner uuid not null default auth.uid(), topic int not null, body text);
    create table topics (name int not null, topic_id bigint, owner uuid not null default auth.uid());
    select create_distributed_table('notes', 'id'), create_distributed_table('topics', 'topic_id');
    alter table notes enable row level security;
    alter table topics enable row level security;
    create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid());
    create policy own on topics using (owner = auth.uid()) with check (owner = auth.uid());";

/// What docs/citus.md says of every node, but for the database of the background worker: the tests send heartbeats.
pub const SETTINGS: [&str; 4] = [
    "shared_preload_libraries = 'citus,workos_auth'",
    "citus.propagate_set_commands = 'local'",
    "wal_level = logical",
    "max_slot_wal_keep_size = 10GB",
];
/// What it says of that.
pub const WORKER: &str = "workos_auth.worker_databases = 'app'";

const EXTENSION: &str = "create extension workos_auth";

fn start() -> Cluster {
    let mut settings = replicating();
    settings.extend(SETTINGS);
    settings.extend([
        "citus.node_conninfo = 'sslmode=disable'",
        "citus.shard_count = 4",
        "citus.enable_repartition_joins = on",
        "workos_auth.max_replication_lag = '10min'",
        "max_prepared_transactions = 100",
        "max_connections = 300",
    ]);
    Cluster::start_with(&settings).unwrap()
}

static COORDINATOR: LazyLock<Cluster> = LazyLock::new(start);
static WORKERS: LazyLock<[Cluster; 2]> = LazyLock::new(|| [start(), start()]);

/// Nodes tell each other of every role.
static SETTING_UP: Mutex<()> = Mutex::const_new(());

/// Citus in a database of each cluster.
pub struct Nodes {
    /// the issuer, at the coordinator
    pub issuer: Bed<'static>,
    /// the others
    pub workers: Vec<Verifier<'static>>,
    /// an ordinary role, which each node knows
    pub app: String,
}

impl Nodes {
    /// A coordinator with two workers that verify what it signs, and tables with policies.
    pub async fn new(database: &str) -> Self {
        let mut nodes = Self::with_workers(database, 2).await;
        nodes.spread().await;
        nodes
    }

    /// A coordinator whose tables are all on one worker, which nobody has made a verifier.
    pub async fn with_a_new_node(database: &str) -> Self {
        let mut nodes = Self::with_workers(database, 0).await;
        {
            let _one_at_a_time = SETTING_UP.lock().await;
            nodes.add(&WORKERS[0], EXTENSION).await;
        }
        nodes.spread().await;
        nodes
    }

    /// A coordinator and a worker, set up as far as docs/citus.md does not say how.
    pub async fn before_the_page(database: &str) -> Self {
        let mut nodes = Self::with_workers(database, 0).await;
        let _one_at_a_time = SETTING_UP.lock().await;
        nodes.add(&WORKERS[0], "").await;
        nodes
    }

    /// A coordinator with so many workers that verify, and no tables yet.
    async fn with_workers(database: &str, workers: usize) -> Self {
        let _one_at_a_time = SETTING_UP.lock().await;
        let issuer = Bed::new(LazyLock::force(&COORDINATOR), database).await;
        let host =
            format!("create extension citus; select citus_set_coordinator_host('127.0.0.1', {})", COORDINATOR.port());
        issuer.admin.batch_execute(&host).await.unwrap();
        issuer.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
        let mut nodes = Self { issuer, workers: Vec::new(), app: String::new() };
        for cluster in &WORKERS[..workers] {
            nodes.add(cluster, EXTENSION).await;
            nodes.feed(nodes.workers.len() - 1).await;
        }
        nodes.app = nodes.issuer.role("app", "").await;
        nodes
    }

    async fn spread(&mut self) {
        // Citus hands on the text of a message, which may be one statement.
        for statement in SCHEMA.split_terminator(';') {
            self.issuer.admin.batch_execute(statement).await.unwrap();
        }
        let app = &self.app;
        let give = format!("grant select, insert, update, delete on notes, topics to {app}");
        self.issuer.admin.batch_execute(&give).await.unwrap();
    }

    /// Another node, after this SQL there; nobody has made it a verifier.
    async fn add(&mut self, cluster: &'static Cluster, prepare: &str) {
        let database = self.issuer.database.clone();
        cluster.create_database(&database).await.unwrap();
        let admin = cluster.connect(&database, SUPERUSER).await.unwrap();
        admin.batch_execute(&format!("create extension citus; {prepare}")).await.unwrap();
        let add = format!("select citus_add_node('127.0.0.1', {})", cluster.port());
        self.issuer.admin.batch_execute(&add).await.unwrap();
        self.workers.push(Verifier { cluster, database, admin });
    }

    /// Makes a worker a verifier, as docs/citus.md says.
    pub async fn feed(&self, worker: usize) {
        let worker = &self.workers[worker];
        worker.admin.batch_execute("select auth.become_verifier()").await.unwrap();
        let link = self.issuer.role(&format!("to_{}", worker.cluster.port()), "replication bypassrls").await;
        self.issuer.admin.batch_execute(&grants(&link)).await.unwrap();
        let subscribe = format!(
            "create subscription {0}_{1} connection 'host=127.0.0.1 port={2} dbname={0} user={link}' publication workos_auth",
            worker.database,
            worker.cluster.port(),
            self.issuer.cluster.port()
        );
        worker.admin.batch_execute(&subscribe).await.unwrap();
        worker.until_fed().await;
        // The copy was made long ago: sessions that are opened from now on may be on their way.
        let copied = "update auth.feeds set known_since = now() - interval '1 hour'";
        worker.admin.batch_execute(copied).await.unwrap();
    }

    /// Until each worker knows what was committed before.
    pub async fn catch_up(&self) {
        for worker in &self.workers {
            worker.catch_up(&self.issuer).await;
        }
    }

    /// A connection of the ordinary role's to the coordinator.
    pub async fn connect(&self) -> Client {
        self.issuer.connect(&self.app).await
    }

    /// The same in a transaction of somebody's.
    pub async fn begin_as(&self, session: &Session) -> Client {
        let client = self.connect().await;
        client.batch_execute("begin").await.unwrap();
        set_session(&client, &session.access_token, true).await.unwrap();
        client
    }

    /// Writes notes of somebody, on every shard.
    pub async fn write(&self, session: &Session, from: i64, to: i64) {
        let client = self.begin_as(session).await;
        for id in from..=to {
            let insert = format!("insert into notes (id, topic, body) values ({id}, {}, 'note {id}')", id % 3);
            client.batch_execute(&insert).await.unwrap();
        }
        client.batch_execute("commit").await.unwrap();
    }

    /// The ids of the notes that whoever asks sees.
    pub async fn seen(client: &Client) -> Vec<String> {
        lines(client, "select id from notes order by id").await.unwrap()
    }

    /// Of these workers, the connection that Citus would make.
    pub async fn as_node(&self, worker: usize) -> Client {
        let worker = &self.workers[worker];
        let mut config = worker.cluster.config(&worker.database, &self.app);
        config.application_name("citus_internal gpid=10000000001");
        workos_end_to_end::sql::connect_with_notices(&config).await.unwrap().0
    }
}
