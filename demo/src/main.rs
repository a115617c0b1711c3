//! `make demo`, or `workos-auth-demo` of a package: signs two people in with WorkOS, in a Postgres cluster that lives as long as the tour, and shows every
//! statement with its result.
//!
//! | module | what it does |
//! |---|---|
//! | [`story`] | the tour, a file a step: what is said, and the SQL |
//! | [`stage`] | the cluster and the stand-in for WorkOS |
//! | [`site`] | the gateway and the page |
//! | [`console`] | runs a statement and shows it |
//! | [`paper`] | prose, tables and colours |
//! | [`origin`] | a checkout, or a package |
//! | [`keep`] | on a terminal or with `KEEP=1`: everything stays until Ctrl-C |
//! | [`failure`] | what failed, where, and what to try next |

#![forbid(unsafe_code)]

mod console;
mod failure;
mod keep;
mod origin;
mod paper;
mod site;
mod stage;
mod story;

use std::env;
use std::io::{IsTerminal, stdin, stdout};
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Result};
use crate::paper::Paper;
use crate::stage::Stage;

const AFTER_HELP: &str = "\
It starts a Postgres of its own in the directory for temporary files, and removes it at the end. PG_CONFIG names the pg_config of
another server than the one it finds. KEEP=1 leaves everything running until Ctrl-C, as it does on a terminal; KEEP=0 does not.";

/// A guided tour of workos_auth: two people sign in with WorkOS, in a throw-away Postgres.
#[derive(Parser)]
#[command(name = "workos-auth-demo", version, after_help = AFTER_HELP)]
struct Arguments {}

/// What a shell says of a command that was ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    let paper = Paper::new();
    let ending = run(paper).await.unwrap_or_else(|failure| {
        eprintln!("\n{failure}\n\n{}", failure.advice());
        Ending::Failed
    });
    match ending {
        Ending::Told => ExitCode::SUCCESS,
        Ending::Failed => ExitCode::FAILURE,
        Ending::Interrupted => {
            eprintln!("\nInterrupted; everything has been removed.");
            ExitCode::from(INTERRUPTED)
        }
    }
}

/// How it came to an end.
enum Ending {
    Told,
    /// The failure has been shown.
    Failed,
    Interrupted,
}

/// The tour, from the first process to the last.
async fn run(paper: Paper) -> Result<Ending> {
    // On a terminal there is somebody to open the page. KEEP=0 and KEEP=1 decide it otherwise.
    let keep = match env::var_os("KEEP") {
        Some(value) if !value.is_empty() => value != "0",
        _ => stdin().is_terminal() && stdout().is_terminal(),
    };
    let mut interrupt = Interrupt::listen()?;
    // Not cut short by a signal, so that nothing is left half made. It takes a second or two.
    let Ok(stage) = tokio::task::spawn_blocking(Stage::set).await else {
        return Err(Failure::unexpected("the cluster's thread ended early"));
    };
    let stage = match stage {
        // Ctrl-C reaches initdb too, which then fails; that is no news.
        Err(_) if interrupt.came().await => return Ok(Ending::Interrupted),
        Err(failure) => return Err(failure.in_step("booting a Postgres cluster and the stand-in for WorkOS")),
        Ok(stage) => stage,
    };
    let mut told = tokio::select! {
        told = story::tell(&stage, paper) => told,
        () = interrupt.wait() => return Ok(Ending::Interrupted),
    };
    if keep {
        if let Err(failure) = &told {
            eprintln!("\n{failure}");
        }
        keep::explain(&stage, told.as_ref().ok(), paper);
        let ended = match &mut told {
            Ok(site) => tokio::select! {
                failure = site.watch() => Some(failure),
                () = interrupt.wait() => None,
            },
            Err(_) => {
                interrupt.wait().await;
                None
            }
        };
        let ending = if told.is_ok() { Ending::Told } else { Ending::Failed };
        drop((told, stage));
        paper.say("Everything has been removed.");
        return ended.map_or(Ok(ending), |failure| Err(failure.in_step("keeping everything running")));
    }
    // The programs before their database.
    let told = told.map(drop);
    drop(stage);
    told?;
    let command = origin::command();
    paper.say(&format!(
        "Everything has been removed. KEEP=1 {command} leaves it running, for your browser and for psql."
    ));
    Ok(Ending::Told)
}

/// Ctrl-C, `kill`, and a terminal that was closed.
struct Interrupt([Signal; 3]);

impl Interrupt {
    /// From now on these signals no longer end the process at once.
    fn listen() -> Result<Self> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(interrupt), Ok(terminate), Ok(hangup)] = kinds.map(signal) else {
            return Err(Failure::unexpected("the process cannot listen to signals"));
        };
        Ok(Self([interrupt, terminate, hangup]))
    }

    async fn wait(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    /// Whether one came meanwhile.
    async fn came(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.wait() => true,
            () = tokio::task::yield_now() => false,
        }
    }
}
