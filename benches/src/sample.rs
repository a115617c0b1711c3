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
    /// How often it was done.
    pub count: usize,
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

    /// What one takes on the clock.
    pub fn milliseconds(&self) -> f64 {
        milliseconds(self.elapsed) / self.count.max(1) as f64
    }
}

/// Does `work`, which says how often it did it, and looks what it took.
///
/// # Errors
/// As `work`.
pub async fn measured(backend: Option<i32>, work: impl Future<Output = Result<usize>>) -> Result<Sample> {
    measured_with(backend, async { Ok((work.await?, ())) }).await
}

/// The same for work that owns its connection, and hands it back: a backend whose client is gone ends, and what it used is
/// known no more.
///
/// # Errors
/// As `work`.
pub async fn measured_with<C>(backend: Option<i32>, work: impl Future<Output = Result<(usize, C)>>) -> Result<Sample> {
    let used = async || {
        // The kernel adds up a process's time when it goes to sleep, which a backend does a moment after its answer.
        tokio::time::sleep(Duration::from_millis(2)).await;
        backend.and_then(cpu_time).unwrap_or_default()
    };
    let (before, begin) = (used().await, Instant::now());
    let (count, _connection) = work.await?;
    let elapsed = begin.elapsed();
    Ok(Sample { count, elapsed, cpu: used().await.saturating_sub(before) })
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

/// The time a process has run, user and system: the first field of `/proc/PID/schedstat` (proc(5)), in nanoseconds on
/// Linux.
fn cpu_time(pid: i32) -> Option<Duration> {
    let statistics = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    Some(Duration::from_nanos(statistics.split_whitespace().next()?.parse().ok()?))
}

/// `minimum / median / maximum`, with so many decimals.
pub fn spread(values: impl Iterator<Item = f64>, decimals: usize) -> String {
    let sorted = sorted(values);
    let of = |value: Option<&f64>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.decimals$}"));
    format!("{} / {} / {}", of(sorted.first()), of(sorted.get(sorted.len() / 2)), of(sorted.last()))
}

/// `lower quartile / median / upper quartile`
pub fn quartiles(values: Vec<f64>) -> String {
    let sorted = sorted(values.into_iter());
    let at = |quarters: usize| sorted.get(sorted.len() * quarters / 4).copied().unwrap_or(f64::NAN);
    format!("{:.1} / {:.1} / {:.1}", at(1), at(2), at(3))
}

/// The middle one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Microseconds of one, by sample: on the clock, and of the backend's CPU.
pub fn times(samples: &[Sample]) -> [Vec<f64>; 2] {
    [Sample::milliseconds, Sample::cpu_milliseconds].map(|of| samples.iter().map(|sample| of(sample) * 1e3).collect())
}

/// What the columns of [`differences`] are.
pub const DIFFERENCES: &str = "µs of the backend's CPU, the quietest twentieth | the same, quartiles | µs, quartiles";

/// By how much samples are more than their neighbours. First the difference of what both take where nobody disturbs them, by the
/// twentieth part that is quickest: what shares the machine only ever adds. Then the differences of neighbours, of the backend's CPU
/// and on the clock.
pub fn differences(samples: &[Sample], floor: &[Sample]) -> String {
    let ([clock, cpu], [clock_floor, cpu_floor]) = (times(samples), times(floor));
    let quietest = twentieth(&cpu) - twentieth(&cpu_floor);
    let [clock, cpu] = [(clock, clock_floor), (cpu, cpu_floor)]
        .map(|(more, less)| quartiles(more.iter().zip(&less).map(|(more, less)| more - less).collect()));
    format!("{quietest:.1} | {cpu} | {clock}")
}

/// A twentieth of the values are less.
fn twentieth(values: &[f64]) -> f64 {
    let sorted = sorted(values.iter().copied());
    sorted.get(sorted.len() / 20).copied().unwrap_or(f64::NAN)
}

/// By how much values are more than their floor's: the smallest of each, and the medians.
pub fn over(values: &[f64], floor: &[f64]) -> [f64; 2] {
    let ([minimum, median], floor) = (both(values), both(floor));
    [minimum - floor[0], median - floor[1]]
}

/// The smallest and the median.
pub fn both(values: &[f64]) -> [f64; 2] {
    [values.iter().copied().fold(f64::NAN, f64::min), median(values.iter().copied())]
}

/// `minimum / median`
pub fn pair([minimum, median]: [f64; 2]) -> String {
    format!("{minimum:.1} / {median:.1}")
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
