//! A statement over and over: authorize URLs, and what a function and a written row cost without the extension.

use std::time::{Duration, Instant};

use workos_testbed::Result;
use workos_testbed::cluster::SUPERUSER;

use crate::bench::{Bench, DATABASE};
use crate::report::tell;
use crate::sample::{Sample, backend_pid, measured_with, median, spread, together};

/// How long a statement is repeated, each round.
const DURATION: Duration = Duration::from_secs(2);

/// What the columns are.
pub const HEAD: &str = "\
| statement | clients | per second, min / median / max | time, in empty functions | time, in inserted rows | CPU of the backend, ms |
|---|---|---|---|---|---|";

/// The floors come first: a function that does nothing, and a row that is written and committed, as every sign-in
/// writes one when it starts.
const STATEMENTS: [(&str, &str); 4] = [
    ("an empty PL/pgSQL function", "select bench_floor()"),
    ("an `INSERT` of one row", "insert into bench_rows (text) values ($$state, challenge, verifier$$)"),
    ("`auth.workos_authorize_url`", "select auth.workos_authorize_url(organization => 'org_acme')"),
    ("`auth.start_sign_in`", "select * from auth.start_sign_in(organization => 'org_acme')"),
];

/// Prints a line a statement.
///
/// # Errors
/// A statement fails.
pub async fn measure(bench: &Bench, clients: usize, rounds: usize) -> Result<()> {
    let mut samples: [Vec<Sample>; STATEMENTS.len()] = Default::default();
    for _ in 0..rounds {
        for ((_, statement), samples) in STATEMENTS.iter().zip(&mut samples) {
            samples.push(repeat(bench, clients, statement).await?);
            // Each round begins with the same tables.
            bench.admin.batch_execute("delete from auth.flow_states; truncate bench_rows; checkpoint").await?;
        }
    }
    let [function, insert, ..] = &samples;
    for ((name, _), samples) in STATEMENTS.iter().zip(&samples) {
        let times = |floor: &[Sample]| median(samples.iter().zip(floor).map(|(sample, floor)| sample.times(floor)));
        let rate = spread(samples.iter().map(Sample::per_second), 0);
        let cpu = spread(samples.iter().map(Sample::cpu_milliseconds), 3);
        tell!("| {name} | {clients} | {rate} | {:.1} | {:.2} | {cpu} |", times(function), times(insert));
    }
    Ok(())
}

async fn repeat(bench: &Bench, clients: usize, statement: &'static str) -> Result<Sample> {
    let mut jobs = Vec::new();
    for _ in 0..clients {
        let client = bench.cluster.connect(DATABASE, SUPERUSER).await?;
        let backend = backend_pid(&client).await?;
        let prepared = client.prepare(statement).await?;
        client.query(&prepared, &[]).await?;
        jobs.push(measured_with(Some(backend), async move {
            let (mut count, begin) = (0, Instant::now());
            while begin.elapsed() < DURATION {
                client.query(&prepared, &[]).await?;
                count += 1;
            }
            Ok((count, client))
        }));
    }
    together(jobs).await
}
