//! The order of `docs/upgrading.md`, rehearsed: a primary and a standby with the SQL of an older release, people who sign in, refresh and read
//! all the while, and what fails meanwhile.
//!
//! An older library cannot be had without compiling it: the library that is replaced is another file of the same build. What is rehearsed is
//! the order, the exchange of the file below running servers, and the update of the SQL.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::block_in_place;
use tokio_postgres::{Client, Config, Error, NoTls};
use workos_end_to_end::bed::{ALICE, BOB, Pending, Session, exchange, refresh, set_session, sign_in};
use workos_end_to_end::releases::{CURRENT, older};
use workos_end_to_end::sql::{lines, text};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, ServerCopy, Workos, browser_sign_in};

/// The recommended way: the library is loaded once, by the server, and a restart brings another one.
const PRELOADED: &str = "shared_preload_libraries = 'workos_auth'";

/// How long each step is watched.
const WATCHED: Duration = Duration::from_millis(1500);

/// No part of the traffic goes on for longer.
const LONGEST: Duration = Duration::from_secs(120);

/// What was done in which step: how often, and which failures, by their SQLSTATE.
#[derive(Default)]
struct Book {
    step: &'static str,
    done: BTreeMap<(&'static str, &'static str), u32>,
    failed: BTreeMap<(&'static str, &'static str, String), u32>,
}

#[derive(Clone)]
struct Traffic {
    book: Arc<Mutex<Book>>,
    stopped: Arc<AtomicBool>,
}

impl Traffic {
    fn step(&self, name: &'static str) {
        self.book.lock().unwrap().step = name;
    }

    /// Counts what has come of something: a success where it began, a failure where it ended. A connection that is lost has no SQLSTATE.
    fn count(&self, what: &'static str, began: &'static str, result: &Result<(), Error>) {
        let mut book = self.book.lock().unwrap();
        match result {
            Ok(()) => *book.done.entry((began, what)).or_default() += 1,
            Err(error) => {
                let code = error.code().map_or("no connection", |code| code.code()).to_owned();
                let ended = book.step;
                *book.failed.entry((ended, what, code)).or_default() += 1;
            }
        }
    }

    /// Does something again and again over a connection, and over a new one after each failure.
    fn again_and_again(
        &self,
        what: &'static str,
        config: Config,
        mut act: impl AsyncFnMut(&Client) -> Result<(), Error> + Send + 'static,
    ) -> std::thread::JoinHandle<()> {
        let traffic = self.clone();
        // A thread and a runtime each, since a server's restart blocks those of the test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let until = Instant::now() + LONGEST;
                let mut client = None;
                while !traffic.stopped.load(Ordering::Relaxed) && Instant::now() < until {
                    let began = traffic.book.lock().unwrap().step;
                    let result = match &client {
                        Some(client) => act(client).await,
                        None => match config.connect(NoTls).await {
                            Ok((connected, connection)) => {
                                tokio::spawn(connection);
                                let result = act(&connected).await;
                                client = Some(connected);
                                result
                            }
                            Err(error) => Err(error),
                        },
                    };
                    traffic.count(what, began, &result);
                    if result.is_err() {
                        client = None;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        })
    }
}

/// Reads as a session's person.
async fn reads(client: &Client, session: &Session) -> Result<(), Error> {
    set_session(client, &session.access_token, false).await?;
    let id: Option<uuid::Uuid> = client.query_one("select auth.uid()", &[]).await?.get(0);
    assert_eq!(id, Some(session.user_id));
    client.query("select body from notes", &[]).await.map(drop)
}

/// Where it is restarted. Before and after, all is done that there is.
fn nothing_failed_but_what_a_restart_cuts(book: &Book) {
    eprintln!("done: {:#?}\nfailed: {:#?}", book.done, book.failed);
    for ((step, what, code), times) in &book.failed {
        let is_cut = ["57P01", "57P03", "no connection"].contains(&code.as_str());
        let is_there = match *step {
            "the standby's restart" => *what == "read on the standby",
            "the primary's restart" => *what != "read on the standby",
            _ => false,
        };
        assert!(is_cut && is_there, "{times} × {what} in the step {step}: {code}");
    }
    for step in ["before", "the standby's package", "the primary's package", "the update of the SQL", "after"] {
        for what in ["read on the primary", "read on the standby", "sign-in", "refresh"] {
            assert!(book.done.contains_key(&(step, what)), "no {what} in the step {step}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_with_a_standby_is_updated_below_its_traffic() {
    let Some(version) = older().pop() else { return };
    let (at_primary, at_standby) = (ServerCopy::new().unwrap(), ServerCopy::new().unwrap());
    let mut primary = Cluster::start_from(&at_primary, &[PRELOADED]).unwrap();
    let workos = Workos::start().unwrap();
    primary.create_database("shop").await.unwrap();
    let admin = workos.install_version(&primary, "shop", Some(&version)).await.unwrap();
    admin
        .batch_execute(
            "create role app login; create role backend login; select auth.grant_sign_in('backend');
             create table notes (owner uuid, body text); alter table notes enable row level security;
             create policy own on notes using (owner = auth.uid()); grant select on notes to app",
        )
        .await
        .unwrap();
    let (reader, renewed) = (sign_in(&admin, ALICE).await, sign_in(&admin, BOB).await);
    let mut standby = primary.start_standby_from(&at_standby, &[PRELOADED]).unwrap();
    primary.wait_for_replay(&admin, &standby).await.unwrap();
    drop(admin);

    let traffic = Traffic { book: Arc::default(), stopped: Arc::default() };
    traffic.step("before");
    let latest = Arc::new(Mutex::new(renewed.clone()));
    let (at_home, there) = (reader.clone(), reader.clone());
    let mut parts = Vec::new();
    parts.push(traffic.again_and_again("read on the primary", primary.config("shop", "app"), async move |client| {
        reads(client, &at_home).await
    }));
    parts.push(traffic.again_and_again("read on the standby", standby.config("shop", "app"), async move |client| {
        reads(client, &there).await
    }));
    parts.push(traffic.again_and_again("sign-in", primary.config("shop", "backend"), async move |client| {
        let sql = "select url, state, code_verifier from auth.start_sign_in(organization => 'org_acme')";
        let row = client.query_one(sql, &[]).await?;
        let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let code = browser_sign_in(&url, Some(ALICE.email)).await.unwrap().code;
        exchange(client, &Pending { url, code, verifier, state }).await.map(drop)
    }));
    let newest = Arc::clone(&latest);
    parts.push(traffic.again_and_again("refresh", primary.config("shop", "backend"), async move |client| {
        let token = newest.lock().unwrap().refresh_token.clone();
        let session = refresh(client, &token).await?;
        *newest.lock().unwrap() = session;
        Ok(())
    }));
    let watch = async || tokio::time::sleep(WATCHED).await;
    watch().await;

    let exchange_library = |copy: &ServerCopy| copy.replace_library(&fs::read(copy.library()).unwrap()).unwrap();
    traffic.step("the standby's package");
    exchange_library(&at_standby);
    watch().await;
    traffic.step("the standby's restart");
    block_in_place(|| standby.restart()).unwrap();
    watch().await;
    traffic.step("the primary's package");
    exchange_library(&at_primary);
    watch().await;
    traffic.step("the primary's restart");
    block_in_place(|| primary.restart()).unwrap();
    watch().await;
    traffic.step("the update of the SQL");
    let admin = primary.connect("shop", SUPERUSER).await.unwrap();
    let began = Instant::now();
    admin.batch_execute("alter extension workos_auth update").await.unwrap();
    let took = began.elapsed();
    watch().await;
    traffic.step("after");
    watch().await;
    traffic.stopped.store(true, Ordering::Relaxed);
    block_in_place(|| parts.into_iter().for_each(|part| part.join().unwrap()));

    eprintln!("ALTER EXTENSION UPDATE took {took:?}");
    nothing_failed_but_what_a_restart_cuts(&traffic.book.lock().unwrap());
    // Both are of the new version, and whoever was signed in is.
    primary.wait_for_replay(&admin, &standby).await.unwrap();
    let follower = standby.connect("shop", "app").await.unwrap();
    for client in [&admin, &follower] {
        assert_eq!(lines(client, "select * from auth.version()").await.unwrap(), [format!("{CURRENT}|{CURRENT}")]);
    }
    let token = latest.lock().unwrap().refresh_token.clone();
    refresh(&admin, &token).await.unwrap();
    reads(&follower, &reader).await.unwrap();
    let stolen =
        text(&admin, "select count(*) from auth.audit_log_entries where action ~ 'reuse|theft|stolen'").await.unwrap();
    assert_eq!(stolen.as_deref(), Some("0"));
}
