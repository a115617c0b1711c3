//! `workos-simulator [--port N] [--seed FILE] [--interactive]`: prints its URL when it is ready; SIGTERM or SIGINT ends it.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use workos_simulator::{Options, Seed, Simulator};

/// A strict stand-in for WorkOS's API, on loopback only
#[derive(Parser)]
#[command(name = "workos-simulator", version)]
struct Arguments {
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 4100)]
    port: u16,
    /// Clients, organizations, connections and people, in YAML; without it, those of the demo
    #[arg(long)]
    seed: Option<PathBuf>,
    /// Show a login page instead of signing somebody in at once
    #[arg(long)]
    interactive: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let seed = match arguments.seed {
        Some(file) => {
            let yaml = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            Some(Seed::from_yaml(&yaml)?)
        }
        None => None,
    };
    // Before the URL is printed: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let options = Options { port: arguments.port, seed, interactive: arguments.interactive, ..Options::default() };
    let simulator = Simulator::start(options)?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", simulator.url())?;
    stdout.flush()?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
