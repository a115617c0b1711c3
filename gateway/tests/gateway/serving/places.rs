//! Who has a connection: nobody can take the places of others, whatever they do not send and do not read, and a slow client's deadlines
//! stand still.

use std::future::pending;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use url::Url;
use workos_end_to_end::ALICE;

use crate::common::{Gateway, PATIENCE, REFRESH, eventually, ok, token, told};

/// More than all places that there are by default.
const MANY: usize = 1_030;
/// Everybody else is served as if nothing were.
const AT_ONCE: Duration = Duration::from_secs(5);
/// What the tests' own bookkeeping and a busy machine may add to a deadline.
const MARGIN: Duration = Duration::from_secs(4);

const NOTHING: &[u8] = b"";
const HALF_A_HEAD: &[u8] = b"GET /auth/v1/health HTTP/1.1\r\nhost: x\r\nx: ";
const NO_BODY: &[u8] = b"POST /auth/v1/token?grant_type=pkce HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n";
const HALF_A_BODY: &[u8] =
    b"POST /auth/v1/callback HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nstate\r\n";
const HEALTH: &[u8] = b"GET /auth/v1/health HTTP/1.1\r\nhost: x\r\n\r\n";

/// A connection from one of the addresses that a machine has for itself.
async fn connect(gateway: &Gateway, from: u8) -> TcpStream {
    let port = Url::parse(&gateway.url).unwrap().port().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, from], 0).into()).unwrap();
    timeout(PATIENCE, socket.connect(([127, 0, 0, 1], port).into())).await.unwrap().unwrap()
}

/// A connection on which this was sent. It may be closed by then.
async fn opened(gateway: &Gateway, from: u8, sent: &[u8]) -> TcpStream {
    let mut stream = connect(gateway, from).await;
    let _ = stream.write_all(sent).await;
    stream
}

/// The status of the answer to a request on this connection; `None` where there is none.
async fn asked(stream: &mut TcpStream) -> Option<u16> {
    stream.write_all(HEALTH).await.ok()?;
    let mut answer = Vec::new();
    // The body follows the head at once, and ends with its only closing brace.
    while !answer.ends_with(b"}") {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
    String::from_utf8(answer).unwrap().get(9..12)?.parse().ok()
}

async fn is_served(gateway: &Gateway, from: u8) -> bool {
    let ask = async { asked(&mut connect(gateway, from).await).await };
    timeout(AT_ONCE, ask).await.is_ok_and(|status| status == Some(200))
}

/// Waits until the other end has closed, and returns what came before.
async fn closed(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is not closed");
    String::from_utf8_lossy(&rest).into_owned()
}

async fn is_open(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(20), stream.read(&mut [0])).await.is_err()
}

#[tokio::test]
async fn a_thousand_connections_of_one_address_hold_nobody_up() {
    let gateway = Gateway::start("places_one", &[]).await;
    for (what, sent) in [
        ("nothing is sent", NOTHING),
        ("half a head is sent", HALF_A_HEAD),
        ("no body is sent", NO_BODY),
        ("half a body is sent", HALF_A_BODY),
    ] {
        let mut held = Vec::new();
        for _ in 0..MANY {
            held.push(opened(&gateway, 2, sent).await);
        }
        assert!(is_served(&gateway, 1).await, "{what}: others wait");
        assert!(is_served(&gateway, 2).await, "{what}: its own neighbours wait");
        let mut open = 0;
        for stream in &mut held {
            open += usize::from(is_open(stream).await);
        }
        assert!(open <= 128, "{what}: {open} are open");
    }
}

#[tokio::test]
async fn connections_of_many_addresses_hold_nobody_up_either() {
    let flags = ["--max-connections", "20", "--max-per-address", "4", "--answer-timeout", "3600"];
    let gateway = Gateway::start("places_many", &flags).await;
    // Answers that nobody reads: more of them than the system keeps.
    let unread = HEALTH.repeat(40_000);
    for (what, sent) in [
        ("nothing is sent", NOTHING),
        ("half a head is sent", HALF_A_HEAD),
        ("no body is sent", NO_BODY),
        ("half a body is sent", HALF_A_BODY),
        ("nothing is read", &unread),
    ] {
        let mut held = Vec::new();
        for from in 2..12 {
            for _ in 0..2 {
                let stream = connect(&gateway, from).await;
                let (reading, mut writing) = stream.into_split();
                let sent = sent.to_vec();
                // The end that writes is kept: without it, the gateway would see that nothing more comes.
                let writer = tokio::spawn(async move {
                    let _ = writing.write_all(&sent).await;
                    pending::<()>().await;
                });
                held.push((reading, writer));
            }
        }
        sleep(Duration::from_millis(500)).await;
        for from in [1, 2, 200] {
            assert!(is_served(&gateway, from).await, "{what}: 127.0.0.{from} waits");
        }
        held.iter().for_each(|(_, writer)| writer.abort());
    }
}

/// A refresh, which waits for a lock.
fn refresh(gateway: &Gateway, session: &Value, forwarded_for: &str) -> tokio::task::JoinHandle<reqwest::Response> {
    let body = json!({ "refresh_token": session["refresh_token"] });
    let request = gateway.post(REFRESH, &body).header("x-forwarded-for", forwarded_for);
    tokio::spawn(async move { request.send().await.unwrap() })
}

/// Waits until so many statements of the gateway wait for a lock.
async fn wait_for_lock(gateway: &Gateway, expected: i64) {
    let sql = "select count(*) from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'";
    let admin = &gateway.bed.admin;
    let count = async || admin.query_one(sql, &[&gateway.role]).await.unwrap().get::<_, i64>(0);
    eventually("they wait for the lock", async || count().await == expected).await;
}

#[tokio::test]
async fn a_request_that_is_worked_on_keeps_its_place() {
    let gateway = Gateway::start("places_kept", &["--max-connections", "4", "--request-timeout", "60"]).await;
    let session = gateway.sign_in(ALICE).await;
    let other = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let refreshed = refresh(&gateway, &session, "");
    // A body that no endpoint reads.
    let request = gateway.http.post(gateway.at("/logout?scope=local")).bearer_auth(token(&other)).body("{}");
    let signed_out = tokio::spawn(async move { request.send().await.unwrap() });
    wait_for_lock(&gateway, 2).await;
    let mut held = Vec::new();
    for from in 2..30 {
        held.push(opened(&gateway, from, HALF_A_HEAD).await);
        assert!(is_served(&gateway, from).await, "{from}");
    }
    assert!(!refreshed.is_finished() && !signed_out.is_finished());
    holder.batch_execute("rollback").await.unwrap();
    ok(refreshed.await.unwrap()).await;
    assert_eq!(signed_out.await.unwrap().status(), 204);
}

#[tokio::test]
async fn where_each_place_is_worked_for_the_next_one_waits_and_is_served() {
    let gateway = Gateway::start("places_busy", &["--max-connections", "2", "--request-timeout", "60"]).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let busy = [refresh(&gateway, &session, ""), refresh(&gateway, &session, "")];
    wait_for_lock(&gateway, 2).await;
    let mut third = connect(&gateway, 3).await;
    assert!(timeout(Duration::from_secs(1), asked(&mut third)).await.is_err(), "there was a place");
    holder.batch_execute("rollback").await.unwrap();
    let mut answer = [0; 12];
    timeout(PATIENCE, third.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    for request in busy {
        ok(request.await.unwrap()).await;
    }
}

#[tokio::test]
async fn requests_of_one_address_at_a_time_are_limited_and_a_further_one_is_told() {
    let flags = ["--max-per-address", "2", "--request-timeout", "60"];
    let gateway = Gateway::start("places_at_once", &flags).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let busy = [refresh(&gateway, &session, "198.51.100.1"), refresh(&gateway, &session, "198.51.100.2")];
    wait_for_lock(&gateway, 2).await;
    // Who is nobody's proxy is counted by its own address, whatever it says.
    for forwarded_for in ["198.51.100.3", ""] {
        let answer = refresh(&gateway, &session, forwarded_for).await.unwrap();
        assert_eq!(answer.headers()[RETRY_AFTER], "1", "{forwarded_for}");
        assert_eq!(told(answer).await, (503, "over_request_rate_limit".into()), "{forwarded_for}");
    }
    assert!(is_served(&gateway, 2).await);
    holder.batch_execute("rollback").await.unwrap();
    for request in busy {
        ok(request.await.unwrap()).await;
    }
    ok(gateway.user(&session).await).await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_requests_are_counted_by_client_and_its_connections_are_not() {
    let flags = ["--max-per-address", "2", "--request-timeout", "60", "--trusted-proxies", "127.0.0.1,10.0.0.0/8"];
    let gateway = Gateway::start("places_proxy", &flags).await;
    let session = gateway.sign_in(ALICE).await;
    // More connections than an address has: all of them are kept.
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(connect(&gateway, 1).await);
    }
    for round in 0..2 {
        for (number, stream) in connections.iter_mut().enumerate() {
            assert_eq!(timeout(AT_ONCE, asked(stream)).await.unwrap(), Some(200), "{round} {number}");
        }
    }
    // An address that is no proxy's still has two.
    let mut own = Vec::new();
    for _ in 0..3 {
        own.push(opened(&gateway, 2, NOTHING).await);
    }
    assert_eq!(closed(&mut own[0]).await, "");
    assert!(is_open(&mut own[1]).await && is_open(&mut own[2]).await);

    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let busy = [
        refresh(&gateway, &session, "198.51.100.1"),
        refresh(&gateway, &session, "203.0.113.5, 198.51.100.1, 10.0.0.1"),
        refresh(&gateway, &session, "2001:db8::1"),
        refresh(&gateway, &session, "2001:db8::2"),
        // A proxy that does not say whose request it is: everybody's would be counted together.
        refresh(&gateway, &session, ""),
        refresh(&gateway, &session, "unknown"),
        refresh(&gateway, &session, "10.0.0.9"),
        refresh(&gateway, &session, "10.0.0.9"),
    ];
    wait_for_lock(&gateway, 8).await;
    let asks = async |forwarded_for: &str| {
        let request = gateway.get("/health").header("x-forwarded-for", forwarded_for);
        request.send().await.unwrap().status().as_u16()
    };
    for forwarded_for in ["198.51.100.1", "198.51.100.1:4711", "1.2.3.4,198.51.100.1", "2001:db8::3"] {
        assert_eq!(asks(forwarded_for).await, 429, "{forwarded_for}");
    }
    for forwarded_for in ["198.51.100.2", "198.51.100.1, 198.51.100.3", "2001:db8:0:1::1", "", "10.0.0.9"] {
        assert_eq!(asks(forwarded_for).await, 200, "{forwarded_for}");
    }
    holder.batch_execute("rollback").await.unwrap();
    for request in busy {
        ok(request.await.unwrap()).await;
    }
    assert_eq!(asks("198.51.100.1").await, 200);
}

/// Sends these, one after the other, until the other end has closed; says how long that took from the first on, and what came back.
async fn drips(mut stream: TcpStream, first: &[u8], then: &[u8], every: Duration) -> (Duration, String) {
    let began = Instant::now();
    let _ = stream.write_all(first).await;
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let mut read = std::pin::pin!(timeout(PATIENCE, reading.read_to_end(&mut answer)));
    loop {
        tokio::select! {
            read = &mut read => {
                let _ = read.expect("it is not closed");
                break;
            }
            () = sleep(every) => drop(writing.write_all(then).await),
        }
    }
    (began.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn no_client_gets_more_time_by_sending_byte_by_byte() {
    let flags = ["--header-timeout", "2", "--body-timeout", "2", "--idle-timeout", "3"];
    let gateway = Gateway::start("places_slow", &flags).await;
    let head = "POST /auth/v1/token?grant_type=pkce HTTP/1.1\r\nhost: x\r\n";
    let with_length = format!("{head}content-length: 5000\r\n\r\n");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n");
    let expecting = format!("{head}content-length: 5000\r\nexpect: 100-continue\r\n\r\n");
    let after_one = [HEALTH, b"GET /"].concat();
    let mut running = JoinSet::new();
    for (what, first, then, status, seconds) in [
        ("the name of a header", HALF_A_HEAD.to_vec(), &b"x"[..], None, 2),
        ("header after header", b"GET /auth/v1/health HTTP/1.1\r\n".to_vec(), b"a: b\r\n", None, 2),
        ("empty lines before a request", b"\r\n".to_vec(), b"\r\n", None, 2),
        ("the path", b"GET /".to_vec(), b"x", None, 2),
        ("a second head", after_one, b"x", Some("200"), 2),
        ("a body", with_length.clone().into_bytes(), b" ", Some("503"), 2),
        ("chunks of a body", chunked.into_bytes(), b"1\r\n \r\n", Some("503"), 2),
        ("the length of a chunk", format!("{head}transfer-encoding: chunked\r\n\r\n1").into_bytes(), b"0", None, 2),
        ("a body after 100", expecting.into_bytes(), b" ", Some("100"), 2),
        ("nothing of a body", with_length.into_bytes(), b"", Some("503"), 2),
        ("nothing", b"".to_vec(), b"", None, 3),
        ("nothing after a request", HEALTH.to_vec(), b"", Some("200"), 3),
    ] {
        let stream = connect(&gateway, 2).await;
        running.spawn(async move {
            let (took, answer) = drips(stream, &first, then, Duration::from_millis(200)).await;
            (what, status, seconds, took, answer)
        });
    }
    for (what, status, seconds, took, answer) in running.join_all().await {
        let limit = Duration::from_secs(seconds);
        assert!((limit - Duration::from_millis(100)..limit + MARGIN).contains(&took), "{what}: {took:?} {answer}");
        match status {
            Some(status) => assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}"),
            None => assert!(!answer.contains("HTTP/1.1 2"), "{what}: {answer}"),
        }
        if status == Some("503") {
            assert!(answer.contains("\"request_timeout\""), "{what}: {answer}");
        }
        assert!(what != "a body after 100" || answer.contains("HTTP/1.1 503 "), "{answer}");
    }
    ok(gateway.get("/health").send().await.unwrap()).await;
}

#[tokio::test]
async fn no_client_gets_more_time_by_reading_byte_by_byte() {
    let gateway = Gateway::start("places_unread", &["--answer-timeout", "2"]).await;
    for (what, every) in [("nothing is read", None), ("little is read", Some(Duration::from_millis(100)))] {
        let stream = connect(&gateway, 2).await;
        let (mut reading, mut writing) = stream.into_split();
        let began = Instant::now();
        let reads = tokio::spawn(async move {
            while let Some(every) = every {
                let mut some = [0; 100];
                if !reading.read(&mut some).await.is_ok_and(|read| read > 0) {
                    break;
                }
                sleep(every).await;
            }
            reading
        });
        // Who is left cannot go on sending.
        let sends = async { while writing.write_all(&HEALTH.repeat(100)).await.is_ok() {} };
        timeout(PATIENCE, sends).await.unwrap_or_else(|_| panic!("{what}: it is not left"));
        let took = began.elapsed();
        assert!((Duration::from_secs(2)..Duration::from_secs(20)).contains(&took), "{what}: {took:?}");
        reads.abort();
    }
    ok(gateway.get("/health").send().await.unwrap()).await;
}

/// A request whose head is so long.
fn head_of(length: usize, host: &str) -> Vec<u8> {
    let start = format!("GET /auth/v1/health HTTP/1.1\r\nconnection: close\r\n{host}x: ");
    let end = "\r\n\r\n";
    format!("{start}{}{end}", "x".repeat(length - start.len() - end.len())).into_bytes()
}

#[tokio::test]
async fn a_head_may_have_64_kib_and_100_lines_and_one_more_of_either_is_431() {
    let gateway = Gateway::start("places_heads", &[]).await;
    const LONGEST: usize = 64 * 1024;
    let lines = |count: usize| {
        let lines = (0..count - 2).map(|number| format!("x-{number}: x\r\n")).collect::<String>();
        format!("GET /auth/v1/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n").into_bytes()
    };
    let path = |length: usize| {
        let (start, end) = ("GET /auth/v1/health?", " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len())).into_bytes()
    };
    for (what, request, status) in [
        ("64 kB less one", head_of(LONGEST - 1, "host: x\r\n"), 200),
        ("64 kB", head_of(LONGEST, "host: x\r\n"), 200),
        ("64 kB and one", head_of(LONGEST + 1, "host: x\r\n"), 431),
        ("twice as much", head_of(2 * LONGEST, "host: x\r\n"), 431),
        ("far more", head_of(20 * LONGEST, "host: x\r\n"), 431),
        ("a path of 64 kB", path(LONGEST), 200),
        ("a path of 64 kB and one", path(LONGEST + 1), 431),
        ("100 lines", lines(100), 200),
        ("101 lines", lines(101), 431),
        ("1000 lines", lines(1000), 431),
    ] {
        // At once, in pieces, and beside a connection's earlier request.
        for (how, before, piece) in
            [("at once", 0, usize::MAX), ("in pieces", 0, 4001), ("second", 1, usize::MAX), ("second, pieces", 1, 999)]
        {
            let mut stream = connect(&gateway, 2).await;
            for _ in 0..before {
                assert_eq!(timeout(AT_ONCE, asked(&mut stream)).await.unwrap(), Some(200));
            }
            let (mut reading, mut writing) = stream.into_split();
            let sent = request.clone();
            let sends = tokio::spawn(async move {
                for piece in sent.chunks(piece.min(sent.len())) {
                    writing.write_all(piece).await?;
                }
                std::io::Result::Ok(writing)
            });
            let mut answer = Vec::new();
            let _ = timeout(PATIENCE, reading.read_to_end(&mut answer)).await.unwrap();
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}, {how}: {answer}");
            // Who cannot send what it has begun to send may not look for an answer.
            let sent = timeout(PATIENCE, sends).await.unwrap().unwrap();
            assert!(sent.is_ok(), "{what}, {how}: {sent:?}");
        }
    }
}

#[tokio::test]
async fn connections_without_a_request_do_not_hold_up_the_end() {
    let flags = ["--idle-timeout", "3600", "--shutdown-timeout", "60"];
    let mut gateway = Gateway::start("places_end", &flags).await;
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut used = connect(&gateway, 2).await;
        assert_eq!(asked(&mut used).await, Some(200));
        held.extend([used, opened(&gateway, 2, NOTHING).await]);
    }
    let began = Instant::now();
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(began.elapsed() < MARGIN, "{:?}", began.elapsed());
    for stream in &mut held {
        assert_eq!(closed(stream).await, "");
    }
}
