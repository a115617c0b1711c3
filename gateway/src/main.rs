//! `/auth/v1` for Supabase's clients, over the SQL functions of workos_auth.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | flags and environment |
//! | [`signals`] | what signals do |
//! | [`server`] | takes connections, and lets their requests finish at the end |
//! | [`places`] | who has a connection, and the deadlines of its steps |
//! | [`connection`] | one connection: handshake, requests, deadlines |
//! | [`tls`] | the certificate, and its renewal |
//! | [`app`] | what every request can reach |
//! | [`routes`] | the endpoints |
//! | [`observe`] | around every request: its id, its log line, its figures, the form of its errors |
//! | [`about`], [`landing`] | which sign-in, person and session a request was about, and how a sign-in ended |
//! | [`metrics`], [`waits`] | the figures |
//! | [`limits`], [`address`] | limits for each address, and whose a request is |
//! | [`cookie`] | binds an implicit sign-in to its browser |
//! | [`servers`] | where the database is: a URL, libpq's environment and files |
//! | [`database`] | connections, every SQL statement, the map from SQLSTATE to HTTP |
//! | [`sign_in`], [`workos`] | what waits for WorkOS, and the requests to it where this server makes them |
//! | [`answer`], [`error`], [`page`] | what goes out |
//! | [`json`], [`parameters`] | what comes in |

#![forbid(unsafe_code)]

mod about;
mod address;
mod answer;
mod app;
mod config;
mod connection;
mod cookie;
mod database;
mod error;
mod json;
mod landing;
mod limits;
mod metrics;
mod observe;
mod page;
mod parameters;
mod places;
mod routes;
mod server;
mod servers;
mod sign_in;
mod signals;
mod tls;
mod waits;
mod workos;

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Once};

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::config::{Config, LogFormat, WorkosBy};
use crate::database::Database;
use crate::limits::{FORGET_EVERY, Limits};
use crate::metrics::Metrics;
use crate::signals::Signals;
use crate::tls::Tls;
use crate::workos::Workos;

#[tokio::main]
async fn main() -> ExitCode {
    let signals = Signals::catch();
    let config = Config::parse();
    if let Err(why) = start_log(&config) {
        eprintln!("workos-auth-gateway: {why}");
        return ExitCode::from(2);
    }
    match run(config, signals).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn run(config: Config, signals: io::Result<Signals>) -> Result<(), Failure> {
    let signals = signals?;
    allow_connections(&config);
    let tls = Tls::new(&config)?;
    let end = signals.follow(tls.clone());
    let metrics = Metrics::new()?;
    let database = Database::new(config.servers()?, &config.pool_size(), metrics.waits(), config.accept_tokens)?;
    let workos = match config.workos_by {
        WorkosBy::Database => None,
        WorkosBy::Gateway => Some(Workos::new(config.workos_ca_file.as_deref(), config.workos_proxy.as_deref())?),
    };
    let has_warned_of_proxy = Once::new();
    let app = Arc::new(App { limits: Limits::new(&config), metrics, has_warned_of_proxy, database, workos, config });
    let listener = TcpListener::bind(app.config.listen).await?;
    let admin = match app.config.admin_listen {
        Some(address) => Some(TcpListener::bind(address).await?),
        None => None,
    };
    tracing::info!(
        listen = %listener.local_addr()?,
        admin = admin.as_ref().and_then(|admin| admin.local_addr().ok()).map(tracing::field::display),
        tls = tls.is_some(),
        public_url = %app.config.public_url,
        "listening"
    );
    // Says nothing where it was not systemd that started us.
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!(%error, "systemd could not be told that the server listens");
    }
    report_readiness(Arc::clone(&app));
    tokio::spawn(forget(Arc::clone(&app)));
    server::serve(listener, tls, admin, Arc::clone(&app), end).await;
    app.database.all_cancelled().await;
    tracing::info!("stopped");
    Ok(())
}

/// Connections need file descriptors, of which a process has commonly 1024 unless it asks for more.
fn allow_connections(config: &Config) {
    // Those of the admin address come on top, and a few files.
    let needed = u64::from(config.max_connections).saturating_mul(2).saturating_add(u64::from(config.pool_size)) + 64;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = needed.clamp(soft, hard.max(soft));
    if wanted > soft && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() || wanted < needed {
        tracing::warn!(needed, allowed = hard, "--max-connections is more than the file descriptors allow");
    }
}

/// A database that is not there yet is no reason not to start, but one to be told.
fn report_readiness(app: Arc<App>) {
    tokio::spawn(async move {
        match sign_in::is_ready(&app).await {
            Ok(versions) => {
                tracing::info!(library = versions.library, sql = versions.sql, "the database is ready");
            }
            Err(error) => {
                let (sqlstate, detail) = error.cause.map(|cause| (cause.sqlstate, cause.detail)).unwrap_or_default();
                tracing::warn!(sqlstate, detail, "the database is not ready");
            }
        }
    });
}

async fn forget(app: Arc<App>) {
    let mut ticks = interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        app.limits.forget();
    }
}

fn start_log(config: &Config) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| format!("--log cannot be used: {error}"))?;
    // A line that cannot be written is lost. To complain of it there, where nothing can be written, would end the request.
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    match config.log_format {
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
        LogFormat::Text => log.init(),
    }
    Ok(())
}
