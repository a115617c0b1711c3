//! Times, CPU, and how they are shown.

use std::fs;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_postgres::Client;
use workos_testbed::Result;

/// What some clients did together in one round.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sample {
    count: usize,
    elapsed: Duration,
    /// What the backends used, user and system; zero where there is none.
    cpu: Duration,
}

impl Sample {
    /// All clients together.
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.elapsed.as_secs_f64()
    }

    /// How many of the floor's fit into one of these.
    pub fn times(&self, floor: &Self) -> f64 {
        floor.per_second() / self.per_second()
    }

    /// What one costs the backend.
    pub fn cpu_milliseconds(&self) -> f64 {
        milliseconds(self.cpu) / self.count.max(1) as f64
    }
}

/// Does `work`, which says how often it did it, and looks what it took.
///
/// # Errors
/// As `work`.
pub async fn measured(backend: Option<i32>, work: impl Future<Output = Result<usize>>) -> Result<Sample> {
    let used = || backend.and_then(cpu_time).unwrap_or_default();
    let (before, begin) = (used(), Instant::now());
    let count = work.await?;
    Ok(Sample { count, elapsed: begin.elapsed(), cpu: used().saturating_sub(before) })
}

/// Runs the clients at once. The rate is of the time until the last has finished.
///
/// # Errors
/// The first of theirs.
pub async fn together<F>(jobs: Vec<F>) -> Result<Sample>
where
    F: Future<Output = Result<Sample>> + Send + 'static,
{
    let mut total = Sample::default();
    for sample in JoinSet::from_iter(jobs).join_all().await {
        let Sample { count, elapsed, cpu } = sample?;
        total.count += count;
        total.elapsed = total.elapsed.max(elapsed);
        total.cpu += cpu;
    }
    Ok(total)
}

/// The process behind a connection.
///
/// # Errors
/// The connection is gone.
pub async fn backend_pid(client: &Client) -> Result<i32> {
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

/// `minimum / median / maximum`, with so many decimals.
pub fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    let sorted = sorted(values);
    let of = |value: Option<&f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.decimals$}"));
    format!("{} / {} / {}", of(sorted.first()), of(sorted.get(sorted.len() / 2)), of(sorted.last()))
}

/// The middle one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// With fractions.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
