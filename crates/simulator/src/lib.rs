//! A strict stand-in for WorkOS's API.
//!
//! WorkOS's own emulator takes any secret, any verifier and any redirect; this one takes only what is right, says the
//! documented error otherwise, and fails on demand in every way a network can. It listens on loopback only.
//!
//! | module | what it holds |
//! |---|---|
//! | `seed`, `registry` | clients, organizations, connections, people |
//! | `authorize`, `callback`, `login_page` | `GET /sso/authorize`: the checks, the errors, the page of `--interactive` |
//! | `authkit` | `GET /user_management/authorize`, `POST /user_management/authenticate` |
//! | `token` | `POST /sso/token`, `GET /sso/profile` |
//! | `rest` | the REST API: organizations, connections, directories, people, roles, events, the Admin Portal |
//! | `changes`, `objects`, `refusal` | what changes at WorkOS, what its answers show, and what it refuses |
//! | `events`, `random` | what happened, and in which order it is told |
//! | `webhooks`, `sender` | who wants webhooks, and their sending |
//! | `fault`, `answer`, `socket` | what goes wrong on demand, and how |
//! | `admin`, `record` | `/_simulator/…`; the requests that came |
//!
//! ```
//! use workos_simulator::{Change, Fault, FaultKind, NewUser, Options, Simulator};
//!
//! let simulator = Simulator::start(Options::default())?;
//! simulator.set_fault(Fault::token(FaultKind::RateLimited { retry_after: None }).times(1))?;
//! assert!(simulator.url().starts_with("http://127.0.0.1:"));
//! assert!(simulator.requests().is_empty());
//!
//! let anna = NewUser { email: "anna@acme.com".into(), ..NewUser::default() };
//! let id = simulator.change(Change::CreateUser(anna))?;
//! assert_eq!(simulator.events()[0]["event"], "user.created");
//! assert_eq!(simulator.events()[0]["data"]["id"], id.as_str());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod admin;
mod answer;
mod authkit;
mod authorize;
mod callback;
mod changes;
mod clock;
mod events;
mod expiring;
mod fault;
mod ids;
mod login_page;
mod objects;
mod parameters;
mod random;
mod record;
mod refusal;
mod registry;
mod rest;
mod seed;
mod sender;
mod server;
mod socket;
mod state;
mod token;
mod webhooks;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;

pub use crate::callback::CallbackError;
pub use crate::changes::change::Change;
pub use crate::changes::directories::NewDirectory;
pub use crate::changes::directory_groups::NewDirectoryGroup;
pub use crate::changes::directory_users::{Departure, DirectoryUserPatch, NewDirectoryUser};
pub use crate::changes::memberships::{MembershipPatch, NewMembership};
pub use crate::changes::roles::Role;
pub use crate::changes::sessions::NewSession;
pub use crate::changes::users::{NewUser, UserPatch};
pub use crate::events::{DateFormat, EventSettings, NewEvent};
pub use crate::fault::{Endpoint, Fault, FaultError, FaultKind, Missing, RetryAfter};
pub use crate::objects::directory::{DirectoryState, DirectoryUserState};
pub use crate::objects::user::MembershipStatus;
pub use crate::record::RecordedRequest;
pub use crate::refusal::Refusal;
pub use crate::seed::{Client, Connection, ConnectionState, ConnectionStatus, Organization, Profile, Seed, SeedError};
pub use crate::webhooks::{WebhookAttempt, WebhookSettings};

use crate::changes::change::apply;
use crate::changes::{connections, organizations};
use crate::registry::Registry;
use crate::state::State;

/// How a simulator is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Whom it knows; `None`: the built-in seed.
    pub seed: Option<Seed>,
    /// Whether `/sso/authorize` shows a login page. Otherwise it answers at once.
    pub interactive: bool,
    /// How many requests it remembers; older ones are forgotten.
    pub request_log: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { port: 0, seed: None, interactive: false, request_log: 10_000 }
    }
}

/// A running simulator, on a thread and a runtime of its own. It stops when this is dropped, and every connection with it.
#[derive(Debug)]
pub struct Simulator {
    port: u16,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts. It takes connections when this returns.
    ///
    /// # Errors
    /// The port is taken, or the seed makes no sense (`InvalidData`).
    pub fn start(options: Options) -> io::Result<Self> {
        let invalid = |error: SeedError| io::Error::new(io::ErrorKind::InvalidData, error);
        let seed = options.seed.map_or_else(Seed::built_in, Ok).map_err(invalid)?;
        let registry = Registry::new(seed).map_err(invalid)?;
        let state = Arc::new(State::new(registry, options.interactive, options.request_log));

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("workos-simulator".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // axum's server retries what fails at accept and never ends of itself, and neither does what sends webhooks.
                    _ = server::serve(listener, Arc::clone(&shared)) => {}
                    _ = sender::send(shared) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { port, state, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The requests since the start or [`Self::clear_requests`], oldest first, without `/health` and `/_simulator/…`.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.lock().requests.list()
    }

    /// Forgets the requests.
    pub fn clear_requests(&self) {
        self.state.lock().requests.clear();
    }

    /// Sets a fault beside those that are set.
    ///
    /// # Errors
    /// The fault would never show.
    pub fn set_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.state.lock().faults.set(fault)
    }

    /// Forgets all faults.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Puts the clock forward, by which codes and tokens expire.
    pub fn advance_clock(&self, by: Duration) {
        self.state.lock().clock.advance(by);
    }

    /// Has something happen at WorkOS, and answers the id of what it happened to.
    ///
    /// # Errors
    /// WorkOS would refuse it, or what it is about does not exist.
    pub fn change(&self, change: Change) -> Result<String, Refusal> {
        apply(&mut self.state.lock(), change)
    }

    /// Tells of an event that the simulator does not make by itself, and answers its id.
    pub fn put_event(&self, event: NewEvent) -> String {
        self.state.lock().put_event(event)
    }

    /// How events are told.
    pub fn set_events(&self, settings: EventSettings) {
        self.state.lock().events.set(settings);
    }

    /// All events in the order in which `GET /events` tells them, also those that are held back.
    pub fn events(&self) -> Vec<Value> {
        self.state.lock().events.all()
    }

    /// How webhooks are sent to the endpoints that `POST /webhook_endpoints` has made.
    pub fn set_webhooks(&self, settings: WebhookSettings) {
        self.state.lock().webhooks.set(settings);
    }

    /// The webhooks that were sent, oldest first.
    pub fn webhook_attempts(&self) -> Vec<WebhookAttempt> {
        self.state.lock().webhooks.attempts.clone()
    }

    /// Adds or replaces an organization.
    pub fn put_organization(&self, organization: Organization) {
        organizations::put(&mut self.state.lock(), organization);
    }

    /// Adds or replaces a connection.
    ///
    /// # Errors
    /// Its organization does not exist.
    pub fn put_connection(&self, connection: Connection) -> Result<(), SeedError> {
        connections::put(&mut self.state.lock(), connection)
    }

    /// Adds or replaces a person.
    ///
    /// # Errors
    /// The connection does not exist.
    pub fn put_profile(&self, profile: Profile) -> Result<(), SeedError> {
        self.state.lock().registry.put_profile(profile)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic, if there was one, has been printed; a drop has nobody to tell.
            let _ = thread.join();
        }
    }
}
