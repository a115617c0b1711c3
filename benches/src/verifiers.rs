//! Verifiers: how soon a session that is revoked at the issuer is refused there, and what readers cost. Only by its name,
//! `make bench BENCH=verifiers`; prints its figures, and writes no page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Error, Result};

use crate::bench::{Bench, DATABASE, DURABLE, machine, number};

/// How many verifiers; `BENCH_VERIFIERS` is another number.
const VERIFIERS: usize = 8;
/// How many refreshes a second the issuer has meanwhile, as far as the machine can; `BENCH_RATE` is another number.
const RATE: usize = 1000;
/// Over how many connections.
const CLIENTS: usize = 8;
/// How many sessions are revoked for each line.
const REVOCATIONS: usize = 400;
/// Rows of a reader's query, and statements of a reader's loop.
const ROWS: usize = 300_000;
const STATEMENTS: usize = 3_000;
/// What is bound to come comes within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of either side.
const SETTINGS: &[&str] = &[
    "wal_level = logical",
    "max_replication_slots = 64",
    "max_wal_senders = 64",
    "max_worker_processes = 100",
    "max_logical_replication_workers = 64",
    "wal_retrieve_retry_interval = '200ms'",
    "shared_preload_libraries = 'workos_auth'",
    "workos_auth.worker_databases = 'postgres'",
];

/// Measures all of it, and prints the tables.
///
/// # Errors
/// A statement fails, or what must come does not.
pub async fn measure(rounds: usize) -> Result<()> {
    let issuer = Bench::start(SETTINGS).await?;
    println!("{}.\n", machine(&issuer.admin).await?);
    issuer.admin.batch_execute("select auth.publish_sessions()").await?;
    let there = Cluster::start_with(&[DURABLE, SETTINGS].concat())?;
    let mut verifiers = Vec::new();
    for name in (0..number("BENCH_VERIFIERS", VERIFIERS).max(1)).map(|at| format!("verifier_{at}")) {
        verifiers.push(verifier(&issuer.cluster, &there, &name).await?);
    }
    println!("| refreshes a second | revoked to refused, ms: p50 | p99 | the longest |\n|---|---|---|---|");
    for rate in [0, number("BENCH_RATE", RATE)] {
        let load = Load::start(&issuer, rate).await?;
        let mut times = revocations(&issuer.admin, &verifiers).await?;
        let achieved = load.stop().await?;
        times.sort_unstable();
        let at = |part: usize| times.get(times.len() * part / 100).or(times.last()).map_or(0.0, milliseconds);
        println!("| {achieved:.0} | {:.2} | {:.2} | {:.2} |", at(50), at(99), at(100));
    }
    readers(&issuer, verifiers.first().ok_or_else(|| Error::Other("there is no verifier".into()))?, rounds).await
}

fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A database that is fed.
async fn verifier(issuer: &Cluster, there: &Cluster, name: &str) -> Result<Client> {
    there.create_database(name).await?;
    let client = there.connect(name, SUPERUSER).await?;
    client.batch_execute("create extension workos_auth; select auth.become_verifier()").await?;
    let subscribe = format!(
        "create subscription {name} connection 'host=127.0.0.1 port={} dbname={DATABASE} user={SUPERUSER}' publication workos_auth",
        issuer.port()
    );
    client.batch_execute(&subscribe).await?;
    let ready = "select count(*) = 4 and bool_and(srsubstate = 'r') from pg_subscription_rel";
    until(async || Ok(client.query_one(ready, &[]).await?.get(0))).await?;
    client.batch_execute("set workos_auth.rls_guard = off").await?;
    Ok(client)
}

async fn until(holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await? {
        if Instant::now() > deadline {
            return Err(Error::Timeout { what: "what a verifier is fed", after: PATIENCE });
        }
    }
    Ok(())
}

/// Refreshes over several connections, each at its part of the rate.
struct Load {
    runs: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    began: Instant,
    clients: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    async fn start(issuer: &Bench, rate: usize) -> Result<Self> {
        let (runs, done) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let mut clients = Vec::new();
        for _ in 0..if rate == 0 { 0 } else { CLIENTS } {
            let client = issuer.cluster.connect(DATABASE, SUPERUSER).await?;
            let (mut token, ..) = session(&client).await?;
            let (runs, done) = (Arc::clone(&runs), Arc::clone(&done));
            let mut ticks = tokio::time::interval(Duration::from_secs_f64(CLIENTS as f64 / rate as f64));
            clients.push(tokio::spawn(async move {
                let refresh = client.prepare("select refresh_token from auth.refresh_session($1)").await?;
                while runs.load(Ordering::Relaxed) {
                    ticks.tick().await;
                    token = client.query_one(&refresh, &[&token]).await?.get(0);
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }));
        }
        // What comes first is plans and files that grow.
        tokio::time::sleep(Duration::from_secs(3)).await;
        done.store(0, Ordering::Relaxed);
        Ok(Self { runs, done, began: Instant::now(), clients })
    }

    /// How many a second there were.
    async fn stop(self) -> Result<f64> {
        let rate = self.done.load(Ordering::Relaxed) as f64 / self.began.elapsed().as_secs_f64();
        self.runs.store(false, Ordering::Relaxed);
        for client in self.clients {
            client.await.map_err(|error| Error::Other(error.to_string()))??;
        }
        Ok(rate)
    }
}

/// The refresh token, the access token and the id of a session that somebody new opens.
async fn session(issuer: &Client) -> Result<(String, String, Uuid)> {
    let address = format!("{}@bench.example", Uuid::new_v4());
    let user: Uuid = issuer.query_one("select auth.create_user($1)", &[&address]).await?.get(0);
    let open = "select refresh_token, access_token, session_id from auth.create_session($1)";
    let row = issuer.query_one(open, &[&user]).await?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

/// From the answer to COMMIT until a verifier refuses, one verifier after the other.
async fn revocations(issuer: &Client, verifiers: &[Client]) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for verifier in verifiers.iter().cycle().take(REVOCATIONS) {
        let (_, token, id) = session(issuer).await?;
        let is_here = verifier.prepare("select exists (select from auth.sessions where id = $1)").await?;
        until(async || Ok(verifier.query_one(&is_here, &[&id]).await?.get(0))).await?;
        let verify = verifier.prepare("select auth.verify_token($1)").await?;
        verifier.query_one(&verify, &[&token]).await?;
        issuer.execute("select auth.revoke_session($1)", &[&id]).await?;
        let committed = Instant::now();
        until(async || match verifier.query_one(&verify, &[&token]).await {
            Ok(_) => Ok(false),
            Err(error) if error.code().is_some_and(|code| code.code() == "WA509") => Ok(true),
            Err(error) => Err(error.into()),
        })
        .await?;
        times.push(committed.elapsed());
    }
    Ok(times)
}

/// Prints what a reader costs at a verifier, in times of what it costs at the issuer: medians over rounds, in turns.
async fn readers(issuer: &Bench, verifier: &Client, rounds: usize) -> Result<()> {
    let home = issuer.cluster.connect(DATABASE, SUPERUSER).await?;
    home.batch_execute("set workos_auth.rls_guard = off").await?;
    let (_, token, id) = session(&home).await?;
    until(async || {
        let is_here = "select exists (select from auth.sessions where id = $1)";
        Ok(verifier.query_one(is_here, &[&id]).await?.get(0))
    })
    .await?;
    let (mut rows, mut statements) = (Vec::new(), Vec::new());
    for client in [&home, verifier] {
        client.execute("select auth.set_session($1, false)", &[&token]).await?;
    }
    let query = format!("select count(auth.uid()) from generate_series(1, {ROWS})");
    let (at_home, there) = (home.prepare("select auth.uid()").await?, verifier.prepare("select auth.uid()").await?);
    for _ in 0..rounds.max(5) * 3 {
        let mut taken = Vec::new();
        for (client, uid) in [(&home, &at_home), (verifier, &there)] {
            let began = Instant::now();
            client.query_one(&query, &[]).await?;
            let all_rows = began.elapsed();
            let began = Instant::now();
            for _ in 0..STATEMENTS {
                client.query_one(uid, &[]).await?;
            }
            taken.push((all_rows, began.elapsed()));
        }
        if let [home, there] = taken.as_slice() {
            rows.push(there.0.as_secs_f64() / home.0.as_secs_f64());
            statements.push(there.1.as_secs_f64() / home.1.as_secs_f64());
        }
    }
    println!("\n| `auth.uid()` | at the verifier, in times of the issuer |\n|---|---|");
    for (what, mut ratios) in [("on every row", rows), ("once a statement", statements)] {
        ratios.sort_by(f64::total_cmp);
        println!("| {what} | {:.2} |", ratios.get(ratios.len() / 2).copied().unwrap_or_default());
    }
    Ok(())
}
