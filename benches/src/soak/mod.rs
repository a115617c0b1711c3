//! A long run of what clients do, with everything restarted in it: what is lost, what grows, and what the logs say.
//!
//! | file | what it does |
//! |---|---|
//! | `clients.rs` | signs in, refreshes, reads and signs out, and holds every answer against what it knows |
//! | `logs.rs` | the lines of the logs, each kind once |

mod clients;
mod logs;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Error, Result, Workos};

use crate::bench::{Bench, DATABASE, machine, number};
use crate::gateway::prepare;
use crate::gateway::processes::{Gateway, free_port, postgres_memory};
use clients::{Client, Counts};

const CLIENTS: usize = 8;
/// How long the whole of it takes; `SOAK_MINUTES` is another number.
const MINUTES: usize = 60;
/// How long the clients work as fast as they can, for the rate of which they then do half.
const FULL_SPEED: Duration = Duration::from_secs(20);
/// How often memory is looked at.
const LOOKS: u32 = 12;
/// How long WorkOS is away.
const AWAY: Duration = Duration::from_secs(15);

const CONDITIONS: &str = "8 clients of the gateway, each with a dozen sessions, at half the rate that they reach at full speed. Of ten operations seven are \
    refreshes, one a sign-in, one reads the person, and one signs out and then tries the ended session. A request without an answer, and one that is \
    refused with 429 or 5xx, is sent again. Default settings, fsync on; everything shares the machine.";

/// What is done to the parts meanwhile, and after which look at memory.
const RESTARTS: [(u32, Restart); 5] = [
    (2, Restart::Postgres),
    (4, Restart::Workos),
    (6, Restart::Gateway),
    (8, Restart::PostgresCrash),
    (10, Restart::Gateway),
];

#[derive(Debug, Clone, Copy)]
enum Restart {
    Postgres,
    PostgresCrash,
    Workos,
    Gateway,
}

impl Restart {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres restarts",
            Self::PostgresCrash => "Postgres is killed and recovers",
            Self::Workos => "WorkOS is away for 15 s",
            Self::Gateway => "the gateway restarts",
        }
    }
}

struct Setup {
    bench: Bench,
    gateway: Gateway,
}

/// Runs it, and prints what it saw.
///
/// # Errors
/// A session was lost, or one that was ended went on; or a part does not start again.
pub async fn measure() -> Result<()> {
    let duration = Duration::from_secs(60 * number("SOAK_MINUTES", MINUTES).max(1) as u64);
    let mut setup = Setup::start().await?;
    println!("{}.\n{CONDITIONS}\n", machine(&setup.bench.admin).await?);

    let counts = Arc::new(Counts::default());
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Client::new(&setup.gateway.url, number, Arc::clone(&counts))?);
    }
    let (clients, full) = together(clients, FULL_SPEED, Duration::ZERO).await?;
    let per_second = full as f64 / FULL_SPEED.as_secs_f64();
    let pause = Duration::from_secs_f64(2.0 * CLIENTS as f64 / per_second);
    println!("At full speed: {per_second:.0} operations a second; from now on {:.0}.\n", per_second / 2.0);

    println!("| minute | operations | gateway, MB, now / most | Postgres, MB | then |\n|---|---|---|---|---|");
    let begin = Instant::now();
    let working = working(clients, duration, pause);
    for look in 1..=LOOKS {
        tokio::time::sleep((duration * look / LOOKS).saturating_sub(begin.elapsed())).await;
        let restart = RESTARTS.iter().find(|(at, _)| *at == look).map(|(_, restart)| *restart);
        println!("{}", setup.line(begin, &counts, restart));
        if let Some(restart) = restart {
            setup.restart(restart).await?;
        }
    }
    let mut sessions = 0;
    let mut clients = Vec::new();
    for client in working {
        let (client, _) = client.await.map_err(|error| Error::Other(format!("a client died: {error}")))??;
        clients.push(client);
    }
    // Whoever is signed in still is.
    for client in &mut clients {
        sessions += client.look_at_all().await?;
    }
    println!("\n{counts}\n\nAt the end {sessions} sessions go on, and none was lost.");
    drop(clients);
    println!("{}", setup.left_behind().await?);
    Ok(())
}

fn working(clients: Vec<Client>, duration: Duration, pause: Duration) -> Vec<JoinHandle<Result<(Client, u64)>>> {
    clients.into_iter().map(|client| tokio::spawn(client.work(duration, pause))).collect()
}

/// All of them at once: the clients again, and how much they did.
async fn together(clients: Vec<Client>, duration: Duration, pause: Duration) -> Result<(Vec<Client>, u64)> {
    let (mut again, mut done) = (Vec::new(), 0);
    for client in working(clients, duration, pause) {
        let (client, operations) = client.await.map_err(|error| Error::Other(format!("a client died: {error}")))??;
        again.push(client);
        done += operations;
    }
    Ok((again, done))
}

impl Setup {
    async fn start() -> Result<Self> {
        let bench = Bench::start(&["shared_preload_libraries = 'workos_auth'"]).await?;
        let port = free_port()?;
        let database = prepare(&bench, port).await?;
        let log = bench.cluster.log_path().with_file_name("gateway.log");
        let gateway = Gateway::start_logging(&database, port, &log).await?;
        Ok(Self { bench, gateway })
    }

    fn line(&self, begin: Instant, counts: &Counts, restart: Option<Restart>) -> String {
        let [now, most] = self.gateway.memory();
        let postgres = self.bench.cluster.pid().map_or(f64::NAN, postgres_memory);
        let minute = begin.elapsed().as_secs_f64() / 60.0;
        let then = restart.map_or("", Restart::name);
        format!("| {minute:.0} | {} | {now:.1} / {most:.1} | {postgres:.0} | {then} |", counts.operations())
    }

    async fn restart(&mut self, what: Restart) -> Result<()> {
        match what {
            Restart::Postgres => self.bench.cluster.restart(),
            Restart::PostgresCrash => self.bench.cluster.crash(),
            Restart::Workos => {
                // It blocks, and the clients share this runtime.
                let workos: &mut Workos = &mut self.bench.workos;
                tokio::task::block_in_place(|| workos.restart(AWAY))
            }
            Restart::Gateway => self.gateway.restart().await,
        }
    }

    /// Locks that somebody holds, rows that nobody needs, and what the logs say.
    async fn left_behind(&self) -> Result<String> {
        let admin = self.bench.cluster.connect(DATABASE, SUPERUSER).await?;
        let count = async |sql: &str| Ok::<i64, Error>(admin.query_one(sql, &[]).await?.get(0));
        let locks = count("select count(*) from pg_locks where pid <> pg_backend_pid()").await?;
        let waiting = count("select count(*) from pg_stat_activity where state like 'idle in transaction%'").await?;
        let log = self.gateway.log()?;
        Ok(format!(
            "Locks that are left: {locks}. Transactions that are left open: {waiting}.\n\n{}\n\n{}",
            logs::kinds("Postgres", &self.bench.cluster.log()?),
            logs::kinds("The gateway", &log)
        ))
    }
}
