//! What `workos_auth.check_sessions` costs: a look at the session's row, in each statement that reads a claim after something was written.

use futures_util::future::try_join_all;
use tokio_postgres::{Client, NoTls};
use workos_testbed::Result;

use super::connection::{Connection, PIPELINED, SESSIONS};
use crate::report::tell;
use crate::sample::{DIFFERENCES, Sample, backend_pid, differences, measured};

/// Statements a turn.
const STATEMENTS: usize = 1_000;
/// Turns a round.
const TURNS: usize = 20;
const READ: &str = "select auth.uid()";
const FLOOR: &str = "select bench_c_uuid()";
/// Until it is cancelled.
const WRITE: &str = "call bench_commits()";

/// Prints the lines of each database, the first of which has [`SESSIONS`] rows, the second one.
///
/// # Errors
/// A statement fails.
pub async fn measure(databases: &[(Connection<'_>, &String); 2], rounds: usize) -> Result<()> {
    tell!("| rows of `auth.sessions` | `select auth.uid()` | {DIFFERENCES} |\n|---|---|---|---|---|");
    for ((connection, token), rows) in databases.iter().zip([SESSIONS, 1]) {
        let [on, off] = [connection.reader(true, token).await?, connection.reader(false, token).await?];
        let [mut quiet, mut busy] = [[const { Vec::new() }; 3], [const { Vec::new() }; 3]];
        let turns = rounds * TURNS;
        in_turn(&on, &off, turns, &mut quiet).await?;
        let writer = connection.open(false).await?;
        let cancel = writer.cancel_token();
        let writing = tokio::spawn(async move { writer.batch_execute(WRITE).await });
        let outcome = in_turn(&on, &off, turns, &mut busy).await;
        cancel.cancel_query(NoTls).await?;
        // It was cancelled.
        let _ = writing.await;
        outcome?;
        let [floor, without, with] = &quiet;
        line(rows, "`check_sessions` off, over an empty C function", without, floor);
        line(rows, "on, over off, while nothing is written", with, without);
        let [_, without, with] = &busy;
        line(rows, "on, over off, while another connection commits all the time: the look-up", with, without);
    }
    Ok(())
}

/// The floor, and the readers without looks and with them.
async fn in_turn(on: &Client, off: &Client, turns: usize, [floor, without, with]: &mut [Vec<Sample>; 3]) -> Result<()> {
    for _ in 0..turns {
        floor.push(repeat(off, FLOOR).await?);
        without.push(repeat(off, READ).await?);
        with.push(repeat(on, READ).await?);
    }
    Ok(())
}

fn line(rows: u32, name: &str, samples: &[Sample], floor: &[Sample]) {
    tell!("| {rows} | {name} | {} |", differences(samples, floor));
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
