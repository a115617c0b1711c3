//! What every request pays before its first query: `auth.set_session`, and the first read.
//!
//! A request and what it stands beside take turns over one connection, a hundred requests each, and the difference is that of two
//! neighbours: what the machine does meanwhile comes to both alike.

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Statement};
use workos_testbed::Result;

use super::connection::{Connection, PIPELINED};
use super::tokens::{Issuer, Tokens, payload};
use crate::report::tell;
use crate::sample::{DIFFERENCES, Sample, backend_pid, differences, measured, quartiles};

/// Requests a turn.
const REQUESTS: usize = 100;
/// Turns a round.
const TURNS: usize = 40;

/// How a request is sent.
#[derive(Clone, Copy)]
enum Way {
    /// Two statements between `begin` and `commit`, as drivers send them, without waiting for one answer before the next, so that the
    /// time is the server's and not that of waking it.
    Statements([&'static str; 2]),
    /// From within the server, where the figure has no protocol in it, which leaves the processor's caches to the kernel and to the
    /// parser between one request and the next.
    Procedure(&'static str),
}

/// Empty C functions, of which the first sends the same claims, or none.
const FLOOR: Way = Way::Statements(["select bench_c_send_claims($1)", "select bench_c_uuid()"]);
const QUIET_FLOOR: Way = Way::Statements(["select bench_c_set_session($1) is not null", "select bench_c_uuid()"]);
const BARE: Way = Way::Procedure("bench_no_requests");
/// The first checks a signature beforehand.
const CHECK: Way = Way::Statements(["select bench_c_check_signature($1)", "select bench_c_uuid()"]);
const BARE_CHECK: Way = Way::Procedure("bench_signature_checks");
const REQUEST: Way = Way::Statements(["select auth.set_session($1)", "select auth.uid()"]);
const QUIET: Way = Way::Statements(["select auth.set_session($1) is not null", "select auth.uid()"]);
const PROCEDURE: Way = Way::Procedure("bench_requests");

/// Prints a line a request.
///
/// # Errors
/// A statement fails.
pub async fn measure(connection: &Connection<'_>, issuer: &Issuer, tokens: &Tokens, rounds: usize) -> Result<()> {
    tell!("| request | `check_sessions` | over | {DIFFERENCES} |\n|---|---|---|---|---|---|");
    let checks: Vec<f64> = issuer.signature_checks(&tokens.unseen)?;
    tell!("| an ES256 signature check, one after the other in a process of its own | | | | | {} |", quartiles(checks));
    let turns = rounds * TURNS;
    for (check_sessions, setting) in [(true, "on"), (false, "off")] {
        let [floor, quiet_floor, request, quiet] =
            in_turn(connection, check_sessions, [FLOOR, QUIET_FLOOR, REQUEST, QUIET], tokens, &tokens.seen, turns)
                .await?;
        let [fresh_floor, check, fresh] =
            in_turn(connection, check_sessions, [FLOOR, CHECK, REQUEST], tokens, &tokens.unseen, turns).await?;
        let [again_check, again] =
            in_turn(connection, check_sessions, [CHECK, REQUEST], tokens, &tokens.refreshed, turns).await?;
        let [bare, procedure] =
            in_turn(connection, check_sessions, [BARE, PROCEDURE], tokens, &tokens.seen, turns).await?;
        let [fresh_bare, bare_check, fresh_procedure] =
            in_turn(connection, check_sessions, [BARE, BARE_CHECK, PROCEDURE], tokens, &tokens.unseen, turns).await?;
        let line = |name: &str, over: &str, samples: &[Sample], floor: &[Sample]| {
            tell!("| {name} | {setting} | {over} | {} |", differences(samples, floor));
        };
        const EMPTY: &str = "empty C functions";
        const ONE_CHECK: &str = "a C function that checks the signature";
        line("`begin; set_session; uid(); commit`, tokens that this backend has seen", EMPTY, &request, &floor);
        line("the same, without sending the claims back", EMPTY, &quiet, &quiet_floor);
        line("the same by a procedure, without a protocol", EMPTY, &procedure, &bare);
        line("a C function that checks an ES256 signature, and sends the claims", EMPTY, &check, &fresh_floor);
        line("the same by a procedure", EMPTY, &bare_check, &fresh_bare);
        line("`begin; set_session; uid(); commit`, tokens that it has not seen", ONE_CHECK, &fresh, &check);
        line("the same, all of one session, as its refreshes give them", ONE_CHECK, &again, &again_check);
        line("not seen, each of its own session, by a procedure", ONE_CHECK, &fresh_procedure, &bare_check);
    }
    Ok(())
}

/// The ways in turn, over a warm connection of their own, with the tokens one after the other.
async fn in_turn<const WAYS: usize>(
    connection: &Connection<'_>,
    check_sessions: bool,
    ways: [Way; WAYS],
    Tokens { usual, key, .. }: &Tokens,
    requested: &[String],
    turns: usize,
) -> Result<[Vec<Sample>; WAYS]> {
    let client = connection.open(check_sessions).await?;
    client.execute("select bench_c_keep_claims($1::text::jsonb)", &[&payload(usual)?]).await?;
    client.execute("select bench_c_keep_key($1)", &[key]).await?;
    let backend = backend_pid(&client).await?;
    let mut prepared = Vec::new();
    for way in ways {
        prepared.push(Prepared::new(&client, way).await?);
    }
    let mut samples = [const { Vec::new() }; WAYS];
    // Every token once: by then the process has the pages of the tables mapped, as that of a connection in use has.
    let turn = |number: usize| -> Vec<&String> {
        requested.iter().cycle().skip(number * REQUESTS % requested.len()).take(REQUESTS).collect()
    };
    for way in &prepared {
        for number in 0..requested.len().div_ceil(REQUESTS) {
            way.send(&client, &turn(number)).await?;
        }
    }
    for number in 0..turns {
        let tokens = turn(number);
        for (way, samples) in prepared.iter().zip(&mut samples) {
            samples.push(measured(Some(backend), way.send(&client, &tokens)).await?);
        }
    }
    Ok(samples)
}

/// A way that the server has prepared.
enum Prepared {
    Statements([Statement; 4]),
    Procedure(Statement),
}

impl Prepared {
    async fn new(client: &Client, way: Way) -> Result<Self> {
        Ok(match way {
            Way::Statements([set_session, uid]) => Self::Statements([
                client.prepare("begin").await?,
                client.prepare(set_session).await?,
                client.prepare(uid).await?,
                client.prepare("commit").await?,
            ]),
            Way::Procedure(name) => Self::Procedure(client.prepare(&format!("call {name}($1)")).await?),
        })
    }

    async fn send(&self, client: &Client, tokens: &[&String]) -> Result<usize> {
        match self {
            Self::Procedure(call) => drop(client.execute(call, &[&tokens]).await?),
            Self::Statements(request) => {
                for tokens in tokens.chunks(PIPELINED / request.len()) {
                    let statements =
                        tokens.iter().flat_map(|token| request.iter().map(move |statement| (statement, token)));
                    try_join_all(statements.map(async |(statement, token)| match statement.params() {
                        [] => client.execute(statement, &[]).await,
                        _ => client.execute(statement, &[token]).await,
                    }))
                    .await?;
                }
            }
        }
        Ok(tokens.len())
    }
}
