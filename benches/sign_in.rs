//! What a sign-in costs, beside its floor. `make bench` prints the tables of the README.
//!
//! Everything runs on this machine: a throw-away cluster, the simulator, and as many clients as the table says. So
//! the figures are of the extension, not of WorkOS or of a network, and the clients' own work is in them.
#![allow(missing_docs)]

use std::fs;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_postgres::Client;
use url::Url;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};
use workos_testbed::{Cluster, Result, Workos, browser_sign_in};

/// How many clients at once, one row of a table each.
const CLIENTS: [usize; 2] = [1, 8];
/// How long a statement is repeated.
const DURATION: Duration = Duration::from_secs(5);
/// Exchanges a client makes; their codes are fetched before the clock starts.
const EXCHANGES: usize = 400;
/// Fresh connections whose first call is measured; the table shows the median.
const CONNECTIONS: usize = 25;

const AUTHORIZE_URL: &str = "select auth.workos_authorize_url(organization => 'org_acme')";
const START: &str = "select url, state, code_verifier from auth.start_sign_in(organization => 'org_acme')";
const EXCHANGE: &str = "select * from auth.exchange_code($1, $2, $3)";
const FLOOR: &str = "select bench_floor()";
const FLOOR_DEFINITION: &str =
    "create function bench_floor() returns text language plpgsql volatile as $$ begin return ''; end $$";

#[tokio::main]
async fn main() -> Result<()> {
    let workos = Workos::start()?;
    let cluster = Cluster::start()?;
    let admin = workos.install(&cluster, "postgres").await?;
    admin.batch_execute(FLOOR_DEFINITION).await?;

    println!("| what | clients | per second | median ms | backend CPU ms |");
    println!("|---|---|---|---|---|");
    for clients in CLIENTS {
        report("an empty PL/pgSQL function", clients, &repeat(&cluster, clients, FLOOR).await?);
        report("`workos_authorize_url`", clients, &repeat(&cluster, clients, AUTHORIZE_URL).await?);
        report("the bare HTTP call, no database", clients, &bare_calls(&workos, clients).await?);
        report("`exchange_code`", clients, &exchanges(&cluster, clients).await?);
    }

    println!("\n| first call of a fresh connection | first ms | second ms |");
    println!("|---|---|---|");
    first_calls("not preloaded", &cluster).await?;
    let preloading = Cluster::start_with(&["shared_preload_libraries = 'workos_auth'"])?;
    workos.install(&preloading, "postgres").await?;
    first_calls("shared_preload_libraries", &preloading).await
}

/// What some clients did together.
#[derive(Default)]
struct Sample {
    latencies: Vec<Duration>,
    elapsed: Duration,
    /// What the backends used, user and system; unknown where there is no backend.
    cpu: Option<Duration>,
}

fn report(what: &str, clients: usize, sample: &Sample) {
    let count = sample.latencies.len().max(1) as f64;
    let cpu = sample.cpu.map_or("".to_owned(), |cpu| format!("{:.3}", milliseconds(cpu) / count));
    let rate = count / sample.elapsed.as_secs_f64();
    println!("| {what} | {clients} | {rate:.0} | {:.3} | {cpu} |", milliseconds(median(&sample.latencies)));
}

/// `statement`, over and over, on `clients` connections.
async fn repeat(cluster: &Cluster, clients: usize, statement: &'static str) -> Result<Sample> {
    let mut jobs = Vec::new();
    for _ in 0..clients {
        let client = cluster.connect("postgres", SUPERUSER).await?;
        let pid = backend_pid(&client).await?;
        let prepared = client.prepare(statement).await?;
        client.query_one(&prepared, &[]).await?;
        jobs.push(measured(Some(pid), async move {
            let (mut latencies, begin) = (Vec::new(), Instant::now());
            while begin.elapsed() < DURATION {
                let start = Instant::now();
                client.query_one(&prepared, &[]).await?;
                latencies.push(start.elapsed());
            }
            Ok(latencies)
        }));
    }
    together(jobs).await
}

async fn exchanges(cluster: &Cluster, clients: usize) -> Result<Sample> {
    let mut jobs = Vec::new();
    for _ in 0..clients {
        let client = cluster.connect("postgres", SUPERUSER).await?;
        let pid = backend_pid(&client).await?;
        let mut flows = Vec::new();
        // One more, which pays for the connection to the simulator.
        for _ in 0..=EXCHANGES {
            let flow = client.query_one(START, &[]).await?;
            let callback = browser_sign_in(flow.get("url"), None).await?;
            flows.push((callback, flow.get::<_, String>("code_verifier")));
        }
        let prepared = client.prepare(EXCHANGE).await?;
        if let Some((callback, verifier)) = flows.pop() {
            client.query_one(&prepared, &[&callback.code, &verifier, &callback.state]).await?;
        }
        jobs.push(measured(Some(pid), async move {
            let mut latencies = Vec::new();
            for (callback, verifier) in flows {
                let start = Instant::now();
                client.query_one(&prepared, &[&callback.code, &verifier, &callback.state]).await?;
                latencies.push(start.elapsed());
            }
            Ok(latencies)
        }));
    }
    together(jobs).await
}

/// What an exchange cannot be quicker than: the same request from the same client library.
async fn bare_calls(workos: &Workos, clients: usize) -> Result<Sample> {
    let mut jobs = Vec::new();
    for _ in 0..clients {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut codes = Vec::new();
        for _ in 0..=EXCHANGES {
            codes.push(browser_sign_in(&plain_authorize_url(workos)?, None).await?.code);
        }
        let url = format!("{}/sso/token", workos.url().trim_end_matches('/'));
        if let Some(code) = codes.pop() {
            redeem(&http, &url, &code).await?;
        }
        jobs.push(measured(None, async move {
            let mut latencies = Vec::new();
            for code in codes {
                let start = Instant::now();
                redeem(&http, &url, &code).await?;
                latencies.push(start.elapsed());
            }
            Ok(latencies)
        }));
    }
    together(jobs).await
}

fn plain_authorize_url(workos: &Workos) -> Result<String> {
    let parameters = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("organization", "org_acme"),
        ("state", "bench"),
    ];
    let base = format!("{}/sso/authorize", workos.url().trim_end_matches('/'));
    let url = Url::parse_with_params(&base, parameters)
        .map_err(|error| workos_testbed::Error::Lost(format!("the simulator's URL is none: {error}")))?;
    Ok(url.into())
}

async fn redeem(http: &reqwest::Client, url: &str, code: &str) -> Result<()> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", CLIENT_ID)
        .append_pair("client_secret", CLIENT_SECRET)
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .finish();
    let request = http.post(url).header("content-type", "application/x-www-form-urlencoded").body(body);
    request.send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn first_calls(what: &str, cluster: &Cluster) -> Result<()> {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let client = cluster.connect("postgres", SUPERUSER).await?;
        for latencies in [&mut first, &mut second] {
            let start = Instant::now();
            client.simple_query(AUTHORIZE_URL).await?;
            latencies.push(start.elapsed());
        }
    }
    println!("| {what} | {:.2} | {:.2} |", milliseconds(median(&first)), milliseconds(median(&second)));
    Ok(())
}

/// A client's work, and what its backend used meanwhile.
async fn measured(pid: Option<i32>, work: impl Future<Output = Result<Vec<Duration>>>) -> Result<Sample> {
    let (before, begin) = (pid.and_then(cpu_time), Instant::now());
    let latencies = work.await?;
    let elapsed = begin.elapsed();
    let cpu = pid.and_then(cpu_time).zip(before).map(|(after, before)| after.saturating_sub(before));
    Ok(Sample { latencies, elapsed, cpu })
}

/// Runs the clients at once. The rate is of the time until the last has finished.
async fn together<F>(jobs: Vec<F>) -> Result<Sample>
where
    F: Future<Output = Result<Sample>> + Send + 'static,
{
    let mut set = JoinSet::new();
    for job in jobs {
        set.spawn(job);
    }
    let mut total = Sample::default();
    for sample in set.join_all().await {
        let sample = sample?;
        total.latencies.extend(sample.latencies);
        total.elapsed = total.elapsed.max(sample.elapsed);
        total.cpu = match (total.cpu, sample.cpu) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => sum.or(more),
        };
    }
    Ok(total)
}

async fn backend_pid(client: &Client) -> Result<i32> {
    Ok(client.query_one("select pg_backend_pid()", &[]).await?.get(0))
}

/// User and system time of a process, fields 14 and 15 of `/proc/PID/stat` (proc(5)), in ticks of 10 ms on Linux.
fn cpu_time(pid: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn median(latencies: &[Duration]) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
