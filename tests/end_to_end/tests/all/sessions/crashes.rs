//! kill -9, of one backend and of the whole server, at each step of an exchange and of a refresh: afterwards every session is whole or
//! absent, and people go on.
//!
//! A step is reached by what holds it up in life: a lock that somebody else has on what is needed next, a WorkOS that does not answer,
//! a trigger that stands still, a standby that does not confirm the commit.

use std::pin::pin;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio_postgres::{Client, Error};
use workos_end_to_end::bed::{ALICE, refresh};
use workos_end_to_end::sql::refused;
use workos_end_to_end::whole::counter;
use workos_end_to_end::{Bed, Pending, Session, exchange, sign_in, start};
use workos_simulator::{Fault, FaultKind};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Workos};

const DATABASE: &str = "crashes";
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// What the victim waits for when it is killed.
#[derive(Debug, Clone, Copy)]
enum Held {
    /// What another transaction has done.
    By(&'static str),
    /// What another transaction has done that is signing in the same person.
    BySignIn,
    /// WorkOS's answer.
    ByWorkos,
    /// A trigger, which begins so and stands still.
    InTrigger(&'static str),
    /// The confirmation of a commit that is written.
    InCommit,
}
use Held::{By, BySignIn, ByWorkos, InCommit, InTrigger};

/// A step, and whether what is killed there was committed.
#[derive(Debug, Clone, Copy)]
struct Step {
    held: Held,
    committed: bool,
}

const fn before(held: Held) -> Step {
    Step { held, committed: false }
}

/// In the order of an exchange. The person is known, and their roles have changed, so that nothing is left out.
const EXCHANGE: &[Step] = &[
    before(By("lock table auth.flow_states")),
    before(By("lock table auth.providers")),
    before(By("lock table auth.data_keys")),
    before(ByWorkos),
    before(By("select from auth.flow_states for update")),
    before(BySignIn),
    before(By("select from auth.users for update")),
    before(By("select from auth.identities for update")),
    before(By("select from auth.organization_memberships for update")),
    before(By("select from auth.sessions for update")),
    before(By("lock table auth.sessions in share row exclusive mode")),
    before(By("select from auth.organizations for update")),
    before(InTrigger("before insert on auth.sessions")),
    before(InTrigger("after insert on auth.sessions")),
    before(By("lock table auth.signing_keys")),
    before(By("lock table auth.audit_log_entries")),
    before(InTrigger("after insert on auth.audit_log_entries deferrable initially deferred")),
    Step { held: InCommit, committed: true },
];

/// In the order of a refresh.
const REFRESH: &[Step] = &[
    before(By("lock table auth.sessions")),
    before(By("lock table auth.data_keys")),
    before(By("lock table auth.users")),
    before(By("lock table auth.organization_memberships")),
    before(By("select from auth.sessions for update")),
    before(InTrigger("before update on auth.sessions")),
    before(InTrigger("after update on auth.sessions")),
    before(By("lock table auth.signing_keys")),
    before(InTrigger("after update on auth.sessions deferrable initially deferred")),
    Step { held: InCommit, committed: true },
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Backend,
    Server,
}

/// A server that crashes, a database on it, and a WorkOS that does not.
struct Site {
    cluster: Cluster,
    workos: Option<Workos>,
}

impl Site {
    async fn new() -> Self {
        // What was committed must not be lost by a crash.
        let cluster = Cluster::start_with(&["synchronous_commit = on"]).unwrap();
        let bed = Bed::new(&cluster, DATABASE).await;
        bed.set("workos_auth.request_timeout", "60s").await;
        // A slot that a crash left taken would turn the next one away.
        bed.set("workos_auth.max_concurrent_requests", "1").await;
        bed.set("workos_auth.request_queue_timeout", "0").await;
        bed.admin
            .batch_execute(
                "create function stands_still() returns trigger language plpgsql as
                     $$ begin perform pg_advisory_xact_lock(4711); return new; end $$",
            )
            .await
            .unwrap();
        sign_in(&bed.backend().await, ALICE).await;
        let workos = Some(bed.workos);
        Self { cluster, workos }
    }

    /// The database as long as the server lives; to be given back.
    async fn bed(&mut self) -> Bed<'_> {
        let deadline = Instant::now() + PATIENCE;
        let admin = loop {
            match self.cluster.connect(DATABASE, SUPERUSER).await {
                Ok(admin) => break admin,
                Err(error) => assert!(Instant::now() < deadline, "the server does not come back: {error}"),
            }
            tokio::time::sleep(POLL).await;
        };
        let workos = self.workos.take().unwrap();
        Bed { cluster: &self.cluster, workos, database: DATABASE.to_owned(), admin }
    }

    /// Has `doomed`, which uses the connection it is given, killed where it is held.
    async fn kill<T>(
        &mut self,
        victim: Victim,
        held: Held,
        other: &Pending,
        doomed: impl AsyncFnOnce(Client) -> Result<T, Error> + 'static,
    ) {
        let bed = self.bed().await;
        let app = bed.backend().await;
        let pid: i32 = app.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let holder = bed.superuser().await;
        hold(&bed, &holder, held, other).await;
        // Other groups than before, so that the tokens of the person's sessions become stale.
        let patch = json!({ "groups": [format!("group {}", fastrand::u64(..))] });
        bed.simulator().set_fault(Fault::token(FaultKind::ProfileOverrides { patch }).times(1)).unwrap();
        let mut doomed = pin!(doomed(app));
        let waiting_for = async {
            let asked = bed.token_requests().len();
            wait_until_held(&bed, held, pid, asked).await;
        };
        tokio::select! {
            biased;
            _ = &mut doomed => panic!("{held:?}: nothing held it"),
            () = waiting_for => {}
        }
        let Bed { workos, admin, .. } = bed;
        self.workos = Some(workos);
        match victim {
            Victim::Backend => kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap(),
            Victim::Server => self.cluster.crash().unwrap(),
        }
        assert!(doomed.await.is_err(), "{held:?}: it outlived its death");
        until_closed(&admin).await;
        let bed = self.bed().await;
        bed.simulator().clear_faults();
        release(&bed, held).await;
        let locks = "select count(*) from pg_locks where locktype in ('advisory', 'tuple', 'transactionid')";
        assert_eq!((bed.count(locks).await, bed.count("select count(*) from pg_prepared_xacts").await), (0, 0));
        self.workos = Some(bed.workos);
    }
}

/// A crash ends every connection; only then does the server begin to recover.
async fn until_closed(client: &Client) {
    let deadline = Instant::now() + PATIENCE;
    while !client.is_closed() {
        assert!(Instant::now() < deadline, "the crash is not noticed");
        tokio::time::sleep(POLL).await;
    }
}

async fn hold(bed: &Bed<'_>, holder: &Client, held: Held, other: &Pending) {
    match held {
        By(sql) => holder.batch_execute(&format!("begin; {sql}")).await.unwrap(),
        BySignIn => {
            holder.batch_execute("begin").await.unwrap();
            exchange(holder, other).await.unwrap();
        }
        ByWorkos => bed.simulator().set_fault(Fault::token(FaultKind::Hang).times(1)).unwrap(),
        InTrigger(when) => {
            let constraint = if when.contains("deferred") { "constraint" } else { "" };
            let sql = format!(
                "create {constraint} trigger still {when} for each row execute function stands_still();
                 select pg_advisory_lock(4711)"
            );
            holder.batch_execute(&sql).await.unwrap();
        }
        InCommit => {
            bed.cluster.append_conf("synchronous_standby_names = 'nobody'").unwrap();
            bed.cluster.reload().await.unwrap();
        }
    }
}

async fn wait_until_held(bed: &Bed<'_>, held: Held, pid: i32, asked: usize) {
    let wait = match held {
        InCommit => "wait_event = 'SyncRep'",
        _ => "wait_event_type = 'Lock'",
    };
    let sql = format!("select count(*) from pg_stat_activity where pid = {pid} and {wait}");
    let deadline = Instant::now() + PATIENCE;
    let is_held = async || match held {
        ByWorkos => bed.token_requests().len() > asked,
        _ => bed.count(&sql).await == 1,
    };
    while !is_held().await {
        assert!(Instant::now() < deadline, "{held:?} holds nothing");
        tokio::time::sleep(POLL).await;
    }
}

async fn release(bed: &Bed<'_>, held: Held) {
    match held {
        InTrigger(when) => {
            let table = when.split(' ').find(|word| word.starts_with("auth.")).unwrap();
            bed.admin.batch_execute(&format!("drop trigger still on {table}")).await.unwrap();
        }
        InCommit => {
            bed.cluster.append_conf("synchronous_standby_names = ''").unwrap();
            bed.cluster.reload().await.unwrap();
        }
        _ => {}
    }
}

/// Everybody goes on: the next sign-in and the next refreshes work, and nothing is half there.
async fn people_go_on(bed: &Bed<'_>, app: &Client) {
    let session = sign_in(app, ALICE).await;
    let session = bed.lives_or_has_ended(app, &session).await.unwrap();
    assert!(bed.lives_or_has_ended(app, &session).await.is_some());
    bed.is_whole().await;
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
}

async fn crash_exchanges(victim: Victim) {
    let mut site = Site::new().await;
    for Step { held, committed } in EXCHANGE {
        let bed = site.bed().await;
        let (pending, other) = (start(&bed.admin, ALICE).await, start(&bed.admin, ALICE).await);
        bed.simulator().clear_requests();
        let before = bed.contents().await;
        let sessions = bed.count("select count(*) from auth.sessions").await;
        site.workos = Some(bed.workos);

        let code = pending.clone();
        site.kill(victim, *held, &other, async move |app| exchange(&app, &code).await).await;

        let bed = site.bed().await;
        assert_eq!(bed.contents().await == before, !committed, "{held:?}");
        let now = bed.count("select count(*) from auth.sessions").await;
        assert_eq!(now, sessions + i64::from(*committed), "{held:?}");
        bed.is_whole().await;
        // The sign-in's own code: the database and WorkOS each say what they know of it.
        let app = bed.backend().await;
        let asked = bed.token_requests().iter().any(|request| request.field("code") == Some(&pending.code));
        match (committed, asked, exchange(&app, &pending).await) {
            (true, _, again) => drop(refused(again, "flow_state_not_found")),
            (false, true, again) => drop(refused(again, "workos_invalid_grant")),
            (false, false, again) => drop(again.unwrap_or_else(|error| panic!("{held:?}: {error:?}"))),
        }
        people_go_on(&bed, &app).await;
        site.workos = Some(bed.workos);
    }
}

async fn crash_refreshes(victim: Victim) {
    let mut site = Site::new().await;
    for Step { held, committed } in REFRESH {
        let bed = site.bed().await;
        let session = sign_in(&bed.admin, ALICE).await;
        let session = refresh(&bed.admin, &session.refresh_token).await.unwrap();
        let other = start(&bed.admin, ALICE).await;
        let before = bed.contents().await;
        site.workos = Some(bed.workos);

        let token = session.refresh_token.clone();
        site.kill(victim, *held, &other, async move |app| refresh(&app, &token).await).await;

        let bed = site.bed().await;
        assert_eq!(bed.contents().await == before, !committed, "{held:?}");
        let current = if *committed { 2 } else { 1 };
        assert_eq!(bed.counter(session.session_id).await, Some(current), "{held:?}");
        bed.is_whole().await;
        // Whoever never had the answer has the token before it, and goes on with that, once more after that too.
        let app = bed.backend().await;
        let next = bed.lives_or_has_ended(&app, &session).await.unwrap();
        assert_eq!(counter(&next.refresh_token), 2, "{held:?}");
        let next = bed.lives_or_has_ended(&app, &next).await.unwrap();
        assert_eq!(counter(&next.refresh_token), 3, "{held:?}");
        people_go_on(&bed, &app).await;
        site.workos = Some(bed.workos);
    }
}

#[tokio::test]
async fn a_backend_that_dies_in_an_exchange_leaves_a_session_or_nothing() {
    crash_exchanges(Victim::Backend).await;
}

#[tokio::test]
async fn a_server_that_dies_in_an_exchange_leaves_a_session_or_nothing() {
    crash_exchanges(Victim::Server).await;
}

#[tokio::test]
async fn a_backend_that_dies_in_a_refresh_leaves_the_session_whole() {
    crash_refreshes(Victim::Backend).await;
}

#[tokio::test]
async fn a_server_that_dies_in_a_refresh_leaves_the_session_whole() {
    crash_refreshes(Victim::Server).await;
}

/// A session whose first token was replaced twice, long ago.
async fn stolen(bed: &Bed<'_>) -> (Session, String) {
    let first = sign_in(&bed.admin, ALICE).await;
    let second = refresh(&bed.admin, &first.refresh_token).await.unwrap();
    let third = refresh(&bed.admin, &second.refresh_token).await.unwrap();
    let sql = "update auth.sessions set refreshed_at = refreshed_at - interval '1 hour' where id = $1";
    bed.admin.execute(sql, &[&third.session_id]).await.unwrap();
    (third, first.refresh_token)
}

#[tokio::test]
async fn a_stolen_session_that_a_crash_saved_ends_when_the_token_comes_again() {
    // The worker that ends it, or the server.
    for victim in [Victim::Backend, Victim::Server] {
        let mut site = Site::new().await;
        let bed = site.bed().await;
        let (session, token) = stolen(&bed).await;
        let (app, holder, admin) = (bed.backend().await, bed.superuser().await, bed.superuser().await);
        holder.batch_execute("begin; select from auth.sessions for update").await.unwrap();
        refused(refresh(&app, &token).await, "refresh_token_already_used");
        let worker = "select pid from pg_stat_activity where backend_type = 'workos_auth' and wait_event_type = 'Lock'";
        let pid: i32 = bed.admin.query_one(worker, &[]).await.unwrap().get(0);
        site.workos = Some(bed.workos);
        match victim {
            Victim::Backend => kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap(),
            Victim::Server => site.cluster.crash().unwrap(),
        }
        until_closed(&admin).await;
        let bed = site.bed().await;
        let app = bed.backend().await;
        assert_eq!(bed.counter(session.session_id).await, Some(2), "{victim:?}");
        bed.is_whole().await;
        refused(refresh(&app, &token).await, "refresh_token_already_used");
        assert!(bed.lives_or_has_ended(&app, &session).await.is_none(), "{victim:?}");
        people_go_on(&bed, &app).await;
        site.workos = Some(bed.workos);
    }
}
