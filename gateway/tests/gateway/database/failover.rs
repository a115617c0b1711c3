//! Several servers: which of them is asked, and what becomes of requests when another one takes over.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;
use workos_end_to_end::{ALICE, Bed};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

use crate::common::{Program, REFRESH, eventually, ok, refused, send, set_up};

const DATABASE: &str = "failover";
/// How many people refresh all the time.
const PEOPLE: usize = 6;

/// A standby that could take over: it has the root key as well.
async fn standby_of(primary: &Cluster, bed: &Bed<'_>) -> Cluster {
    let standby = primary.start_standby(&[]).unwrap();
    let (from, to) = (primary.root_key_path(), standby.root_key_path());
    fs::copy(&from, &to).unwrap();
    let owner = fs::metadata(&from).unwrap();
    chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
    standby.append_conf(&format!("workos_auth.root_key_file = '{}'", to.display())).unwrap();
    standby.reload().await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    standby
}

async fn start(bed: &Bed<'_>, role: &str, ports: &[u16], wanted: &str, flags: &[&str]) -> Program {
    let hosts = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
    let url = format!("postgres://{role}@{hosts}/{DATABASE}?target_session_attrs={wanted}");
    Program::start_in(bed, &[("DATABASE_URL", &url)], flags).await
}

async fn is_asked(cluster: &Cluster, role: &str) -> bool {
    let admin = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let sql = "select count(*) from pg_stat_activity where usename = $1";
    admin.query_one(sql, &[&role]).await.unwrap().get::<_, i64>(0) > 0
}

async fn promote(standby: &Cluster) {
    let admin = standby.connect("postgres", SUPERUSER).await.unwrap();
    assert!(admin.query_one("select pg_promote(true, 60)", &[]).await.unwrap().get::<_, bool>(0));
}

/// People who refresh over and over, until they are told that it is over.
struct Load {
    people: JoinSet<(Value, Vec<(u16, String)>)>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    async fn begin(gateway: &Program) -> Self {
        let (mut people, is_over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for _ in 0..PEOPLE {
            let mut session = gateway.sign_in(ALICE).await;
            let (http, url, is_over) = (gateway.http.clone(), gateway.at(REFRESH), Arc::clone(&is_over));
            people.spawn(async move {
                let mut lost = Vec::new();
                while !is_over.load(Ordering::Relaxed) {
                    let body = json!({ "refresh_token": session["refresh_token"] });
                    let answer = send(http.post(&url).json(&body)).await;
                    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                    match status {
                        200 => session = serde_json::from_str(&text).unwrap(),
                        _ => lost.push((status, text)),
                    }
                }
                (session, lost)
            });
        }
        Self { people, is_over }
    }

    /// Their sessions, and what each of them lost.
    async fn end(self) -> Vec<(Value, Vec<(u16, String)>)> {
        self.is_over.store(true, Ordering::Relaxed);
        self.people.join_all().await
    }
}

/// How many refreshes a server has done.
async fn refreshes(cluster: &Cluster) -> i64 {
    let admin = cluster.connect(DATABASE, SUPERUSER).await.unwrap();
    let sql = "select coalesce(sum(refresh_token_counter), 0)::bigint from auth.sessions";
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_standby_takes_over_only_requests_in_flight_are_lost() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, DATABASE).await;
    let role = set_up(&bed).await;
    let flags = ["--pool-timeout", "60", "--request-timeout", "120"];
    let standby = standby_of(&primary, &bed).await;
    let gateway = start(&bed, &role, &[primary.port(), standby.port()], "read-write", &flags).await;
    let load = Load::begin(&gateway).await;
    let before = refreshes(&primary).await;
    eventually("they refresh", async || refreshes(&primary).await > before + 50).await;
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let _workos = bed.workos;
    drop(bed.admin);
    block_in_place(|| drop(primary));

    // From here on, there is nobody who could refresh: whoever asks waits.
    eventually("it looks for another one", async || is_asked(&standby, &role).await).await;
    let before = refreshes(&standby).await;
    promote(&standby).await;
    eventually("they refresh again", async || refreshes(&standby).await > before + 50).await;
    for (session, lost) in load.end().await {
        assert!(lost.len() <= 1, "{lost:?}");
        assert!(lost.iter().all(|(status, text)| *status == 503 && text.contains("unexpected_failure")), "{lost:?}");
        ok(gateway.refresh(&session["refresh_token"]).await).await;
    }
    gateway.sign_in(ALICE).await;
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_primary_becomes_read_only_nothing_is_lost() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, DATABASE).await;
    let role = set_up(&bed).await;
    let standby = standby_of(&primary, &bed).await;
    let ports = [primary.port(), standby.port()];
    let primary_alone = start(&bed, &role, &ports, "primary", &[]).await;
    let any = start(&bed, &role, &ports, "any", &[]).await;
    // The last one is where WorkOS sends people back to.
    let flags = ["--pool-timeout", "60", "--request-timeout", "120"];
    let read_write = start(&bed, &role, &ports, "read-write", &flags).await;
    let load = Load::begin(&read_write).await;
    let before = refreshes(&primary).await;
    eventually("they refresh", async || refreshes(&primary).await > before + 50).await;
    // As a fenced primary is: it lives, and takes nothing any more.
    bed.admin.batch_execute("alter system set default_transaction_read_only = on").await.unwrap();
    primary.reload().await.unwrap();
    // Each backend hears of it in its own time. What one of them still writes must get to the standby.
    let takes_nothing = async || {
        let before = refreshes(&primary).await;
        sleep(Duration::from_millis(300)).await;
        refreshes(&primary).await == before
    };
    eventually("it takes nothing any more", takes_nothing).await;
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let before = refreshes(&standby).await;
    promote(&standby).await;
    eventually("they refresh there", async || refreshes(&standby).await > before + 50).await;
    let ended = load.end().await;
    for (session, lost) in &ended {
        assert_eq!(lost, &[], "{session}");
        ok(read_write.refresh(&session["refresh_token"]).await).await;
    }
    // Whoever asked for less gets it.
    for gateway in [&primary_alone, &any] {
        let (status, code, _) = refused(gateway.refresh(&ended[0].0["refresh_token"]).await).await;
        assert_eq!((status, code.as_str()), (503, "read_only"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn target_session_attrs_says_which_server_is_asked() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, DATABASE).await;
    let role = set_up(&bed).await;
    let standby = standby_of(&primary, &bed).await;
    for (wanted, order, is_primary) in [
        ("any", [&primary, &standby], true),
        ("any", [&standby, &primary], false),
        ("read-write", [&standby, &primary], true),
        ("primary", [&standby, &primary], true),
        ("read-only", [&primary, &standby], false),
        ("standby", [&primary, &standby], false),
        ("prefer-standby", [&primary, &standby], false),
    ] {
        let gateway = start(&bed, &role, &order.map(Cluster::port), wanted, &[]).await;
        ok(send(gateway.get("/settings")).await).await;
        let asked = (is_asked(&primary, &role).await, is_asked(&standby, &role).await);
        assert_eq!(asked, (is_primary, !is_primary), "{wanted}");
        let ready = send(gateway.get("/ready")).await.status();
        assert_eq!(ready == 200, is_primary, "{wanted}: {ready}");
        drop(gateway);
        eventually("nobody is asked", async || !is_asked(&primary, &role).await && !is_asked(&standby, &role).await)
            .await;
    }
    // One of them is away.
    let gone = crate::common::free_port();
    for (wanted, ports, words) in [
        ("read-write", [gone, primary.port()], None),
        ("prefer-standby", [gone, primary.port()], None),
        ("read-write", [gone, standby.port()], Some(format!("127.0.0.1:{} is not read-write", standby.port()))),
        ("primary", [standby.port(), gone], Some(format!("127.0.0.1:{} is not primary", standby.port()))),
        ("standby", [gone, primary.port()], Some(format!("127.0.0.1:{} is not standby", primary.port()))),
    ] {
        let gateway = start(&bed, &role, &ports, wanted, &["--pool-timeout", "1"]).await;
        let answer = send(gateway.get("/ready")).await;
        assert_eq!(answer.status(), if words.is_none() { 200 } else { 503 }, "{wanted} {}", gateway.log());
        if let Some(words) = words {
            gateway.says(&words).await;
            gateway.says("Connection refused").await;
        }
    }
}
