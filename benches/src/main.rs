//! What a sign-in, a reader and a refresh cost, beside their floors. `make bench` prints the tables, writes them into
//! `docs/benchmarks.md` and draws its picture; `make bench BENCH=readers`, `BENCH=sign-in`, `BENCH=sessions`, `BENCH=gateway` or
//! `BENCH=moving` does one part.
//!
//! Everything runs on one machine: a throw-away cluster with fsync on, the simulator, and as many clients as the table
//! says. So the figures are of the extension, not of WorkOS or of a network, and the clients' own work is in them.
//! They are taken in rounds, each of which measures a thing and its floor right after one another; a cell shows the
//! slowest, the median and the quickest round.
//!
//! | module | what it measures |
//! |---|---|
//! | [`statements`] | a statement over and over: authorize URLs, and their floors |
//! | [`exchanges`] | exchanges, and the bare HTTP call |
//! | [`first_calls`] | what a fresh connection pays |
//! | [`readers`] | claims: on every row, once a request, once a statement |
//! | [`sessions`] | refreshes and exchanges, with few people and with millions; what refreshes leave behind |
//! | [`gateway`] | Supabase's client: refreshes and sign-ins through the gateway |
//! | [`soak`] | an hour of all of it, with restarts: what is lost and what grows. Only by its name, `make bench BENCH=soak` |
//! | [`verifiers`] | how soon a verifier refuses, and what readers cost there. Only by its name, `make bench BENCH=verifiers` |
//! | [`scale`] | what one issuer carries. Only by its name, `make bench BENCH=scale` |
//! | [`mirror`] | a directory that is compared with WorkOS, and events. Only by its name, `make bench BENCH=mirror` |
//! | [`moving`] | people who move in from Supabase Auth |
//! | [`mod@bench`] | the cluster that all of it runs in |
//! | [`sample`] | times, CPU and how they are shown |
//! | [`report`] | the page that they are written into |

#![forbid(unsafe_code)]

mod bench;
mod exchanges;
mod first_calls;
mod gateway;
mod mirror;
mod moving;
mod readers;
mod report;
mod sample;
mod scale;
mod sessions;
mod soak;
mod statements;
mod verifiers;

use std::env;
use std::process::ExitCode;

use workos_testbed::{Error, Result};

use crate::bench::{Bench, CLIENTS, machine, number};
use crate::report::tell;

/// How often everything is measured; `BENCH_ROUNDS` is another number.
const ROUNDS: usize = 5;
const PRELOAD: &str = "shared_preload_libraries = 'workos_auth'";

/// What a reader of the tables must know.
const CONDITIONS: &str = "Default settings, fsync on. Server, simulator and clients share the machine. Codes are fetched \
                          before the clock starts. Ratios are medians over the rounds, each with its own floor.";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The parts, by the name that chooses one.
const PARTS: [&str; 5] = [SIGN_IN, READERS, SESSIONS, GATEWAY, "moving"];
const SIGN_IN: &str = "sign-in";
const READERS: &str = "readers";
const SESSIONS: &str = "sessions";
const GATEWAY: &str = "gateway";
/// The parts that no other run has in it.
const SOAK: &str = "soak";
const VERIFIERS: &str = "verifiers";
const SCALE: &str = "scale";
const MIRROR: &str = "mirror";

async fn run() -> Result<()> {
    let rounds = number("BENCH_ROUNDS", ROUNDS).max(1);
    let chosen: Vec<String> = env::args().skip(1).collect();
    match chosen.as_slice() {
        [part] if part == SOAK => return soak::measure().await,
        [part] if part == VERIFIERS => return verifiers::measure(rounds).await,
        [part] if part == SCALE => return scale::measure().await,
        [part] if part == MIRROR => return mirror::measure().await,
        _ => {}
    }
    if let Some(unknown) = chosen.iter().find(|name| !PARTS.contains(&name.as_str())) {
        return Err(Error::Other(format!(
            "there is no part {unknown}; there are {}, {SOAK}, {VERIFIERS}, {SCALE} and {MIRROR}",
            PARTS.join(", ")
        )));
    }
    for part in PARTS.into_iter().filter(|part| chosen.is_empty() || chosen.iter().any(|name| name == part)) {
        match part {
            SIGN_IN => measure_sign_ins(rounds).await?,
            READERS => readers::measure(rounds).await?,
            SESSIONS => sessions::measure(rounds).await?,
            GATEWAY => gateway::measure(rounds).await?,
            _ => moving::measure(rounds).await?,
        }
        report::write(part, rounds)?;
        println!();
    }
    Ok(())
}

async fn measure_sign_ins(rounds: usize) -> Result<()> {
    let bench = Bench::start(&[]).await?;
    tell!("{}.\n\n{CONDITIONS}\n", machine(&bench.admin).await?);

    tell!("{}", statements::HEAD);
    for clients in CLIENTS {
        statements::measure(&bench, clients, rounds).await?;
    }
    tell!("\n{}", exchanges::HEAD);
    for clients in CLIENTS {
        exchanges::measure(&bench, clients, rounds).await?;
    }
    tell!("\n{}", first_calls::HEAD);
    let preloading = Bench::start(&[PRELOAD]).await?;
    first_calls::measure("no", &bench).await?;
    first_calls::measure("yes", &preloading).await
}
