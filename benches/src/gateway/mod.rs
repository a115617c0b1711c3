//! Supabase's client through the gateway, beside the bare SQL calls, and beside what was measured of Supabase Auth.
//!
//! | file | what it does |
//! |---|---|
//! | `processes.rs` | starts the gateway; CPU and memory of it and of Postgres |
//! | `clients.rs` | refreshes and signs in |

pub mod clients;
pub mod processes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::CLIENT_ID;
use workos_testbed::{Error, Result};

use crate::bench::{Bench, DATABASE, machine};
use crate::report::tell;
use crate::sample::{median, milliseconds, spread};
use crate::sessions::people::People;
use clients::{Client, Operation, ROLE, Way};
use processes::{Gateway, free_port, postgres_cpu, postgres_memory};

const CLIENTS: [usize; 3] = [1, 8, 64];
/// How long the clients work, each round.
const DURATION: Duration = Duration::from_secs(2);
/// What they do before: every backend opens its keys and plans its statements.
const WARM_UP: Duration = Duration::from_millis(500);

/// Who is there before, so that the tables are those of an installation in use, and have been vacuumed.
const PEOPLE: usize = 10_000;

/// The bare calls of 64 clients are that many backends, and by default at most 16 may wait for WorkOS.
const REQUESTS: &str = "workos_auth.max_concurrent_requests = 64";

const CONDITIONS: &str = "\
- 10,000 people, each with a session. Default settings but workos_auth.max_concurrent_requests = 64, fsync on. Gateway (20 connections), \
Postgres, simulator and clients share the machine.
- A refresh is one request. A sign-in is /authorize, the simulator, /callback and /token. Its times have the simulator's part in them, for \
the bare calls too.
- The bare calls have a connection for each client and leave the user out of their answer.
- CPU is user and system time of the processes. The simulator's and the clients' is in neither column.
- Memory: VmRSS and VmHWM of the gateway, Pss of Postgres summed over its processes, at the end of a round with the clients connected. It \
is the median, and of VmHWM the last.";

const HEAD: &str = "\
| | by | clients | per second, min / median / max | time, in bare calls | ms, p50 / p99 | CPU s per 1000, gateway | CPU s per 1000, Postgres | \
CPU, in Supabase Auth's | gateway, MB, now / most | Postgres, MB |
|---|---|---|---|---|---|---|---|---|---|---|";

/// Of another day and machine, so only for orientation.
const TO_BEAT: &str = "\
Supabase Auth v2.196 itself (Go, pool 20, ES256, fsync on), measured elsewhere on a machine of this kind. Its 2 cores were shared with load \
and Postgres. Memory: 35 MB idle, 55-59 MB with 64 clients. It is for orientation.

| Supabase Auth | 1 client | 8 clients | CPU s per 1000, 8 clients, server + Postgres |
|---|---|---|---|
| refresh | 205/s, p50 4.5 ms | 628/s, p50 12 ms | 1.7 + 1.1 |
| sign-in, existing user | 96/s, p50 10 ms | 221/s, p50 35 ms | 4.3 + 3.3 |
| sign-in, new user | 86/s, p50 11 ms | 192/s, p50 41 ms | 4.8 + 3.9 |";

impl Operation {
    const ALL: [Self; 3] = [Self::Refresh, Self::Existing, Self::New];

    fn name(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Existing => "sign-in, existing user",
            Self::New => "sign-in, new user",
        }
    }

    /// CPU milliseconds of Supabase Auth and its Postgres, as in [`TO_BEAT`].
    fn to_beat(self) -> f64 {
        match self {
            Self::Refresh => 1.7 + 1.1,
            Self::Existing => 4.3 + 3.3,
            Self::New => 4.8 + 3.9,
        }
    }
}

impl Way {
    /// The floor first.
    const ALL: [Self; 2] = [Self::Sql, Self::Gateway];

    fn name(self) -> &'static str {
        match self {
            Self::Sql => "bare SQL calls",
            Self::Gateway => "the gateway",
        }
    }
}

/// What one round took.
struct Round {
    per_second: f64,
    /// of each operation
    times: Vec<Duration>,
    /// CPU milliseconds of one operation
    gateway: f64,
    postgres: f64,
    gateway_memory: [f64; 2],
    postgres_memory: f64,
}

/// The gateway in front of the database.
struct Setup {
    bench: Arc<Bench>,
    gateway: Gateway,
    postmaster: u32,
}

/// Measures all of it, and prints the tables.
///
/// # Errors
/// The gateway or a client fails.
pub async fn measure(rounds: usize) -> Result<()> {
    let setup = Setup::start().await?;
    tell!("{}.\n\n{CONDITIONS}\n\n{HEAD}", machine(&setup.bench.admin).await?);
    for operation in Operation::ALL {
        for clients in CLIENTS {
            setup.measure(operation, clients, rounds).await?;
        }
    }
    tell!("\n{TO_BEAT}");
    Ok(())
}

/// Sets the database up for a gateway at this port: the URL that the gateway connects by.
///
/// # Errors
/// A statement fails.
pub async fn prepare(bench: &Bench, port: u16) -> Result<String> {
    let url = format!("http://127.0.0.1:{port}/auth/v1");
    // Before the gateway connects: what ALTER DATABASE says is for later connections.
    let set_up = format!(
        "create role {ROLE} login;
         select auth.grant_sign_in('{ROLE}');
         alter database {DATABASE} set workos_auth.issuer = '{url}';
         alter database {DATABASE} set workos_auth.site_url = 'http://localhost:3000';"
    );
    bench.admin.batch_execute(&set_up).await?;
    let configure = "select auth.configure_workos(client_id => $1, redirect_uri => $2, api_url => $3)";
    let redirect_uri = format!("{url}/callback");
    bench.admin.execute(configure, &[&CLIENT_ID, &redirect_uri, &bench.workos.url()]).await?;
    Ok(format!("postgres://{ROLE}@127.0.0.1:{}/{DATABASE}", bench.cluster.port()))
}

impl Setup {
    async fn start() -> Result<Self> {
        let bench = Bench::start(&[REQUESTS]).await?;
        let superuser = bench.cluster.connect(DATABASE, SUPERUSER).await?;
        drop(People::new(&bench.cluster, DATABASE, superuser, PEOPLE).await?);
        let port = free_port()?;
        let database = prepare(&bench, port).await?;
        let gateway = Gateway::start(&database, port).await?;
        let postmaster = bench.cluster.pid().ok_or_else(|| Error::Other("Postgres does not run".into()))?;
        Ok(Self { bench: Arc::new(bench), gateway, postmaster })
    }

    /// Prints a line for the bare calls and one for the gateway.
    async fn measure(&self, operation: Operation, clients: usize, rounds: usize) -> Result<()> {
        let mut measured = Way::ALL.map(|_| Vec::new());
        for _ in 0..rounds {
            for (way, measured) in Way::ALL.into_iter().zip(&mut measured) {
                measured.push(self.round(operation, way, clients).await?);
            }
        }
        let [bare, _] = &measured;
        for (way, own) in Way::ALL.into_iter().zip(&measured) {
            tell!("{}", line(operation, way, clients, own, bare));
        }
        Ok(())
    }

    async fn round(&self, operation: Operation, way: Way, clients: usize) -> Result<Round> {
        let url = &self.gateway.url;
        let mut connected = Vec::new();
        for number in 0..clients {
            connected.push(Client::new(Arc::clone(&self.bench), url, way, operation, number).await?);
        }
        let (_, connected) = together(connected, WARM_UP).await?;
        let cpu = || (self.gateway.cpu(), postgres_cpu(self.postmaster));
        let ((gateway, postgres), begin) = (cpu(), Instant::now());
        let (times, _connected) = together(connected, DURATION).await?;
        let (elapsed, after) = (begin.elapsed(), cpu());
        let count = times.len().max(1) as f64;
        let each = |after: Duration, before: Duration| milliseconds(after.saturating_sub(before)) / count;
        Ok(Round {
            per_second: times.len() as f64 / elapsed.as_secs_f64(),
            times,
            gateway: each(after.0, gateway),
            postgres: each(after.1, postgres),
            gateway_memory: self.gateway.memory(),
            postgres_memory: postgres_memory(self.postmaster),
        })
    }
}

/// All clients at once.
async fn together(clients: Vec<Client>, duration: Duration) -> Result<(Vec<Duration>, Vec<Client>)> {
    let (mut times, mut again) = (Vec::new(), Vec::new());
    let working = JoinSet::from_iter(clients.into_iter().map(|client| client.work(duration)));
    for outcome in working.join_all().await {
        let (took, client) = outcome?;
        times.extend(took);
        again.push(client);
    }
    Ok((times, again))
}

fn line(operation: Operation, way: Way, clients: usize, own: &[Round], bare: &[Round]) -> String {
    let middle = |of: fn(&Round) -> f64| median(own.iter().map(of));
    let mut times: Vec<Duration> = own.iter().flat_map(|round| round.times.iter().copied()).collect();
    times.sort_unstable();
    let part = |percent: usize| times.get(times.len() * percent / 100).map_or(f64::NAN, |time| milliseconds(*time));
    let rate = spread(own.iter().map(|round| round.per_second), 0);
    let over = median(own.iter().zip(bare).map(|(own, bare)| bare.per_second / own.per_second));
    let postgres = middle(|round| round.postgres);
    let (gateway, share, memory) = match way {
        Way::Sql => Default::default(),
        Way::Gateway => {
            let share = middle(|round| round.gateway + round.postgres) / operation.to_beat();
            let now = middle(|round| round.gateway_memory[0]);
            let most = own.last().map_or(f64::NAN, |round| round.gateway_memory[1]);
            (
                format!("{:.3}", middle(|round| round.gateway)),
                if clients == 8 { format!("{share:.2}") } else { String::new() },
                format!("{now:.1} / {most:.1}"),
            )
        }
    };
    format!(
        "| {} | {} | {clients} | {rate} | {over:.2} | {:.2} / {:.2} | {gateway} | {postgres:.3} | {share} | {memory} | {:.0} |",
        operation.name(),
        way.name(),
        part(50),
        part(99),
        middle(|round| round.postgres_memory)
    )
}
