//! What `workos_auth.check_sessions` costs: a look at the session's row, in each statement that reads a claim.

use futures_util::future::try_join_all;
use tokio_postgres::Client;
use workos_testbed::Result;

use super::{Connection, PIPELINED, SESSIONS};
use crate::sample::{Sample, backend_pid, measured, over, pair, times};

/// Statements a round.
const STATEMENTS: usize = 20_000;
const READ: &str = "select auth.uid()";
const FLOOR: &str = "select bench_c_uuid()";

/// What the columns are.
const HEAD: &str = "\
| rows of `auth.sessions` | statement | µs of the backend's CPU, min / median | µs, min / median |
|---|---|---|---|";

/// Prints three lines for each database, the first of which has [`SESSIONS`] rows, the second one.
///
/// # Errors
/// A statement fails.
pub async fn measure(databases: &[(Connection<'_>, &String); 2], rounds: usize) -> Result<()> {
    println!("{HEAD}");
    for ((connection, token), rows) in databases.iter().zip([SESSIONS, 1]) {
        let [on, off] = [connection.reader(true, token).await?, connection.reader(false, token).await?];
        let (mut floor, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            floor.push(repeat(&off, FLOOR).await?);
            with.push(repeat(&on, READ).await?);
            without.push(repeat(&off, READ).await?);
        }
        line(rows, "`select auth.uid()`, `check_sessions` off, over an empty C function", &without, &floor);
        line(rows, "the same with `check_sessions` on", &with, &floor);
        line(rows, "the difference, on over off: the look-up", &with, &without);
    }
    Ok(())
}

fn line(rows: u32, name: &str, samples: &[Sample], floor: &[Sample]) {
    let ([clock, cpu], [clock_floor, cpu_floor]) = (times(samples), times(floor));
    println!("| {rows} | {name} | {} | {} |", pair(over(&cpu, &cpu_floor)), pair(over(&clock, &clock_floor)));
}

async fn repeat(client: &Client, statement: &str) -> Result<Sample> {
    let prepared = client.prepare(statement).await?;
    client.query_one(&prepared, &[]).await?;
    measured(Some(backend_pid(client).await?), async {
        for _ in 0..STATEMENTS / PIPELINED {
            try_join_all((0..PIPELINED).map(|_| client.execute(&prepared, &[]))).await?;
        }
        Ok(STATEMENTS / PIPELINED * PIPELINED)
    })
    .await
}
