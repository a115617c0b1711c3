//! What a refresh and an exchange cost where there are few people and where there are millions, in the same run, and what
//! refreshes leave behind.
//!
//! Every size is a database of its own in one cluster, and every round measures all of them right after one another.
//!
//! | file | what it measures |
//! |---|---|
//! | `people.rs` | nothing: it fills the tables |
//! | `refreshes.rs` | refreshes, and the update of one row |
//! | `writes.rs` | bytes of WAL, HOT updates, growth |

pub mod people;
pub mod refreshes;
pub mod writes;

use std::sync::Arc;
use std::time::Instant;

use workos_testbed::Result;
use workos_testbed::cluster::SUPERUSER;

use crate::bench::{Bench, CLIENTS, DATABASE, machine, number};
use crate::exchanges;
use crate::report::tell;
use crate::sample::{Sample, median, spread};
use people::People;

/// People in the smaller database, each with a session.
const FEW: usize = 10_000;
/// People in the larger one; `BENCH_SESSIONS` is another number.
const MANY: usize = 5_000_000;
/// How often the few sessions are refreshed, to see the table grow; `BENCH_REFRESHES` is another number.
const REFRESHES: usize = 1_000_000;

/// The larger database.
const LARGE: &str = "large";

/// What a reader of the tables must know.
const CONDITIONS: &str = "\
- Default settings (shared_buffers 128 MB, autovacuum on), fsync on. Server, simulator and clients share the machine.
- Every person has an identity, a membership and a session. The sessions refreshed are random ones of all.
- The row updated stands in a table of the same rows and indexes, and gets the same columns.
- Ratios are medians over the rounds, each with its own floor.";

const EXCHANGES_HEAD: &str = "\
| people | clients | `auth.exchange_code` per second, min / median / max | time, at the smaller size | CPU of the backend, ms |
|---|---|---|---|---|";

/// Measures all of it, and prints the tables.
///
/// # Errors
/// A statement fails. The server's log, which goes with the cluster, is printed then.
pub async fn measure(rounds: usize) -> Result<()> {
    let bench = Bench::start(&[]).await?;
    let outcome = measure_in(&bench, rounds).await;
    if outcome.is_err() {
        eprintln!("{}", bench.cluster.log()?);
    }
    outcome
}

async fn measure_in(bench: &Bench, rounds: usize) -> Result<()> {
    tell!("{}.\n\n{CONDITIONS}\n", machine(&bench.admin).await?);
    let cluster = &bench.cluster;
    let many = number("BENCH_SESSIONS", MANY).max(FEW);
    let begin = Instant::now();
    cluster.create_database(LARGE).await?;
    let large = bench.workos.install(cluster, LARGE).await?;
    let small = cluster.connect(DATABASE, SUPERUSER).await?;
    let mut sizes = Vec::new();
    let mut filled = Vec::new();
    for (database, admin, count) in [(DATABASE, small, FEW), (LARGE, large, many)] {
        let people = People::new(cluster, database, admin, count).await?;
        filled.push(writes::state(&people).await?);
        sizes.push(Arc::new(people));
    }
    eprintln!("{} s to fill the tables", begin.elapsed().as_secs());

    tell!("{}", refreshes::HEAD);
    for clients in CLIENTS {
        refreshes::measure(cluster, &sizes, clients, rounds).await?;
    }
    tell!("\n{}", writes::WAL_HEAD);
    writes::wal(cluster, &sizes, rounds).await?;

    if let Some(few) = sizes.first() {
        writes::refresh(cluster, few, number("BENCH_REFRESHES", REFRESHES)).await?;
    }
    tell!("\n{}", writes::GROWTH_HEAD);
    for (people, filled) in sizes.iter().zip(filled) {
        writes::growth(people, filled).await?;
    }
    tell!("\n{EXCHANGES_HEAD}");
    for clients in CLIENTS {
        measure_exchanges(bench, &sizes, clients, rounds).await?;
    }
    eprintln!("{} s in all", begin.elapsed().as_secs());
    Ok(())
}

/// Prints a line a size.
async fn measure_exchanges(bench: &Bench, sizes: &[Arc<People>], clients: usize, rounds: usize) -> Result<()> {
    let mut samples: Vec<Vec<Sample>> = sizes.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (people, samples) in sizes.iter().zip(&mut samples) {
            samples.push(exchanges::exchanges(bench, people.database, clients).await?);
        }
    }
    let Some(smaller) = samples.first() else { return Ok(()) };
    for (people, samples) in sizes.iter().zip(&samples) {
        let rate = spread(samples.iter().map(Sample::per_second), 0);
        let times = median(samples.iter().zip(smaller).map(|(sample, than)| sample.times(than)));
        let cpu = spread(samples.iter().map(Sample::cpu_milliseconds), 2);
        tell!("| {} | {clients} | {rate} | {times:.2} | {cpu} |", people.count);
    }
    Ok(())
}
