//! First sign-ins that come at the same time.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::{
    ALICE, ANNA, BOB, Bed, Pending, Session, exchange, profile, refused_as, sign_in, start, start_with,
};

const MANY: usize = 20;
const STRICT: [&str; 2] = ["repeatable read", "serializable"];

async fn bed(database: &str) -> Bed<'static> {
    let bed = Bed::shared(database).await;
    // Nobody shall be turned away for the number of those who wait.
    bed.set("workos_auth.max_concurrent_requests", "100").await;
    bed
}

async fn connect(bed: &Bed<'_>, level: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..MANY {
        let client = bed.backend().await;
        client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        clients.push(client);
    }
    clients
}

/// Exchanges all at once, each on a connection of its own.
async fn exchange_all(clients: &[Client], pending: &[Pending]) -> Vec<Result<Session, tokio_postgres::Error>> {
    join_all(clients.iter().zip(pending).map(|(client, pending)| exchange(client, pending))).await
}

/// Those who came in; all others must have been told to run the transaction again.
fn came_in(results: Vec<Result<Session, tokio_postgres::Error>>) -> Vec<Session> {
    let mut sessions = Vec::new();
    for result in results {
        match result {
            Ok(session) => sessions.push(session),
            Err(_) => drop(refused_as(result, "40001")),
        }
    }
    sessions
}

async fn pending(client: &Client, n: usize, arguments: impl Fn(usize) -> (String, String)) -> Vec<Pending> {
    let mut all = Vec::new();
    for (arguments, email) in (0..n).map(arguments) {
        all.push(start_with(client, &arguments, &email).await);
    }
    all
}

#[tokio::test]
async fn one_person_is_one_user() {
    let bed = bed("one_person").await;
    let clients = connect(&bed, "read committed").await;
    let waiting = pending(&clients[0], MANY, |_| (ALICE.selector.into(), ALICE.email.into())).await;
    let sessions: Vec<Session> = exchange_all(&clients, &waiting).await.into_iter().map(Result::unwrap).collect();
    let users: HashSet<Uuid> = sessions.iter().map(|session| session.user_id).collect();
    assert_eq!(users.len(), 1);
    assert_eq!(sessions.iter().filter(|session| session.is_new_user).count(), 1);
    for (table, rows) in [
        ("users", 1),
        ("identities", 1),
        ("organizations", 1),
        ("organization_memberships", 1),
        ("sessions", MANY),
        ("flow_states", 0),
    ] {
        assert_eq!(bed.count(&format!("select count(*) from auth.{table}")).await, rows as i64, "{table}");
    }
    let signed_up = "select count(*) from auth.audit_log_entries where action = 'user_signedup'";
    assert_eq!(bed.count(signed_up).await, 1);
}

#[tokio::test]
async fn one_person_under_stricter_levels_is_one_user_or_told_to_try_again() {
    for (database, level) in [("one_repeatable", STRICT[0]), ("one_serializable", STRICT[1])] {
        let bed = bed(database).await;
        let clients = connect(&bed, level).await;
        let waiting = pending(&clients[0], MANY, |_| (ALICE.selector.into(), ALICE.email.into())).await;
        let sessions = came_in(exchange_all(&clients, &waiting).await);
        assert!(!sessions.is_empty(), "{level}: nobody came in");
        let users: HashSet<Uuid> = sessions.iter().map(|session| session.user_id).collect();
        assert_eq!((users.len(), bed.count("select count(*) from auth.users").await), (1, 1), "{level}");
        assert_eq!(bed.count("select count(*) from auth.sessions").await, sessions.len() as i64, "{level}");
    }
}

#[tokio::test]
async fn colleagues_of_a_new_organization() {
    for (database, level) in
        [("colleagues", "read committed"), ("colleagues_rr", STRICT[0]), ("colleagues_s", STRICT[1])]
    {
        let bed = bed(database).await;
        let clients = connect(&bed, level).await;
        for n in 0..MANY {
            let profile =
                profile(&format!("prof_{n}"), "conn_acme", &format!("person{n}@acme.com"), &format!("okta-{n}"));
            bed.simulator().put_profile(profile).unwrap();
        }
        let waiting = pending(&clients[0], MANY, |n| (ALICE.selector.into(), format!("person{n}@acme.com"))).await;
        let sessions = came_in(exchange_all(&clients, &waiting).await);
        if level == "read committed" {
            assert_eq!(sessions.len(), MANY);
        }
        assert!(!sessions.is_empty(), "{level}: nobody came in");
        assert_eq!(bed.count("select count(*) from auth.users").await, sessions.len() as i64);
        assert_eq!(bed.count("select count(*) from auth.organizations").await, 1);
    }
}

#[tokio::test]
async fn an_open_transaction_holds_up_no_colleague() {
    let bed = bed("open").await;
    let (first, second) = (bed.backend().await, bed.backend().await);
    sign_in(&first, ALICE).await;
    first.batch_execute("begin").await.unwrap();
    sign_in(&first, ALICE).await;
    let others = async {
        sign_in(&second, ANNA).await;
        sign_in(&second, BOB).await;
        start(&second, ALICE).await;
    };
    tokio::time::timeout(Duration::from_secs(30), others).await.expect("somebody waits for a colleague's transaction");
    first.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn one_address_from_two_organizations_at_once_is_two_users() {
    let bed = bed("two_organizations").await;
    let clients = connect(&bed, "read committed").await;
    for (id, connection) in [("prof_a", "conn_acme"), ("prof_g", "conn_globex")] {
        let profile = profile(id, connection, "ann@shared.example", "ann");
        bed.simulator().put_profile(profile).unwrap();
    }
    let connection =
        |n: usize| if n.is_multiple_of(2) { "connection => 'conn_acme'" } else { "connection => 'conn_globex'" };
    let waiting = pending(&clients[0], MANY, |n| (connection(n).into(), "ann@shared.example".into())).await;
    let sessions: Vec<Session> = exchange_all(&clients, &waiting).await.into_iter().map(Result::unwrap).collect();
    for session in &sessions {
        let same = sessions.iter().find(|other| other.organization_id == session.organization_id).unwrap();
        assert_eq!(session.user_id, same.user_id);
    }
    assert_eq!(bed.count("select count(*) from auth.users").await, 2);
    assert_eq!(bed.count("select count(*) from auth.users where email = 'ann@shared.example'").await, 1);
}
