//! Refreshes, beside the `UPDATE` of one row by its primary key in a table of the same size and shape.

use std::sync::Arc;
use std::time::{Duration, Instant};

use workos_auth_core::random;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Result};

use super::people::{CLIENT, People, id_and_salt, refused};
use crate::report::tell;
use crate::sample::{Sample, backend_pid, measured_with, median, spread, together};

/// How long a statement is repeated, each round.
const DURATION: Duration = Duration::from_secs(2);
/// What a connection does before it is measured_with: the first calls open keys and plan statements.
pub const WARM_UP: usize = 20;

/// What the columns are.
pub const HEAD: &str = "\
| sessions | statement | clients | per second, min / median / max | time, in rows updated | time, at the smaller size | CPU of the backend, ms |
|---|---|---|---|---|---|---|";

/// What is done to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `auth.refresh_session`
    Refresh,
    /// an `UPDATE` of the same columns in `bench_sessions`
    Update,
}

impl Call {
    /// The floor first.
    pub const ALL: [Self; 2] = [Self::Update, Self::Refresh];

    /// For the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refresh => "`auth.refresh_session`",
            Self::Update => "an `UPDATE` of one row",
        }
    }

    fn statement(self) -> String {
        match self {
            Self::Refresh => format!("select * from auth.refresh_session($1, {CLIENT})"),
            Self::Update => format!(
                "with client (ip, user_agent) as (values ({CLIENT}))
                 update bench_sessions as s
                 set refresh_token_counter = refresh_token_counter + 1, refreshed_at = clock_timestamp(), updated_at = now(),
                     ip = client.ip, user_agent = client.user_agent
                 from client where s.id = $1::text::uuid"
            ),
        }
    }

    fn argument(self, people: &People, number: usize) -> Result<String> {
        match self {
            Self::Refresh => people.token(number),
            Self::Update => Ok(id_and_salt(number)?.0.to_string()),
        }
    }
}

/// Which sessions each client works on, and how long. The clients share none.
#[derive(Debug, Clone, Copy)]
pub enum Amount {
    /// random ones, until [`DURATION`] is over
    Time,
    /// random ones, this many
    Random(usize),
    /// this many, at equal distances over the numbers, which are in no order in the table
    Spread(usize),
}

/// Prints a line for the floor and one for the refresh, at each size.
///
/// # Errors
/// A statement fails.
pub async fn measure(cluster: &Cluster, sizes: &[Arc<People>], clients: usize, rounds: usize) -> Result<()> {
    let mut samples: Vec<[Vec<Sample>; 2]> = sizes.iter().map(|_| Default::default()).collect();
    for _ in 0..rounds {
        for (people, samples) in sizes.iter().zip(&mut samples) {
            for (call, samples) in Call::ALL.into_iter().zip(samples) {
                samples.push(run(cluster, people, call, clients, Amount::Time).await?);
            }
        }
    }
    let Some(smaller) = samples.first() else { return Ok(()) };
    for (people, samples) in sizes.iter().zip(&samples) {
        let [floor, _] = samples;
        for ((call, own), smaller) in Call::ALL.into_iter().zip(samples).zip(smaller) {
            let times = |than: &[Sample]| median(own.iter().zip(than).map(|(sample, than)| sample.times(than)));
            let rate = spread(own.iter().map(Sample::per_second), 0);
            let cpu = spread(own.iter().map(Sample::cpu_milliseconds), 3);
            let (floors, smaller) = (times(floor), times(smaller));
            tell!("| {} | {} | {clients} | {rate} | {floors:.2} | {smaller:.2} | {cpu} |", people.count, call.name());
        }
    }
    Ok(())
}

/// Does it with so many clients at once.
///
/// # Errors
/// A statement fails, or does not write one row.
pub async fn run(
    cluster: &Cluster,
    people: &Arc<People>,
    call: Call,
    clients: usize,
    amount: Amount,
) -> Result<Sample> {
    let mut jobs = Vec::new();
    for number in 0..clients {
        let client = cluster.connect(people.database, SUPERUSER).await?;
        let backend = backend_pid(&client).await?;
        let prepared = client.prepare(&call.statement()).await?;
        let people = Arc::clone(people);
        let share = people.count / clients;
        let once = async move |at: usize| {
            let session = at % share * clients + number;
            client.query(&prepared, &[&call.argument(&people, session)?]).await?;
            if call == Call::Refresh {
                people.was_refreshed(session)?;
            }
            Result::Ok(())
        };
        for _ in 0..WARM_UP {
            once(anywhere()?).await?;
        }
        jobs.push(measured_with(Some(backend), async move {
            let (mut count, begin) = (0, Instant::now());
            loop {
                let at = match amount {
                    Amount::Time if begin.elapsed() >= DURATION => break,
                    Amount::Random(most) | Amount::Spread(most) if count >= most => break,
                    Amount::Spread(most) => count * (share / most).max(1),
                    Amount::Time | Amount::Random(_) => anywhere()?,
                };
                once(at).await?;
                count += 1;
            }
            Ok((count, once))
        }));
    }
    together(jobs).await
}

fn anywhere() -> Result<usize> {
    Ok(usize::from_le_bytes(random::bytes().map_err(refused)?))
}
