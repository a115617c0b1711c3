//! Connects: to the first server that answers and is what `target_session_attrs` asks for.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::endpoint::Endpoint;
use super::tls::{TlsError, connector};
use crate::servers::{Mode, Server, Servers, Wanted};

/// What a new session says about itself and its server. Through a pooler, it is asked of a session like those to come.
const ABOUT: &str = "select pg_catalog.current_setting('default_transaction_isolation'),
    pg_catalog.current_setting('transaction_read_only'), pg_catalog.pg_is_in_recovery()";

/// Between two rounds over several servers, none of which would do.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection.
pub struct Connection {
    /// The driver's.
    pub client: Client,
    /// Whether a transaction here is READ COMMITTED unless it says otherwise.
    pub is_read_committed: bool,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// For the connection of a cancellation.
    pub tls: MakeRustlsConnect,
    /// Those of the connector.
    pub cancellations: TaskTracker,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectError {
    /// Where a server refused.
    pub sqlstate: Option<String>,
    /// For the log.
    pub detail: String,
}

/// Connects to one of the servers.
pub struct Connector {
    servers: Servers,
    tls: MakeRustlsConnect,
    /// How long it may take.
    within: Duration,
    /// Which server did last.
    last: AtomicUsize,
    /// When a server was last seen to go, or to be no longer what is wanted.
    left_at: Mutex<Option<Instant>>,
    has_warned: AtomicBool,
    /// What tells servers that nobody waits for a statement any more.
    pub cancellations: TaskTracker,
}

impl Connector {
    /// Reads certificates, connects to nothing yet.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(servers: Servers, within: Duration) -> Result<Self, TlsError> {
        let tls = connector(&servers.encryption)?;
        let (last, left_at, has_warned) = (AtomicUsize::new(0), Mutex::new(None), AtomicBool::new(false));
        Ok(Self { servers, tls, within, last, left_at, has_warned, cancellations: TaskTracker::new() })
    }

    /// The connections of before are good for nothing any more. A server that stops ends all of them, but this program hears of each
    /// one in its own time: without this, a request could be lost on every one of them.
    pub fn leave(&self) {
        *self.left_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age is one of those.
    pub fn has_left(&self, created: Instant) -> bool {
        self.left_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|left| created < left)
    }

    /// Whether only a server will do that can be written to.
    pub fn wants_writable(&self) -> bool {
        matches!(self.servers.wanted, Wanted::ReadWrite | Wanted::Primary)
    }

    /// Of several servers, one may be about to become what is wanted: as long as there is time, they are asked again.
    ///
    /// # Errors
    /// What each of them said.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let mut last = None;
        let attempts = async {
            loop {
                match self.try_each().await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if self.servers.all.len() == 1 => return Err(error),
                    Err(error) => last = Some(error),
                }
                sleep(PAUSE).await;
            }
        };
        match timeout(self.within, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(last.unwrap_or_else(|| ConnectError {
                sqlstate: None,
                detail: format!("No server answered within {:?}", self.within),
            })),
        }
    }

    async fn try_each(&self) -> Result<Connection, ConnectError> {
        let mut refused = Vec::new();
        let rounds: &[Wanted] = match self.servers.wanted {
            Wanted::PreferStandby => &[Wanted::Standby, Wanted::Any],
            ref other => std::slice::from_ref(other),
        };
        for wanted in rounds {
            for at in self.order() {
                let Some(server) = self.servers.all.get(at) else { continue };
                match self.try_one(server, *wanted).await {
                    Ok(connection) => {
                        self.last.store(at, Ordering::Relaxed);
                        return Ok(connection);
                    }
                    Err(error) => refused.push(error),
                }
            }
        }
        let sqlstate = refused.iter().rev().find_map(|error| error.sqlstate.clone());
        let details = refused.into_iter().map(|error| error.detail);
        Err(ConnectError { sqlstate, detail: details.collect::<Vec<_>>().join("; ") })
    }

    fn order(&self) -> Vec<usize> {
        let mut order = (0..self.servers.all.len()).collect::<Vec<_>>();
        if self.servers.is_random {
            order.sort_by_cached_key(|_| Uuid::new_v4());
        } else if self.wants_writable() {
            // Of those that can be written to there is one: where it was, it will be.
            let last = self.last.load(Ordering::Relaxed);
            order.sort_by_key(|at| *at != last);
        }
        order
    }

    async fn try_one(&self, server: &Server, wanted: Wanted) -> Result<Connection, ConnectError> {
        // A server that says nothing leaves time for the others.
        let within = share_of(self.within, self.servers.all.len());
        let no_answer = |within: Duration| ConnectError {
            sqlstate: None,
            detail: format!("{} did not answer within {within:?}", server.name),
        };
        let no_address = |reason: &str| ConnectError {
            sqlstate: None,
            detail: format!("{}: failed to lookup address information: {reason}", server.name),
        };
        let attempts = async {
            let endpoints = Endpoint::all(&server.config).await.map_err(|error| no_address(&error.to_string()))?;
            let mut refused = no_address("there is none");
            // As above.
            let within = share_of(within, endpoints.len());
            for endpoint in &endpoints {
                match timeout(within, self.try_endpoint(server, endpoint, wanted)).await {
                    Ok(Ok(connection)) => return Ok(connection),
                    Ok(Err(error)) => refused = error,
                    Err(_) => refused = no_answer(within),
                }
            }
            Err(refused)
        };
        timeout(within, attempts).await.unwrap_or_else(|_| Err(no_answer(within)))
    }

    async fn try_endpoint(
        &self,
        server: &Server,
        endpoint: &Endpoint,
        wanted: Wanted,
    ) -> Result<Connection, ConnectError> {
        let is_encrypted = Arc::new(AtomicBool::new(false));
        let connection = match self.open(server, &server.config, endpoint, &is_encrypted).await {
            // As libpq does: the server's TLS may be none that we know, or this role be let in without it alone.
            Err(error) if is_encrypted.load(Ordering::Relaxed) && self.may_do_without_tls(&error) => {
                let mut plain = server.config.clone();
                plain.ssl_mode(SslMode::Disable);
                is_encrypted.store(false, Ordering::Relaxed);
                self.open(server, &plain, endpoint, &is_encrypted).await.map_err(|_| error)
            }
            other => other,
        };
        let mut connection = connection.map_err(|error| refusal(server, &error))?;
        let answer = connection.client.simple_query(ABOUT).await.map_err(|error| refusal(server, &error))?;
        let row = answer.into_iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let is = |column: usize, text: &str| {
            row.as_ref().and_then(|row| row.try_get(column).ok().flatten()).is_some_and(|value| value == text)
        };
        connection.is_read_committed = is(0, "read committed");
        let is_wanted = match wanted {
            Wanted::Any | Wanted::PreferStandby => true,
            Wanted::ReadWrite => is(1, "off"),
            Wanted::ReadOnly => is(1, "on"),
            Wanted::Primary => is(2, "f"),
            Wanted::Standby => is(2, "t"),
        };
        if !is_wanted {
            let detail = format!("{} is not {}", server.name, described(wanted));
            return Err(ConnectError { sqlstate: None, detail });
        }
        if !is_encrypted.load(Ordering::Relaxed) && !server.is_local {
            self.warn_of_clear_text(server);
        }
        Ok(connection)
    }

    /// Sets `is_encrypted` as soon as the server has agreed to a handshake.
    async fn open(
        &self,
        server: &Server,
        config: &Config,
        endpoint: &Endpoint,
        is_encrypted: &Arc<AtomicBool>,
    ) -> Result<Connection, tokio_postgres::Error> {
        let tls = Noting { tls: self.tls.clone(), is_encrypted: Arc::clone(is_encrypted) };
        let (client, connection) = endpoint.only(config).connect(tls).await?;
        let name = server.name.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(server = name, error = described_error(&error), "a connection to the database ended");
            }
        });
        Ok(Connection {
            client,
            is_read_committed: false,
            endpoint: endpoint.clone(),
            tls: self.tls.clone(),
            cancellations: self.cancellations.clone(),
            task: task.abort_handle(),
        })
    }

    fn may_do_without_tls(&self, error: &tokio_postgres::Error) -> bool {
        let is_prefer = self.servers.encryption.mode == Mode::Prefer;
        let refusal = error.as_db_error().map(|refusal| refusal.code());
        is_prefer && refusal.is_none_or(|code| *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    }

    fn warn_of_clear_text(&self, server: &Server) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let server = server.name.as_str();
            tracing::warn!(server, "passwords and tokens go to the database in clear: set sslmode=verify-full");
        }
    }
}

/// The time for one of so many, of which not all may say nothing.
fn share_of(within: Duration, count: usize) -> Duration {
    match u32::try_from(count) {
        Ok(0 | 1) => within,
        count => within / count.unwrap_or(u32::MAX).saturating_add(1),
    }
}

fn described(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Any | Wanted::PreferStandby => "any",
        Wanted::ReadWrite => "read-write",
        Wanted::ReadOnly => "read-only",
        Wanted::Primary => "primary",
        Wanted::Standby => "standby",
    }
}

fn refusal(server: &Server, error: &tokio_postgres::Error) -> ConnectError {
    let sqlstate = error.code().map(|code| code.code().to_owned());
    ConnectError { sqlstate, detail: format!("{}: {}", server.name, described_error(error)) }
}

/// With its causes, which the driver keeps apart. They name no value.
fn described_error(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Remembers whether there was a handshake.
#[derive(Clone)]
struct Noting {
    tls: MakeRustlsConnect,
    is_encrypted: Arc<AtomicBool>,
}

type Inner = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

impl MakeTlsConnect<Socket> for Noting {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = NotingConnect;
    type Error = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<NotingConnect, Self::Error> {
        let tls = MakeTlsConnect::<Socket>::make_tls_connect(&mut self.tls, domain)?;
        Ok(NotingConnect { tls, is_encrypted: Arc::clone(&self.is_encrypted) })
    }
}

struct NotingConnect {
    tls: Inner,
    is_encrypted: Arc<AtomicBool>,
}

impl TlsConnect<Socket> for NotingConnect {
    type Stream = <Inner as TlsConnect<Socket>>::Stream;
    type Error = <Inner as TlsConnect<Socket>>::Error;
    type Future = <Inner as TlsConnect<Socket>>::Future;

    fn connect(self, stream: Socket) -> Self::Future {
        self.is_encrypted.store(true, Ordering::Relaxed);
        self.tls.connect(stream)
    }
}
