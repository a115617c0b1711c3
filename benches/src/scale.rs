//! What one issuer carries, for docs/scale.md: CPU, WAL and room for a sign-in, a refresh, a sign-out and a heartbeat. Only by its name,
//! `make bench BENCH=scale`; prints its figures, and writes no page.

use std::sync::Arc;

use tokio_postgres::Client;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Error, Result};

use crate::bench::{Bench, DATABASE, machine, number};
use crate::exchanges::exchanges;
use crate::report::tell;
use crate::sample::{Sample, backend_pid, measured};
use crate::sessions::people::People;
use crate::sessions::refreshes::{Amount, Call, run};
use crate::sessions::writes::position;

/// People with a session each; `BENCH_SESSIONS` is another number.
const PEOPLE: usize = 1_000_000;
/// Clients at once.
const CLIENTS: usize = 8;
/// Refreshes of each client, and sign-outs in all.
const REFRESHES: usize = 5_000;
const SIGN_OUTS: usize = 5_000;
/// Heartbeats.
const HEARTBEATS: usize = 1_000;
/// Tables that have rows for each person.
const TABLES: [&str; 4] = ["users", "identities", "organization_memberships", "sessions"];

const SETTINGS: &[&str] = &["wal_level = logical", "max_wal_size = '8GB'", "autovacuum = off"];

const CONDITIONS: &str = "\
- fsync on, default settings but wal_level = logical, max_wal_size = 8GB and autovacuum = off, which would write WAL of its own. Server, simulator and clients share the machine.
- Everybody has an identity, a membership and a session. Sessions are refreshed and signed out at random.
- CPU is that of the backend. A second of one core carries 1000 divided by it.";

/// Measures all of it, and prints the tables.
///
/// # Errors
/// A statement fails.
pub async fn measure() -> Result<()> {
    let bench = Bench::start(SETTINGS).await?;
    tell!("{}.\n\n{CONDITIONS}\n", machine(&bench.admin).await?);
    let admin = bench.cluster.connect(DATABASE, SUPERUSER).await?;
    let count = number("BENCH_SESSIONS", PEOPLE).max(CLIENTS * REFRESHES);
    let people = Arc::new(People::new(&bench.cluster, DATABASE, admin, count).await?);
    let admin = &bench.admin;
    admin.batch_execute("select auth.publish_sessions()").await?;

    tell!("| people | table | bytes a person, its rows | its indexes |\n|---|---|---|---|");
    for table in TABLES {
        let sql = format!("select pg_table_size('auth.{table}')::float8, pg_indexes_size('auth.{table}')::float8");
        let row = admin.query_one(&sql, &[]).await?;
        let of_each = |column| row.get::<_, f64>(column) / count as f64;
        tell!("| {count} | `auth.{table}` | {:.0} | {:.0} |", of_each(0), of_each(1));
    }

    tell!("\n| what | clients | a second | CPU, ms | bytes of WAL |\n|---|---|---|---|---|");
    let (sample, wal) = with_wal(admin, exchanges(&bench, DATABASE, CLIENTS)).await?;
    line("`auth.exchange_code`; its WAL has `auth.start_sign_in` in it", CLIENTS, &sample, wal);
    let refreshes = run(&bench.cluster, &people, Call::Refresh, CLIENTS, Amount::Spread(REFRESHES));
    let (sample, wal) = with_wal(admin, refreshes).await?;
    line("a refresh", CLIENTS, &sample, wal);
    let (sample, wal) = with_wal(admin, sign_outs(&bench)).await?;
    line("a session that is revoked", 1, &sample, wal);
    let (sample, wal) = with_wal(admin, heartbeats(&bench)).await?;
    line("a heartbeat", 1, &sample, wal);
    Ok(())
}

fn line(what: &str, clients: usize, sample: &Sample, wal: f64) {
    let rate = sample.per_second();
    tell!("| {what} | {clients} | {rate:.0} | {:.2} | {:.0} |", sample.cpu_milliseconds(), wal / sample.count as f64);
}

/// Does it, and says how many bytes of WAL were written meanwhile.
async fn with_wal(admin: &Client, work: impl Future<Output = Result<Sample>>) -> Result<(Sample, f64)> {
    // The pages after a checkpoint are written whole: that is a part of it.
    admin.batch_execute("checkpoint").await?;
    let before = position(admin).await?;
    let sample = work.await?;
    Ok((sample, position(admin).await? - before))
}

async fn sign_outs(bench: &Bench) -> Result<Sample> {
    let client = bench.cluster.connect(DATABASE, SUPERUSER).await?;
    let ids = format!("select id from auth.sessions order by md5(id::text) limit {SIGN_OUTS}");
    let ids = client.query(&ids, &[]).await?;
    let revoke = client.prepare("select auth.revoke_session($1)").await?;
    let backend = backend_pid(&client).await?;
    measured(Some(backend), async {
        for id in &ids {
            client.query_one(&revoke, &[&id.get::<_, uuid::Uuid>(0)]).await?;
        }
        Ok(ids.len())
    })
    .await
}

async fn heartbeats(bench: &Bench) -> Result<Sample> {
    let client = bench.cluster.connect(DATABASE, SUPERUSER).await?;
    let beat = client.prepare("select auth.send_heartbeat()").await?;
    let backend = backend_pid(&client).await?;
    measured(Some(backend), async {
        for _ in 0..HEARTBEATS {
            if client.query_one(&beat, &[]).await?.get::<_, Option<i64>>(0).is_none() {
                return Err(Error::Other("nobody would hear a heartbeat".into()));
            }
        }
        Ok(HEARTBEATS)
    })
    .await
}
