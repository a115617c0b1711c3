//! Waiting for WorkOS inside a backend: it ends when the query is cancelled, survives what is harmless, and is bounded.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, Pending, Session, exchange, sign_in, start};
use workos_end_to_end::sql::{refusal, refused, refused_as, text};
use workos_simulator::{Fault, FaultKind};
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};
use workos_testbed::{Cluster, browser_sign_in};

/// What must happen at once may take this long on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(20);

/// A database whose calls to WorkOS may take much longer than any test waits.
async fn patient<'a>(bed: impl Future<Output = Bed<'a>>) -> Bed<'a> {
    let bed = bed.await;
    bed.set("workos_auth.request_timeout", "60s").await;
    bed
}

/// A backend of its own with its process id, and a sign-in that only needs the exchange.
async fn ready(bed: &Bed<'_>) -> (Client, i32, Pending) {
    let client = bed.backend().await;
    let pid = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let pending = start(&client, ALICE).await;
    (client, pid, pending)
}

type Exchange = JoinHandle<(Client, Result<Session, tokio_postgres::Error>)>;

/// Exchanges in the background; returns when the backend waits for WorkOS.
async fn waiting(bed: &Bed<'_>, client: Client, pid: i32, pending: Pending) -> Exchange {
    let task = tokio::spawn(async move {
        let result = exchange(&client, &pending).await;
        (client, result)
    });
    let deadline = Instant::now() + PATIENCE;
    let sql = format!("select wait_event_type from pg_stat_activity where pid = {pid}");
    while text(&bed.admin, &sql).await.unwrap().as_deref() != Some("Extension") {
        assert!(Instant::now() < deadline, "the backend never waited for WorkOS");
        assert!(!task.is_finished(), "the exchange did not wait: {:?}", task.await.unwrap().1.map(drop));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    task
}

fn threads(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

/// Nothing is left of a call that ended: the next one on the same connection works, and the old one can be repeated.
async fn goes_on(bed: &Bed<'_>, client: &Client, pid: i32) {
    bed.simulator().clear_faults();
    sign_in(client, ALICE).await;
    assert_eq!(threads(pid), 1);
    let held = "select count(*) from pg_locks where locktype = 'advisory' and pid = ";
    assert_eq!(bed.count(&format!("{held}{pid}")).await, 0);
}

#[tokio::test]
async fn a_statement_timeout_and_a_cancel_end_the_wait_at_once() {
    let bed = patient(Bed::shared("cancelled")).await;
    let (client, pid, pending) = ready(&bed).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    client.batch_execute("set statement_timeout = '300ms'").await.unwrap();
    let began = Instant::now();
    refused_as(exchange(&client, &pending).await, "57014");
    assert!(began.elapsed() < AT_ONCE + Duration::from_millis(300), "{:?}", began.elapsed());
    client.batch_execute("reset statement_timeout").await.unwrap();
    goes_on(&bed, &client, pid).await;
    // The flow is still there: only WorkOS's code is spent.
    refused(exchange(&client, &pending).await, "workos_invalid_grant");

    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let pending = start(&client, ALICE).await;
    let task = waiting(&bed, client, pid, pending).await;
    assert_eq!(threads(pid), 1, "while it waits");
    let began = Instant::now();
    assert_eq!(bed.count(&format!("select count(*) where pg_cancel_backend({pid})")).await, 1);
    let (client, result) = task.await.unwrap();
    refused_as(result, "57014");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    goes_on(&bed, &client, pid).await;
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 2);

    // A transaction that goes on after a savepoint.
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let pending = start(&client, ALICE).await;
    client.batch_execute("begin; savepoint s; set local statement_timeout = '300ms'").await.unwrap();
    refused_as(exchange(&client, &pending).await, "57014");
    client.batch_execute("rollback to s").await.unwrap();
    bed.simulator().clear_faults();
    sign_in(&client, ALICE).await;
    client.batch_execute("commit").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 3);
}

#[tokio::test]
async fn a_terminated_backend_leaves_at_once() {
    let bed = patient(Bed::shared("terminated")).await;
    let (client, pid, pending) = ready(&bed).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let task = waiting(&bed, client, pid, pending.clone()).await;
    let began = Instant::now();
    bed.admin.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
    let (_, result) = task.await.unwrap();
    refused_as(result, "57P01");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 1);
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);

    // So does one whose client went away, where Postgres looks after that.
    let role = format!("{}_backend", bed.database);
    let (client, connection) = bed.cluster.config(&bed.database, &role).connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    client.batch_execute("set client_connection_check_interval = '100ms'").await.unwrap();
    let task = waiting(&bed, client, pid, pending).await;
    connection.abort();
    assert!(task.await.unwrap().1.is_err());
    let deadline = Instant::now() + PATIENCE;
    while bed.count(&format!("select count(*) from pg_stat_activity where pid = {pid}")).await != 0 {
        assert!(Instant::now() < deadline, "the backend waits on for nobody");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn no_exception_handler_swallows_a_cancel() {
    let bed = patient(Bed::shared("handlers")).await;
    bed.admin
        .batch_execute(
            "create function public.stubborn(code text, verifier text) returns text language plpgsql as $$
        begin
            perform auth.exchange_code(code, verifier);
            return 'done';
        exception when others then
            return 'swallowed ' || sqlstate;
        end $$",
        )
        .await
        .unwrap();
    let (client, pid, pending) = ready(&bed).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    client.batch_execute("set statement_timeout = '300ms'").await.unwrap();
    let call = "select public.stubborn($1, $2)";
    refused_as(client.query(call, &[&pending.code, &pending.verifier]).await, "57014");
    client.batch_execute("reset statement_timeout").await.unwrap();
    // Every other error is the handler's.
    let outcome: String = client.query_one(call, &[&"a_code", &"v".repeat(43)]).await.unwrap().get(0);
    assert_eq!(outcome, "swallowed WA201");
    goes_on(&bed, &client, pid).await;
}

#[tokio::test]
async fn only_so_many_backends_wait_at_a_time() {
    // Of its own: the limit is the cluster's, and a killed backend restarts it.
    let settings = ["workos_auth.max_concurrent_requests = 2", "workos_auth.request_queue_timeout = 0"];
    let cluster = Cluster::start_with(&settings).unwrap();
    let bed = patient(Bed::new(&cluster, "limited")).await;
    let other = Bed::new(&cluster, "other").await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();

    let mut tasks = Vec::new();
    let mut pids = Vec::new();
    for _ in 0..2 {
        let (client, pid, pending) = ready(&bed).await;
        tasks.push(waiting(&bed, client, pid, pending).await);
        pids.push(pid);
    }
    // The third is refused at once, in another database too, without a request and without losing anything.
    let (client, pid, pending) = ready(&other).await;
    let began = Instant::now();
    let error = refused(exchange(&client, &pending).await, "over_request_rate_limit");
    assert_eq!(error.sqlstate, "53400");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(other.token_requests().len(), 0);
    // Nobody frees or takes a slot from SQL.
    bed.admin.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    refused(exchange(&client, &pending).await, "over_request_rate_limit");

    bed.admin.execute("select pg_cancel_backend($1)", &[&pids[0]]).await.unwrap();
    let (cancelled, result) = tasks.remove(0).await.unwrap();
    refused_as(result, "57014");
    exchange(&client, &pending).await.unwrap();
    goes_on(&other, &client, pid).await;

    // A slot is given back at the end of the call, not of the transaction.
    client.batch_execute("begin").await.unwrap();
    for _ in 0..3 {
        sign_in(&client, ALICE).await;
    }
    // Nor does that transaction hold up a colleague's sign-in.
    let neighbour = other.backend().await;
    timeout(PATIENCE, sign_in(&neighbour, ANNA)).await.expect("an open transaction blocks a colleague");
    client.batch_execute("rollback").await.unwrap();
    // An error gives it back as well, within a transaction that goes on.
    other.simulator().set_fault(Fault::token(FaultKind::Status { code: 500, body: None }).times(3)).unwrap();
    client.batch_execute("begin").await.unwrap();
    for _ in 0..3 {
        let pending = start(&client, ALICE).await;
        client.batch_execute("savepoint s").await.unwrap();
        refused(exchange(&client, &pending).await, "workos_unavailable");
        client.batch_execute("rollback to s").await.unwrap();
    }
    sign_in(&client, ALICE).await;
    client.batch_execute("commit").await.unwrap();
    drop(cancelled);

    // Two hang again, and one of them is killed: the cluster recovers, and so do both slots.
    let (again, pid, pending) = ready(&bed).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    tasks.push(waiting(&bed, again, pid, pending).await);
    text(&bed.admin, &format!("copy (select) to program 'kill -9 {pid}'")).await.ok();
    let deadline = Instant::now() + PATIENCE;
    let client = loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Ok(client) = cluster.connect("limited", "postgres").await {
            break client;
        }
        assert!(Instant::now() < deadline, "the cluster did not recover");
    };
    for task in tasks {
        assert!(task.await.unwrap().1.is_err());
    }
    assert_eq!(text(&client, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("0"));
    bed.simulator().clear_faults();
    for _ in 0..3 {
        sign_in(&client, ALICE).await;
    }
}

#[tokio::test]
async fn what_is_harmless_does_not_end_the_wait() {
    let bed = patient(Bed::shared("harmless")).await;
    bed.cluster.create_database("dropped_meanwhile").await.unwrap();
    let (client, pid, pending) = ready(&bed).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 1_500 })).unwrap();
    let task = waiting(&bed, client, pid, pending).await;
    // A barrier for every backend, a look into this one's memory, and a configuration that is read again.
    bed.admin.batch_execute("drop database dropped_meanwhile").await.unwrap();
    bed.admin.execute("select pg_log_backend_memory_contexts($1)", &[&pid]).await.unwrap();
    bed.admin.batch_execute("select pg_reload_conf()").await.unwrap();
    assert!(!task.is_finished(), "it did not wait");
    let (client, result) = task.await.unwrap();
    result.unwrap();
    assert_eq!(bed.token_requests().len(), 1);
    let log = bed.log();
    assert!(log.contains("logging memory contexts"), "the backend answered no signal");
    goes_on(&bed, &client, pid).await;
}

/// Stands between the extension and a WorkOS. It keeps its port, whatever becomes of the connections.
struct Front {
    port: u16,
    /// Connections that began with a POST: the extension's, not the browser's.
    posts: Arc<AtomicUsize>,
    open: Arc<Mutex<JoinSet<()>>>,
}

impl Front {
    fn on(listener: TcpListener, behind: u16) -> Self {
        let front = Self { port: listener.local_addr().unwrap().port(), posts: Arc::default(), open: Arc::default() };
        let (posts, open) = (Arc::clone(&front.posts), Arc::clone(&front.open));
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let posts = Arc::clone(&posts);
                open.lock().unwrap().spawn(async move {
                    let mut first = [0; 4];
                    if from.peek(&mut first).await.is_ok() && &first == b"POST" {
                        posts.fetch_add(1, Ordering::SeqCst);
                    }
                    if let Ok(mut to) = TcpStream::connect(("127.0.0.1", behind)).await {
                        let _ = copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        front
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn posts(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }

    /// Closes every connection that there is, as the restart of a server does.
    async fn restarts(&self) {
        let mut open = std::mem::take(&mut *self.open.lock().unwrap());
        open.shutdown().await;
    }
}

async fn configure(bed: &Bed<'_>, api_url: &str) {
    let sql = "select auth.configure_workos(client_id => $1, redirect_uri => $2, client_secret => $3, api_url => $4)";
    bed.admin.execute(sql, &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET, &api_url]).await.unwrap();
}

#[tokio::test]
async fn connections_are_kept_and_a_closed_one_is_not_used() {
    let bed = Bed::shared("kept_alive").await;
    let front = Front::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), bed.simulator().port());
    configure(&bed, &front.url()).await;
    let (client, pid, pending) = ready(&bed).await;
    exchange(&client, &pending).await.unwrap();
    for _ in 1..20 {
        sign_in(&client, ALICE).await;
    }
    assert_eq!((bed.token_requests().len(), front.posts()), (20, 1));
    // A cancelled request takes its connection with it, and nothing else.
    bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let pending = start(&client, ALICE).await;
    client.batch_execute("set statement_timeout = '300ms'").await.unwrap();
    refused_as(exchange(&client, &pending).await, "57014");
    client.batch_execute("reset statement_timeout").await.unwrap();
    goes_on(&bed, &client, pid).await;
    assert_eq!(front.posts(), 2);
    // The answer to an abandoned request never becomes that of the next: each has its own code and person.
    let own = sign_in(&client, BOB).await;
    let email = text(&bed.admin, &format!("select email from auth.users where id = '{}'", own.user_id)).await.unwrap();
    assert_eq!(email.as_deref(), Some("bob@globex.com"));

    // WorkOS's server is restarted several times between two exchanges.
    for _ in 0..5 {
        sign_in(&client, ALICE).await;
        front.restarts().await;
    }
    sign_in(&client, ALICE).await;
    assert_eq!((front.posts(), threads(pid)), (7, 1));
    // Where nobody listens yet, it is said so, and the flow can be exchanged when somebody does. The port is held from the beginning.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = format!("http://{}", socket.local_addr().unwrap());
    configure(&bed, &silent).await;
    let sql = "select url, state, code_verifier from auth.start_sign_in('org_acme')";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let url = url.replace(&silent, bed.workos.url().trim_end_matches('/'));
    let code = browser_sign_in(&url, Some(ALICE.email)).await.unwrap().code;
    let pending = Pending { url, code, verifier, state };
    let error = refusal(exchange(&client, &pending).await);
    assert_eq!(error.sqlstate, "WA301", "{error}");
    let _front = Front::on(socket.listen(16).unwrap(), bed.simulator().port());
    exchange(&client, &pending).await.unwrap();
}
