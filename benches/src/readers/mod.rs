//! What the claim readers cost: on every row of a policy, once a request, and once a statement.
//!
//! | module | what it measures |
//! |---|---|
//! | [`rows`] | a policy on every row, as [`catalogue`] lists them |
//! | [`requests`] | `auth.set_session` and the first read |
//! | [`look_up`] | the look at the session's row, once a statement |
//! | [`tokens`] | makes tokens, and times AWS-LC's signature check |
//! | [`floor`] | empty C functions, and `auth.uid()` as people write it by hand |
//! | [`plot`] | the picture of `docs/benchmarks.md` |

mod catalogue;
mod connection;
mod floor;
mod look_up;
mod plot;
mod requests;
mod rows;
mod tokens;

use std::path::Path;

use workos_testbed::Result;

use crate::bench::{Bench, DATABASE, machine};
use crate::report::tell;
use connection::{Connection, SESSIONS};
use tokens::{Issuer, SESSION, Tokens};

/// Everything in memory, and nothing beside it. Parallel plans wherever they are possible.
const SETTINGS: &[&str] = &[
    "shared_buffers = '1GB'",
    "jit = off",
    "autovacuum = off",
    "fsync = off",
    "max_wal_size = '8GB'",
    "checkpoint_timeout = '1d'",
    "max_parallel_workers_per_gather = 0",
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_table_scan_size = 0",
];

/// What a reader of the tables must know.
const CONDITIONS: &str = "\
- Readers: a sequential scan of 1,000,000 rows (100,000 where a document is read) under a policy, as a role that the policy binds.
- All rows are in shared_buffers, and every policy is true of every row. jit and autovacuum are off.
- Nanoseconds are the backend's CPU for each row, over the same query with a constant in place of the call. Where the policy is the call \
alone, it is over a query with no filter; where it reads the organization, over one with `organization is not null`.
- Beside each stands its floor: an empty C function of the same result type, or the stored column.
- Workers: \"none\" where Postgres takes none, since the function is not PARALLEL SAFE.
- Milliseconds are the quickest whole query. \"Times the floor's query\" compares the CPU of two of them.
- Microseconds are the differences between a request and its neighbour, with which it takes turns.
- The quietest twentieth of each is compared as well, since what shares the machine only adds.
- The statements are sent without waiting for each answer, or run by a procedure, which leaves the protocol out.";

/// A database with one session.
const SINGLE: &str = "bench_single";
/// Tokens that a backend has not seen.
const UNSEEN: usize = 2000;
/// Tokens that a backend has seen, which take turns as in a pool.
const SEEN: usize = 4;

/// Measures all of it, prints the tables, and writes the picture.
///
/// # Errors
/// A statement fails, or the picture cannot be written. The server's log, which goes with the cluster, is printed then.
pub async fn measure(rounds: usize) -> Result<()> {
    let bench = Bench::start(SETTINGS).await?;
    let outcome = measure_in(&bench, rounds).await;
    if outcome.is_err() {
        eprintln!("{}", bench.cluster.log()?);
    }
    outcome
}

async fn measure_in(bench: &Bench, rounds: usize) -> Result<()> {
    let machine = machine(&bench.admin).await?;
    tell!("{machine}.\n\n{CONDITIONS}\n");

    let issuer = Issuer::new(&bench.admin).await?;
    let many_sessions =
        format!("insert into auth.sessions (id) select gen_random_uuid() from generate_series(1, {SESSIONS})");
    bench.admin.batch_execute(&many_sessions).await?;
    let usual = issuer.tokens(&bench.admin, 1, Some(SESSION)).await?.remove(0);
    let tokens = Tokens {
        large: issuer.large_token()?,
        seen: issuer.tokens(&bench.admin, SEEN, None).await?,
        unseen: issuer.tokens(&bench.admin, UNSEEN, None).await?,
        refreshed: issuer.tokens(&bench.admin, UNSEEN, Some(SESSION)).await?,
        key: issuer.point()?,
        usual,
    };
    bench.admin.batch_execute(&catalogue::schema(&tokens::payload(&tokens.usual)?)).await?;
    let library = floor::compile(&bench.cluster)?;
    floor::create(&bench.admin, &library).await?;
    for statement in ["vacuum (freeze, analyze)", "checkpoint"] {
        bench.admin.batch_execute(statement).await?;
    }

    let connection = Connection { cluster: &bench.cluster, database: DATABASE };
    tell!("{}\n", rows::sizes(&bench.admin, &tokens).await?);
    let costs = rows::measure(&bench.admin, &connection, &tokens, rounds).await?;
    tell!();
    requests::measure(&connection, &issuer, &tokens, rounds).await?;
    tell!();
    let (lone, token) = alone(bench, &library).await?;
    look_up::measure(&[(connection, &tokens.usual), (lone, &token)], rounds).await?;
    plot::write(&machine, &costs)
}

/// Another database, with a single session, and its token.
async fn alone<'a>(bench: &'a Bench, library: &Path) -> Result<(Connection<'a>, String)> {
    bench.cluster.create_database(SINGLE).await?;
    let admin = bench.workos.install(&bench.cluster, SINGLE).await?;
    floor::create(&admin, library).await?;
    let token = Issuer::new(&admin).await?.tokens(&admin, 1, Some(SESSION)).await?.remove(0);
    Ok((Connection { cluster: &bench.cluster, database: SINGLE }, token))
}
