//! What every request pays before its first query: `auth.set_session`, and the first read.

use futures_util::future::try_join_all;
use tokio_postgres::{Client, Statement};
use workos_testbed::Result;

use super::tokens::{Issuer, payload};
use super::{Connection, PIPELINED, Tokens};
use crate::sample::{Sample, backend_pid, both, measured, over, pair, times};

/// Requests a round, of tokens that the backend has seen.
const REQUESTS: usize = 5000;

/// What the columns are.
const HEAD: &str = "\
| request | `check_sessions` | µs, min / median | µs of the backend's CPU, min / median |
|---|---|---|---|";

/// One statement each, as drivers send them.
const REQUEST: [&str; 2] = ["select auth.set_session($1)", "select auth.uid()"];
const QUIET: [&str; 2] = ["select auth.set_session($1) is not null", "select auth.uid()"];
/// Empty C functions, of which the first sends the same claims, or says as little as `QUIET`.
const FLOOR: [&str; 2] = ["select bench_c_send_claims($1)", "select bench_c_uuid()"];
/// The first checks a signature beforehand.
const CHECK: [&str; 2] = ["select bench_c_check_signature($1)", "select bench_c_uuid()"];
const QUIET_FLOOR: [&str; 2] = ["select bench_c_set_session($1) is not null", "select bench_c_uuid()"];

/// Prints a line a request.
///
/// # Errors
/// A statement fails.
pub async fn measure(connection: &Connection<'_>, issuer: &Issuer, tokens: &Tokens, rounds: usize) -> Result<()> {
    let seen = |round| tokens.seen.iter().cycle().skip(round).take(REQUESTS).collect::<Vec<_>>();
    let unseen: Vec<&String> = tokens.unseen.iter().collect();

    let mut floor = Vec::new();
    let mut quiet_floor = Vec::new();
    let (mut loop_floor, mut fresh_loop_floor) = (Vec::new(), Vec::new());
    let (mut checked, mut looped_checks) = (Vec::new(), Vec::new());
    let mut signature_checks = Vec::new();
    let mut known: [Vec<Sample>; 2] = Default::default();
    let mut quiet: [Vec<Sample>; 2] = Default::default();
    let mut fresh: [Vec<Sample>; 2] = Default::default();
    let mut looped: [Vec<Sample>; 2] = Default::default();
    let mut looped_fresh: [Vec<Sample>; 2] = Default::default();
    for round in 0..rounds {
        floor.push(requests(connection, true, FLOOR, tokens, &seen(round)).await?);
        quiet_floor.push(requests(connection, true, QUIET_FLOOR, tokens, &seen(round)).await?);
        checked.push(requests(connection, true, CHECK, tokens, &unseen).await?);
        for (at, check_sessions) in [true, false].into_iter().enumerate() {
            known[at].push(requests(connection, check_sessions, REQUEST, tokens, &seen(round)).await?);
            quiet[at].push(requests(connection, check_sessions, QUIET, tokens, &seen(round)).await?);
            fresh[at].push(requests(connection, check_sessions, REQUEST, tokens, &unseen).await?);
        }
        let count = tokens.unseen.len();
        loop_floor.push(in_a_procedure(connection, true, "bench_no_requests", &tokens.seen, REQUESTS).await?);
        fresh_loop_floor.push(in_a_procedure(connection, true, "bench_no_requests", &tokens.unseen, count).await?);
        looped_checks.push(in_a_procedure(connection, true, "bench_signature_checks", &tokens.unseen, count).await?);
        for (at, check_sessions) in [true, false].into_iter().enumerate() {
            let times = |of, count| in_a_procedure(connection, check_sessions, "bench_requests", of, count);
            looped[at].push(times(&tokens.seen, REQUESTS).await?);
            looped_fresh[at].push(times(&tokens.unseen, count).await?);
        }
        signature_checks.extend(issuer.signature_checks(&tokens.unseen)?);
    }

    println!("{HEAD}");
    let [clock, cpu] = times(&floor).map(|times| pair(both(&times)));
    println!("| the same with C functions that only send the same claims and a uuid, itself | | {clock} | {cpu} |");
    let check = pair(both(&signature_checks));
    println!(
        "| an ES256 signature check by AWS-LC, one after the other in a process of its own, itself | | {check} | |"
    );
    let checks = [
        (
            "`begin`; a C function that checks an ES256 signature by OpenSSL and sends the claims; a uuid; `commit`",
            &checked,
            &floor,
        ),
        ("the same by a procedure, without a protocol", &looped_checks, &fresh_loop_floor),
    ];
    for (name, samples, floor) in checks {
        let [clock, cpu] = spent(samples, floor);
        println!("| {name} | | {clock} | {cpu} |");
    }
    let lines = [
        ("`begin; set_session; uid(); commit`, a token that this backend has seen", &known, &floor),
        ("the same, without sending the claims back", &quiet, &quiet_floor),
        ("`begin; set_session; uid(); commit`, a token that it has not seen", &fresh, &floor),
        (
            "`set_session; uid(); commit` by a procedure, without a protocol, tokens that it has seen",
            &looped,
            &loop_floor,
        ),
        (
            "`set_session; uid(); commit` by a procedure, without a protocol, tokens that it has not seen",
            &looped_fresh,
            &loop_floor,
        ),
    ];
    for (name, samples, floor) in lines {
        for (samples, check_sessions) in samples.iter().zip(["on", "off"]) {
            let [clock, cpu] = spent(samples, floor);
            println!("| {name} | {check_sessions} | {clock} | {cpu} |");
        }
    }
    Ok(())
}

/// Wall-clock time and CPU over those of the floor, as a cell shows them.
fn spent(samples: &[Sample], floor: &[Sample]) -> [String; 2] {
    let ([clock, cpu], [clock_floor, cpu_floor]) = (times(samples), times(floor));
    [pair(over(&clock, &clock_floor)), pair(over(&cpu, &cpu_floor))]
}

/// A request for each token, over a warm connection of its own.
async fn requests(
    connection: &Connection<'_>,
    check_sessions: bool,
    [set_session, uid]: [&str; 2],
    tokens: &Tokens,
    requested: &[&String],
) -> Result<Sample> {
    let client = connection.open(check_sessions).await?;
    client.execute("select bench_c_keep_claims($1::text::jsonb)", &[&payload(&tokens.usual)?]).await?;
    let request = [
        client.prepare("begin").await?,
        client.prepare(set_session).await?,
        client.prepare(uid).await?,
        client.prepare("commit").await?,
    ];
    let warm_up: Vec<&String> = tokens.seen.iter().cycle().take(100).collect();
    send(&client, &request, &warm_up).await?;
    let backend = backend_pid(&client).await?;
    measured(Some(backend), send(&client, &request, requested)).await
}

/// Sends the statements without waiting for one answer before the next, so that the time is the server's and not that of
/// waking it.
async fn send(client: &Client, request: &[Statement; 4], tokens: &[&String]) -> Result<usize> {
    for tokens in tokens.chunks(PIPELINED / request.len()) {
        let statements = tokens.iter().flat_map(|token| request.iter().map(move |statement| (statement, token)));
        try_join_all(statements.map(async |(statement, token)| match statement.params() {
            [] => client.execute(statement, &[]).await,
            _ => client.execute(statement, &[token]).await,
        }))
        .await?;
    }
    Ok(tokens.len())
}

/// The same from within the server, where the figure has no protocol in it, which leaves the processor's caches to the kernel and to
/// the parser between one request and the next. More tokens than the backend remembers are new to it each time.
async fn in_a_procedure(
    connection: &Connection<'_>,
    check_sessions: bool,
    procedure: &str,
    requested: &[String],
    count: usize,
) -> Result<Sample> {
    let client = connection.open(check_sessions).await?;
    let call = client.prepare(&format!("call {procedure}($1, $2)")).await?;
    client.execute(&call, &[&requested, &100_i32]).await?;
    let backend = backend_pid(&client).await?;
    measured(Some(backend), async {
        let times = i32::try_from(count).unwrap_or(i32::MAX);
        client.execute(&call, &[&requested, &times]).await?;
        Ok(count)
    })
    .await
}
