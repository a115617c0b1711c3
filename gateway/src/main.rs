//! `/auth/v1` for Supabase's clients, over the SQL functions of workos_auth.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | flags and environment |
//! | [`server`] | takes connections, and lets them finish at the end |
//! | [`tls`] | the certificate, and its renewal |
//! | [`routes`] | the endpoints |
//! | [`observe`] | around every request: its id, its log line, its figures, the form of its errors |
//! | [`limits`], [`address`] | rate limits, and whom they count for |
//! | [`cookie`] | binds an implicit sign-in to its browser |
//! | [`database`] | every SQL statement; the map from SQLSTATE to HTTP |
//! | [`error`], [`json`], [`parameters`] | what goes out and what comes in |

mod address;
mod config;
mod cookie;
mod database;
mod error;
mod json;
mod limits;
mod metrics;
mod observe;
mod parameters;
mod routes;
mod server;
mod tls;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::database::Database;
use crate::limits::{FORGET_EVERY, Limits};
use crate::metrics::Metrics;
use crate::tls::Tls;

/// What every request can reach. Nothing in it outlives the process or has to be shared with another one.
#[derive(Debug)]
pub struct App {
    config: Config,
    database: Database,
    limits: Limits,
    metrics: Metrics,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    if let Err(why) = start_log(&config) {
        eprintln!("workos-auth-gateway: {why}");
        return ExitCode::from(2);
    }
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn run(config: Config) -> Result<(), Failure> {
    let tls = Tls::start(&config)?;
    let database = Database::new(config.database()?, config.pool_size, config.pool_timeout)?;
    let app = Arc::new(App { limits: Limits::new(&config), metrics: Metrics::new()?, database, config });
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
    report_readiness(Arc::clone(&app));
    tokio::spawn(forget(Arc::clone(&app)));
    server::serve(listener, tls, admin, app).await;
    tracing::info!("stopped");
    Ok(())
}

/// A database that is not there yet is no reason not to start, but one to be told.
fn report_readiness(app: Arc<App>) {
    tokio::spawn(async move {
        match app.database.is_ready().await {
            Ok(()) => tracing::info!("the database is ready"),
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
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
        LogFormat::Text => log.init(),
    }
    Ok(())
}
