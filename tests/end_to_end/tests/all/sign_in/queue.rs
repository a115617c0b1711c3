//! Sign-ins under load: more of them than places, which are given out first come, first served, for as long as the settings say.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, GINA, Pending, Person, Session, exchange, sign_in, start};
use workos_end_to_end::brokered::{callback, come_back, exchange_own};
use workos_end_to_end::sql::{Notices, Refusal, connect_with_notices, refusal, refused, refused_as, text};
use workos_simulator::{Fault, FaultKind};
use workos_testbed::Cluster;

/// What must happen at once may take this long on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A cluster with so many places, whose calls may take longer than any test waits.
fn cluster(places: u32) -> Cluster {
    let places = format!("workos_auth.max_concurrent_requests = {places}");
    Cluster::start_with(&["max_connections = 150", "log_lock_waits = on", "deadlock_timeout = 200ms", &places]).unwrap()
}

async fn patient<'a>(cluster: &'a Cluster, database: &str) -> Bed<'a> {
    let bed = Bed::new(cluster, database).await;
    bed.set("workos_auth.request_timeout", "60s").await;
    bed.set("workos_auth.request_queue_timeout", "60s").await;
    bed
}

type Exchange = JoinHandle<Result<Session, Error>>;

/// A backend of its own, with a sign-in that only needs the exchange.
struct Caller {
    client: std::sync::Arc<Client>,
    notices: Notices,
    pid: i32,
    pending: Pending,
}

impl Caller {
    async fn new(bed: &Bed<'_>) -> Self {
        Self::of(bed, ALICE).await
    }

    async fn of(bed: &Bed<'_>, person: Person) -> Self {
        bed.backend().await;
        let config = bed.cluster.config(&bed.database, &format!("{}_backend", bed.database));
        let (client, notices) = connect_with_notices(&config).await.unwrap();
        let pid = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let pending = start(&client, person).await;
        Self { client: client.into(), notices, pid, pending }
    }

    fn exchange(&self) -> Exchange {
        let (client, pending) = (self.client.clone(), self.pending.clone());
        tokio::spawn(async move { exchange(&*client, &pending).await })
    }

    /// Somebody whom WorkOS does not answer, and whose place nobody gets.
    async fn who_hangs(bed: &Bed<'_>) -> (Self, Exchange) {
        bed.simulator().set_fault(Fault::token(FaultKind::Hang).times(1)).unwrap();
        let caller = Self::new(bed).await;
        let exchange = caller.takes_a_place(bed).await;
        (caller, exchange)
    }

    /// Whom WorkOS does not answer is cancelled, and gives the place back.
    async fn leaves(self, bed: &Bed<'_>, exchange: Exchange) {
        self.told(bed, "pg_cancel_backend").await;
        refused_as(exchange.await.unwrap(), "57014");
    }

    /// Returns when it waits for WorkOS.
    async fn takes_a_place(&self, bed: &Bed<'_>) -> Exchange {
        let asked = bed.token_requests().len();
        let task = self.exchange();
        let deadline = Instant::now() + PATIENCE;
        while bed.token_requests().len() == asked {
            assert!(Instant::now() < deadline && !task.is_finished(), "it never asked WorkOS");
            tokio::time::sleep(POLL).await;
        }
        task
    }

    /// Returns when it waits as the `n`th in the queue.
    async fn queues(&self, bed: &Bed<'_>, n: i64) -> Exchange {
        let task = self.exchange();
        until_queued(bed, n).await;
        assert!(!task.is_finished(), "{:?}", task.await.unwrap().map(drop));
        task
    }

    /// What Postgres does for one process.
    async fn told(&self, bed: &Bed<'_>, function: &str) {
        bed.admin.execute(&format!("select {function}($1)"), &[&self.pid]).await.unwrap();
    }
}

/// Backends hold or await a lock of ours: the kind stands in the fourth field of its tag.
fn held(kind: u16) -> String {
    format!("(select count(*) from pg_locks where locktype = 'advisory' and objsubid = {kind})")
}

const SLOT: u16 = 7;
const TURNSTILE: u16 = 12;

async fn until_queued(bed: &Bed<'_>, n: i64) {
    bed.until(&format!("{} = {n}", held(TURNSTILE))).await;
}

/// Nobody holds or awaits a lock, and whoever comes next gets in.
async fn nothing_is_left(bed: &Bed<'_>) {
    let locks = "select count(*) from pg_locks where locktype = 'advisory'";
    assert_eq!(bed.count(locks).await, 0);
    bed.simulator().clear_faults();
    sign_in(&bed.backend().await, ALICE).await;
    assert_eq!(bed.count(locks).await, 0);
}

fn quiet(callers: &[Caller]) {
    let warnings: Vec<Refusal> = callers.iter().flat_map(|caller| caller.notices.take_warnings()).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test]
async fn a_storm_of_sign_ins_is_served_whole_while_other_queries_go_on() {
    const PLACES: u32 = 16;
    const CLIENTS: usize = 100;
    let cluster = cluster(PLACES);
    let bed = patient(&cluster, "storm").await;
    let callers = join_all((0..CLIENTS).map(|_| Caller::new(&bed))).await;
    let neighbour = bed.superuser().await;
    neighbour
        .batch_execute("create table notes (id int primary key, n int); insert into notes values (1, 0)")
        .await
        .unwrap();
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 300 })).unwrap();

    let began = Instant::now();
    let exchanges: Vec<Exchange> = callers.iter().map(Caller::exchange).collect();
    let mut latencies = Vec::new();
    while exchanges.iter().any(|exchange| !exchange.is_finished()) {
        let began = Instant::now();
        neighbour.execute("update notes set n = n + 1 where id = 1", &[]).await.unwrap();
        latencies.push(began.elapsed());
        tokio::time::sleep(POLL).await;
    }
    let took = began.elapsed();
    for exchange in exchanges {
        exchange.await.unwrap().unwrap_or_else(|error| panic!("{error:?}"));
    }
    // Seven rounds of 300 ms, and never more than the places at a time.
    let rounds = CLIENTS.div_ceil(PLACES as usize);
    assert!(took >= Duration::from_millis(300) * u32::try_from(rounds).unwrap(), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    latencies.sort();
    let (median, worst) = (latencies[latencies.len() / 2], latencies[latencies.len() - 1]);
    eprintln!("{CLIENTS} sign-ins in {took:?}; a neighbour's update: median {median:?}, worst {worst:?}");
    assert!(median < Duration::from_millis(100) && worst < AT_ONCE, "{median:?}, {worst:?}");
    quiet(&callers);
    // Whoever looks for locks in the log does not find those who wait for a place.
    let ours = format!(",{TURNSTILE}] after ");
    let log = bed.log();
    let noise: Vec<&str> = log.lines().filter(|line| line.contains(&ours) || line.contains("own a lock")).collect();
    assert!(noise.is_empty(), "{noise:?}");
    nothing_is_left(&bed).await;
}

#[tokio::test]
async fn places_are_given_in_the_order_of_coming() {
    let cluster = cluster(1);
    let bed = patient(&cluster, "in_order").await;
    let (first, holder) = Caller::who_hangs(&bed).await;
    let mut callers = Vec::new();
    let mut tasks = Vec::new();
    for n in 1..=8 {
        let caller = Caller::new(&bed).await;
        tasks.push(caller.queues(&bed, n).await);
        callers.push(caller);
    }
    // All are seen to wait for the same thing, whether they are first in the queue or last.
    let events = "select string_agg(distinct wait_event_type || ' ' || wait_event, ', ') from pg_stat_activity where pid = any($1)";
    let pids: Vec<i32> = callers.iter().map(|caller| caller.pid).collect();
    let event: String = bed.admin.query_one(events, &[&pids]).await.unwrap().get(0);
    let version = text(&bed.admin, "show server_version_num").await.unwrap().unwrap();
    let named = version.parse::<u32>().unwrap() >= 170_000;
    assert_eq!(event, if named { "Extension WorkosRequestQueue" } else { "Extension Extension" });
    let event: String = bed.admin.query_one(events, &[&vec![first.pid]]).await.unwrap().get(0);
    assert_eq!(event, if named { "Extension WorkosRequest" } else { "Extension Extension" });

    bed.simulator().clear_requests();
    first.leaves(&bed, holder).await;
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let asked: Vec<String> =
        bed.token_requests().iter().filter_map(|asked| asked.field("code").map(str::to_owned)).collect();
    let came: Vec<&String> = callers.iter().map(|caller| &caller.pending.code).collect();
    assert_eq!(asked.iter().collect::<Vec<_>>(), came);
    quiet(&callers);
    nothing_is_left(&bed).await;
}

#[tokio::test]
async fn whoever_waits_too_long_is_refused_with_the_time_and_keeps_the_code() {
    let cluster = cluster(1);
    let bed = patient(&cluster, "too_long").await;
    bed.set("workos_auth.request_queue_timeout", "1s").await;
    let (holding, holder) = Caller::who_hangs(&bed).await;
    // One waits for a place, and the next one behind somebody who waits longer.
    let hurried = [Caller::new(&bed).await, Caller::new(&bed).await];
    bed.set("workos_auth.request_queue_timeout", "60s").await;
    let patient = Caller::new(&bed).await;
    let mut waiting = None;
    for caller in &hurried {
        let began = Instant::now();
        let error = refused(caller.exchange().await.unwrap(), "over_request_rate_limit");
        assert_eq!(error.sqlstate, "53400");
        let took = began.elapsed();
        let waited = error.detail.strip_prefix("All 1 of them are taken; this call has waited ").unwrap();
        let waited: f64 = waited.strip_suffix(" s for one.").unwrap().parse().unwrap();
        // It is rounded to tenths.
        assert!((1.0..took.as_secs_f64() + 0.1).contains(&waited), "{error}: {took:?}");
        assert!(took < AT_ONCE, "{took:?}");
        if waiting.is_none() {
            waiting = Some(patient.queues(&bed, 1).await);
        }
    }
    assert_eq!(bed.token_requests().len(), 1);
    // 0 refuses at once.
    bed.admin
        .batch_execute(&bed.named("alter role DATABASE_backend set workos_auth.request_queue_timeout = 0"))
        .await
        .unwrap();
    let hasty = Caller::new(&bed).await;
    let began = Instant::now();
    let error = refused(hasty.exchange().await.unwrap(), "over_request_rate_limit");
    assert_eq!(error.detail, "All 1 of them are taken.");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());

    holding.leaves(&bed, holder).await;
    waiting.unwrap().await.unwrap().unwrap();
    for caller in &hurried {
        caller.exchange().await.unwrap().unwrap();
    }
    quiet(&hurried);
    nothing_is_left(&bed).await;
}

#[tokio::test]
async fn with_a_workos_that_hangs_every_call_ends_by_its_deadline() {
    let cluster = cluster(2);
    let bed = Bed::new(&cluster, "hanging").await;
    // The default of the queue is as long as the default of the request.
    let deadline = Duration::from_secs(5);
    bed.set("workos_auth.request_timeout", "5s").await;
    let callers = join_all((0..12).map(|_| Caller::new(&bed))).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let began = Instant::now();
    let ends = join_all(callers.iter().map(Caller::exchange)).await;
    let took = began.elapsed();
    // Whoever got a place only after somebody's deadline would take as long again.
    assert!(took < deadline * 2, "{took:?}");
    let states: Vec<String> = ends.into_iter().map(|end| refusal(end.unwrap()).sqlstate).collect();
    let count = |sqlstate: &str| states.iter().filter(|state| *state == sqlstate).count();
    assert_eq!((count("WA302"), count("53400")), (2, 10), "{states:?}");
    // Who was refused has not shown WorkOS the code.
    assert_eq!(bed.token_requests().len(), 2);
    quiet(&callers);
    nothing_is_left(&bed).await;
}

/// What ends a wait, and as what.
const ENDS: [(&str, &str); 4] =
    [("cancel", "57014"), ("statement_timeout", "57014"), ("lock_timeout", "55P03"), ("terminate", "57P01")];

#[tokio::test]
async fn whatever_ends_the_wait_leaves_no_lock_and_no_hole_in_the_queue() {
    let cluster = cluster(1);
    let bed = patient(&cluster, "ended").await;
    for (what, sqlstate) in ENDS {
        // The first in the queue, and one in the middle of it.
        for victim in [0, 1] {
            bed.simulator().clear_faults();
            let (holding, holder) = Caller::who_hangs(&bed).await;
            let callers = [Caller::new(&bed).await, Caller::new(&bed).await, Caller::new(&bed).await];
            if what.ends_with("timeout") {
                callers[victim].client.batch_execute(&format!("set {what} = '3s'")).await.unwrap();
            }
            let mut tasks = Vec::new();
            let began = Instant::now();
            for (n, caller) in (1..).zip(&callers) {
                tasks.push(caller.queues(&bed, n).await);
            }
            match what {
                "cancel" => callers[victim].told(&bed, "pg_cancel_backend").await,
                "terminate" => callers[victim].told(&bed, "pg_terminate_backend").await,
                _ => {}
            }
            let ended = refused_as(tasks.remove(victim).await.unwrap(), sqlstate);
            assert!(began.elapsed() < PATIENCE / 2, "{what} {victim}: {:?}", began.elapsed());
            if what == "lock_timeout" {
                assert_eq!(ended.message, "canceling statement due to lock timeout", "{victim}");
            }
            until_queued(&bed, 2).await;
            assert_eq!(bed.count(&format!("select {}", held(SLOT))).await, 1, "{what} {victim}");
            holding.leaves(&bed, holder).await;
            for task in tasks {
                task.await.unwrap().unwrap_or_else(|error| panic!("{what} {victim}: {error:?}"));
            }
            if what != "terminate" {
                // The connection goes on, and so does the sign-in: WorkOS has not seen its code.
                let caller = &callers[victim];
                caller.client.batch_execute("set statement_timeout = 0; set lock_timeout = 0").await.unwrap();
                caller.exchange().await.unwrap().unwrap_or_else(|error| panic!("{what} {victim}: {error:?}"));
            }
            quiet(&callers);
            nothing_is_left(&bed).await;
        }
    }
}

#[tokio::test]
async fn the_callers_own_time_outs_are_as_they_were() {
    let cluster = cluster(1);
    let bed = patient(&cluster, "longer").await;
    bed.set("workos_auth.request_queue_timeout", "1s").await;
    let (holding, holder) = Caller::who_hangs(&bed).await;
    let callers = [Caller::new(&bed).await, Caller::new(&bed).await];
    for caller in &callers {
        caller.client.batch_execute("set lock_timeout = '50s'").await.unwrap();
    }
    let tasks = [callers[0].queues(&bed, 1).await, callers[1].queues(&bed, 2).await];
    for task in tasks {
        refused(task.await.unwrap(), "over_request_rate_limit");
    }
    // Nor has the wait in the lock manager left anything else behind.
    for caller in &callers {
        for (setting, value) in [("lock_timeout", "50s"), ("deadlock_timeout", "200ms")] {
            let shown = text(&caller.client, &format!("show {setting}")).await.unwrap();
            assert_eq!(shown.as_deref(), Some(value), "{setting}");
        }
    }
    holding.leaves(&bed, holder).await;
    nothing_is_left(&bed).await;
}

#[tokio::test]
async fn a_wait_within_savepoints_gives_back_what_it_took() {
    let cluster = cluster(1);
    let bed = patient(&cluster, "savepoints").await;
    // An open transaction keeps what it made from others: their accounts and organizations are there before.
    for person in [ALICE, ANNA, BOB, GINA] {
        bed.sign_in(person).await;
    }
    let callers = [Caller::of(&bed, ALICE).await, Caller::of(&bed, BOB).await, Caller::of(&bed, GINA).await];
    for caller in &callers {
        caller.client.batch_execute("set statement_timeout = '10s'; begin; savepoint s").await.unwrap();
    }
    // Each waits for the one before, as the first of the queue and as the second, and keeps its transaction open afterwards.
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 500 })).unwrap();
    for end in join_all(callers.iter().map(Caller::exchange)).await {
        end.unwrap().unwrap();
    }
    assert_eq!(bed.count(&format!("select {} + {}", held(SLOT), held(TURNSTILE))).await, 0);
    sign_in(&bed.backend().await, ANNA).await;
    for caller in &callers {
        caller.client.batch_execute("rollback to s; commit").await.unwrap();
    }
    // One that fails beneath a savepoint is taken back with it, and the transaction goes on.
    bed.simulator().clear_faults();
    let (holding, holder) = Caller::who_hangs(&bed).await;
    let caller = Caller::new(&bed).await;
    caller.client.batch_execute("set statement_timeout = '500ms'; begin; savepoint s").await.unwrap();
    refused_as(caller.exchange().await.unwrap(), "57014");
    caller.client.batch_execute("rollback to s; set statement_timeout = 0").await.unwrap();
    let task = caller.queues(&bed, 1).await;
    holding.leaves(&bed, holder).await;
    task.await.unwrap().unwrap();
    caller.client.batch_execute("commit").await.unwrap();
    quiet(&callers);
    quiet(&[caller]);
    nothing_is_left(&bed).await;
}

#[tokio::test]
async fn a_callback_waits_for_its_turn_too() {
    let cluster = cluster(1);
    let bed = patient(&cluster, "brokered").await;
    bed.set("workos_auth.site_url", "https://site.example/home").await;
    let backend = bed.backend().await;
    let pending = come_back(&backend, "organization => 'org_acme'", ALICE.email).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 1_000 }).times(1)).unwrap();
    let holding = Caller::new(&bed).await;
    let holder = holding.takes_a_place(&bed).await;
    let landing = callback(&backend, &pending).await.unwrap();
    holder.await.unwrap().unwrap();
    exchange_own(&backend, &landing.code(), &pending.verifier).await.unwrap();
    nothing_is_left(&bed).await;
}
