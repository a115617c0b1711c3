//! What following WorkOS costs, for docs/mirror.md: a directory that is compared, and events that are applied. Only by its name,
//! `make bench BENCH=mirror`; prints its figures, and writes no page.

use std::fs;
use std::time::Instant;

use tokio_postgres::Client;
use workos_simulator::{Change, EventSettings, NewDirectory, NewDirectoryUser};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Error, Result};

use crate::bench::{Bench, DATABASE, machine, number};
use crate::report::tell;
use crate::sample::{backend_pid, measured};

/// People in the directory; `BENCH_PEOPLE` is another number.
const PEOPLE: usize = 100_000;

/// Measures both, and prints a table.
///
/// # Errors
/// A call fails.
pub async fn measure() -> Result<()> {
    let bench = Bench::start(&["max_wal_size = '8GB'"]).await?;
    let people = number("BENCH_PEOPLE", PEOPLE);
    tell!(
        "{}.\n\nServer and simulator share the machine; {people} people in one directory.\n",
        machine(&bench.admin).await?
    );
    let simulator = bench.workos.simulator();
    simulator.set_events(EventSettings { hold_back_ms: 0, ..EventSettings::default() });
    let person = |n: usize| NewDirectoryUser {
        idp_id: format!("okta-{n}"),
        email: Some(format!("p{n}@acme.com")),
        ..NewDirectoryUser::default()
    };
    let new = NewDirectory {
        organization: "org_acme".into(),
        name: "Acme".into(),
        users: (0..people).map(person).collect(),
        ..NewDirectory::default()
    };
    simulator.change(Change::CreateDirectory(new)).map_err(|error| Error::Other(format!("{error:?}")))?;

    tell!(
        "| what | items | seconds | a minute | CPU of the backend, ms an item | memory of the backend, MB, before and after |"
    );
    tell!("|---|---|---|---|---|---|");
    for (what, call) in [
        ("the first comparison", "call auth.reconcile_workos()"),
        ("another comparison", "call auth.reconcile_workos()"),
        ("their events", "call auth.sync_workos(1000000)"),
    ] {
        let client = bench.cluster.connect(DATABASE, SUPERUSER).await?;
        let backend = backend_pid(&client).await?;
        client.batch_execute("select auth.uid()").await?;
        let before = own_memory(backend);
        let began = Instant::now();
        let sample = measured(Some(backend), run(&client, call, people)).await?;
        let seconds = began.elapsed().as_secs_f64();
        let a_minute = people as f64 / seconds * 60.0;
        tell!(
            "| {what} | {people} | {seconds:.0} | {a_minute:.0} | {:.2} | {before:.0}, {:.0} |",
            sample.cpu_milliseconds(),
            own_memory(backend)
        );
    }
    Ok(())
}

async fn run(client: &Client, call: &str, items: usize) -> Result<usize> {
    client.batch_execute(call).await?;
    Ok(items)
}

/// The memory that is a process's own, in MB. It is taken at the end: what is freed goes back to the system late, if at all.
fn own_memory(pid: i32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes: f64 = line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(f64::NAN);
    kilobytes / 1024.0
}
