//! What refreshes leave behind: bytes of WAL, and tables and indexes that grow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use workos_testbed::{Cluster, Error, Result};

use super::people::People;
use super::refreshes::{Amount, Call, WARM_UP, run};
use crate::report::tell;
use crate::sample::spread;

/// How many are refreshed at a time, each another session.
const SESSIONS: usize = 1000;
/// How long the server may take to count what it did.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who refreshes the million.
const CLIENTS: usize = 8;

/// What the columns are.
pub const WAL_HEAD: &str = "\
| sessions | statement | bytes of WAL, min / median / max | the first time after a checkpoint, min / median / max |
|---|---|---|---|";
/// And of the table of growth.
pub const GROWTH_HEAD: &str = "\
| sessions | refreshes | HOT | `auth.sessions`, MB, before / after | its indexes, MB, before / after | growth, table / indexes / both | autovacuums |
|---|---|---|---|---|---|---|";

/// Prints how much WAL a refresh and its floor write, at each size.
///
/// # Errors
/// A statement fails.
pub async fn wal(cluster: &Cluster, sizes: &[Arc<People>], rounds: usize) -> Result<()> {
    for people in sizes {
        for call in Call::ALL {
            let (mut steady, mut fresh) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                // The first run pays for the pages after the checkpoint, the second finds them written.
                people.admin.batch_execute("checkpoint").await?;
                for bytes in [&mut fresh, &mut steady] {
                    let before = position(&people.admin).await?;
                    run(cluster, people, call, 1, Amount::Spread(SESSIONS)).await?;
                    bytes.push((position(&people.admin).await? - before) / (SESSIONS + WARM_UP) as f64);
                }
            }
            let (steady, fresh) = (spread(steady.into_iter(), 0), spread(fresh.into_iter(), 0));
            tell!("| {} | {} | {steady} | {fresh} |", people.count, call.name());
        }
    }
    Ok(())
}

/// How many bytes of WAL there are.
///
/// # Errors
/// The server does not answer.
pub async fn position(admin: &Client) -> Result<f64> {
    Ok(admin.query_one("select (pg_current_wal_insert_lsn() - '0/0')::float8", &[]).await?.get(0))
}

/// What the server says of `auth.sessions`.
#[derive(Debug, Clone, Copy)]
pub struct State {
    updates: u64,
    hot: u64,
    /// bytes
    table: u64,
    /// bytes
    indexes: u64,
    vacuums: u64,
}

/// The table as it is now.
///
/// # Errors
/// A statement fails.
pub async fn state(people: &People) -> Result<State> {
    let sql = "select n_tup_upd, n_tup_hot_upd, pg_table_size(relid), pg_indexes_size(relid), autovacuum_count
               from pg_stat_user_tables where relid = 'auth.sessions'::regclass";
    let row = people.admin.query_one(sql, &[]).await?;
    let get = |column| row.get::<_, i64>(column).unsigned_abs();
    Ok(State { updates: get(0), hot: get(1), table: get(2), indexes: get(3), vacuums: get(4) })
}

/// Refreshes random sessions over and over, so many times in all. Not waiting for the disk, which changes nothing about what is
/// measured.
///
/// # Errors
/// A statement fails.
pub async fn refresh(cluster: &Cluster, people: &Arc<People>, refreshes: usize) -> Result<()> {
    let database = people.database;
    people.admin.batch_execute(&format!("alter database {database} set synchronous_commit = off")).await?;
    run(cluster, people, Call::Refresh, CLIENTS, Amount::Random(refreshes.div_ceil(CLIENTS))).await?;
    Ok(people.admin.batch_execute(&format!("alter database {database} reset synchronous_commit")).await?)
}

/// Prints by how much the table has grown since it was filled, and the share of HOT updates among all refreshes.
///
/// # Errors
/// A statement fails, or the server counted other updates than there were refreshes.
pub async fn growth(people: &People, filled: State) -> Result<()> {
    let refreshes = people.refreshes();
    let begin = Instant::now();
    let now = loop {
        let now = state(people).await?;
        if now.updates >= refreshes || begin.elapsed() > PATIENCE {
            break now;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    if now.updates != refreshes {
        return Err(Error::Other(format!("{refreshes} refreshes updated {} rows", now.updates)));
    }
    let hot = 100.0 * now.hot as f64 / refreshes as f64;
    let times = |of: fn(&State) -> u64| of(&now) as f64 / of(&filled) as f64;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    tell!(
        "| {} | {refreshes} | {hot:.2} % | {:.1} / {:.1} | {:.1} / {:.1} | {:.2} / {:.2} / {:.2} | {} |",
        people.count,
        megabytes(filled.table),
        megabytes(now.table),
        megabytes(filled.indexes),
        megabytes(now.indexes),
        times(|state| state.table),
        times(|state| state.indexes),
        times(|state| state.table + state.indexes),
        now.vacuums - filled.vacuums,
    );
    Ok(())
}
