//! What a policy costs on every row: `count(*)` over a sequential scan, as a role that the policy binds.

use std::collections::HashMap;

use tokio_postgres::{Client, Statement};
use workos_testbed::{Error, Result};

use super::catalogue::{Filter, Table, filters};
use super::connection::Connection;
use super::tokens::{self, Tokens};
use crate::report::tell;
use crate::sample::{Sample, backend_pid, both, measured, over, pair, times};

/// The numbers of parallel workers.
const WORKERS: [usize; 3] = [0, 1, 2];
/// How often a query runs with each of them, each round, unless it takes longer than [`SLOW`].
const RUNS: [usize; WORKERS.len()] = [5, 2, 2];
/// Milliseconds after which a query runs once a round.
const SLOW: f64 = 1000.0;

/// What the columns are.
const HEAD: &str = "\
| policy | ns per row, min / median | times the floor's query | in `(select …)`, ns per row, min / median | \
  the query, ms, with 0 / 1 / 2 workers | in `(select …)`, ms, with 0 / 1 / 2 workers |
|---|---|---|---|---|---|";

/// The runs of a query, by the number of workers; none where the planner uses none.
#[derive(Debug, Default)]
struct Runs([Vec<Sample>; WORKERS.len()]);

impl Runs {
    /// Nanoseconds of the backend's CPU per row, over another query of the same table: of the quickest, and of the
    /// medians. What else the machine does in the meantime is not in them.
    fn per_row_over(&self, baseline: &Self, rows: u32) -> [f64; 2] {
        let [ours, theirs] = [self, baseline].map(|runs| {
            let [_, cpu] = times(&runs.0[0]);
            cpu
        });
        over(&ours, &theirs).map(|microseconds| microseconds * 1e3 / f64::from(rows))
    }

    /// How many of another query's CPU time this one's is, of the quickest without workers.
    fn times_of(&self, floor: &Self) -> f64 {
        let [ours, theirs] = [self, floor].map(|runs| {
            let [_, cpu] = times(&runs.0[0]);
            let [quickest, _] = both(&cpu);
            quickest
        });
        ours / theirs
    }

    /// The quickest on the clock, by the number of workers.
    fn milliseconds(&self) -> String {
        let quickest = |runs: &Vec<Sample>| runs.iter().map(Sample::milliseconds).reduce(f64::min);
        let cell = |runs| quickest(runs).map_or_else(|| "none".into(), |time| format!("{time:.0}"));
        self.0.each_ref().map(cell).join(" / ")
    }
}

/// What was found of a filter.
#[derive(Debug)]
pub struct Cost {
    /// Which.
    pub filter: Filter,
    /// Nanoseconds per row over the baseline, bare: of the quickest, and of the medians.
    pub bare: [f64; 2],
}

/// Measures every filter and prints a line for each.
///
/// # Errors
/// A statement fails, or a filter is not true of every row.
pub async fn measure(admin: &Client, connection: &Connection<'_>, tokens: &Tokens, rounds: usize) -> Result<Vec<Cost>> {
    let usual = connection.reader(true, &tokens.usual).await?;
    let large = connection.reader(true, &tokens.large).await?;
    let scan = Scan { admin };
    for table in [Table::Notes, Table::Documents] {
        scan.is_in_memory(&usual, table).await?;
    }

    let filters = filters();
    let mut runs: HashMap<(Table, bool, String), Runs> = HashMap::new();
    for _ in 0..rounds {
        // Shared baselines are measured once a round, right before the first filter that needs them.
        let mut measured = Vec::new();
        for filter in &filters {
            let client = if filter.large_token { &large } else { &usual };
            for policy in [Some(filter.baseline.clone()), Some(filter.bare()), filter.wrapped()].into_iter().flatten() {
                let key = (filter.table, filter.large_token, policy);
                if !measured.contains(&key) {
                    scan.run(client, filter.table, &key.2, runs.entry(key.clone()).or_default()).await?;
                    measured.push(key);
                }
            }
        }
    }

    tell!("{HEAD}");
    let none = Runs::default();
    let of = |filter: &Filter, policy: String| runs.get(&(filter.table, filter.large_token, policy)).unwrap_or(&none);
    let per_row = |filter: &Filter, policy: String| {
        of(filter, policy).per_row_over(of(filter, filter.baseline.clone()), filter.table.rows())
    };
    let mut costs = Vec::new();
    for filter in &filters {
        let bare = per_row(filter, filter.bare());
        let wrapped = filter.wrapped();
        let in_select = wrapped.clone().map(|policy| pair(per_row(filter, policy))).unwrap_or_default();
        tell!(
            "| {} | {} | {:.2} | {in_select} | {} | {} |",
            filter.name(),
            pair(bare),
            of(filter, filter.bare()).times_of(of(filter, filter.floor.clone())),
            of(filter, filter.bare()).milliseconds(),
            wrapped.map(|policy| of(filter, policy).milliseconds()).unwrap_or_default(),
        );
        costs.push(Cost { filter: filter.clone(), bare });
    }
    Ok(costs)
}

/// Queries under a policy.
struct Scan<'a> {
    admin: &'a Client,
}

impl Scan<'_> {
    /// Runs the query under the policy, with every number of workers that the planner takes.
    async fn run(&self, client: &Client, table: Table, policy: &str, runs: &mut Runs) -> Result<()> {
        let count = format!("select count(*) from {}", table.name());
        self.admin.batch_execute(&format!("alter policy bench on {} using ({policy})", table.name())).await?;
        let backend = backend_pid(client).await?;
        for ((workers, often), runs) in WORKERS.into_iter().zip(RUNS).zip(&mut runs.0) {
            client.batch_execute(&format!("set max_parallel_workers_per_gather = {workers}")).await?;
            let plan = client.query(&format!("explain {count}"), &[]).await?;
            let planned = format!("Workers Planned: {workers}");
            if workers > 0 && !plan.iter().any(|line| line.get::<_, &str>(0).contains(&planned)) {
                continue;
            }
            let statement = client.prepare(&count).await?;
            let once = || measured(Some(backend), counted(client, table, policy, &statement));
            let first = once().await?;
            if first.milliseconds() > SLOW {
                runs.push(first);
                continue;
            }
            for _ in 0..often {
                runs.push(once().await?);
            }
        }
        Ok(())
    }

    /// Refuses to measure a disk.
    async fn is_in_memory(&self, client: &Client, table: Table) -> Result<()> {
        let query = format!("explain (analyze, buffers, costs off) select count(*) from {}", table.name());
        client.query(&query, &[]).await?;
        let plan = client.query(&query, &[]).await?;
        match plan.iter().any(|line| line.get::<_, &str>(0).contains("read=")) {
            false => Ok(()),
            true => Err(Error::Other(format!("{} does not stay in shared_buffers", table.name()))),
        }
    }
}

/// The query, which must find every row.
async fn counted(client: &Client, table: Table, policy: &str, statement: &Statement) -> Result<usize> {
    let count: i64 = client.query_one(statement, &[]).await?.get(0);
    match count == i64::from(table.rows()) {
        true => Ok(1),
        false => Err(Error::Other(format!("{count} rows of {} are visible under {policy}", table.name()))),
    }
}

/// The bytes of the tokens' claims and of the stored document, for the reader of the table.
///
/// # Errors
/// A statement fails.
pub async fn sizes(admin: &Client, tokens: &Tokens) -> Result<String> {
    let stored = "select pg_column_size(claims), pg_column_compression(claims) is null from bench_documents limit 1";
    let row = admin.query_one(stored, &[]).await?;
    let (bytes, plain): (i32, bool) = (row.get(0), row.get(1));
    let [usual, large] = [&tokens.usual, &tokens.large].map(|token| tokens::payload(token).map(|text| text.len()));
    Ok(format!(
        "Claims: {} bytes of JSON; {} with {} roles, groups and permissions each. The stored jsonb: {bytes} bytes, {}.",
        usual?,
        large?,
        tokens::MANY,
        if plain { "inline and not compressed" } else { "compressed" },
    ))
}
