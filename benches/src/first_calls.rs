//! What a fresh connection pays: its first call, which loads the library where the server has not, fills the caches of
//! the catalogs and makes what the extension makes lazily; and its second.

use std::time::Instant;

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Browser, Result};

use crate::bench::{Bench, DATABASE};
use crate::exchanges::{EXCHANGE, Flow};
use crate::report::tell;
use crate::sample::{median, milliseconds, spread};

/// Fresh connections for each call.
const CONNECTIONS: usize = 25;

const FLOOR: &str = "select bench_floor()";
const START: &str = "select * from auth.start_sign_in(organization => 'org_acme')";
const VERIFY: &str = "select auth.verify_token($1)";

/// What the columns are.
pub const HEAD: &str = "\
| call | preloaded | the connection's first, ms, min / median / max | its second, ms, median |
|---|---|---|---|";

/// Prints a line a call.
///
/// # Errors
/// A statement or the browser fails.
pub async fn measure(preloaded: &str, bench: &Bench) -> Result<()> {
    let browser = Browser::new()?;
    let Flow { callback, verifier } = Flow::start(&bench.admin, &browser, None).await?;
    let session = bench.admin.query_one(EXCHANGE, &[&callback.code, &verifier, &callback.state]).await?;
    let token: String = session.get("access_token");

    let mut calls: [(&str, Vec<[f64; 2]>); 4] = [
        ("an empty PL/pgSQL function", Vec::new()),
        ("`auth.start_sign_in`", Vec::new()),
        ("`auth.verify_token`", Vec::new()),
        ("`auth.exchange_code`", Vec::new()),
    ];
    for _ in 0..CONNECTIONS {
        let [floor, start, verify, exchange] = &mut calls;
        floor.1.push(twice(bench, [(FLOOR, &[]), (FLOOR, &[])]).await?);
        start.1.push(twice(bench, [(START, &[]), (START, &[])]).await?);
        verify.1.push(twice(bench, [(VERIFY, &[&token]), (VERIFY, &[&token])]).await?);
        let flows =
            [Flow::start(&bench.admin, &browser, None).await?, Flow::start(&bench.admin, &browser, None).await?];
        let [first, second] = flows.each_ref().map(|Flow { callback, verifier }| {
            let binds: [&(dyn ToSql + Sync); 3] = [&callback.code, verifier, &callback.state];
            binds
        });
        exchange.1.push(twice(bench, [(EXCHANGE, &first), (EXCHANGE, &second)]).await?);
    }
    for (name, times) in &calls {
        let first = spread(times.iter().map(|[first, _]| *first), 1);
        let second = median(times.iter().map(|[_, second]| *second));
        tell!("| {name} | {preloaded} | {first} | {second:.2} |");
    }
    Ok(())
}

/// A statement with its bind values.
type Call<'a> = (&'a str, &'a [&'a (dyn ToSql + Sync)]);

/// The milliseconds that two calls take, one after the other, on a connection of their own.
async fn twice(bench: &Bench, calls: [Call<'_>; 2]) -> Result<[f64; 2]> {
    let client = bench.cluster.connect(DATABASE, SUPERUSER).await?;
    let [first, second] = calls;
    Ok([timed(&client, first).await?, timed(&client, second).await?])
}

async fn timed(client: &Client, (statement, binds): Call<'_>) -> Result<f64> {
    let begin = Instant::now();
    client.query(statement, binds).await?;
    Ok(milliseconds(begin.elapsed()))
}
