//! What races of sessions share: connections at an isolation level, and who comes through.

use std::time::Duration;

use tokio_postgres::{Client, Error};
use workos_auth_core::ErrorCode;

use crate::bed::{Bed, Person, Session, refresh, sign_in};
use crate::sql::refusal;

/// The isolation levels there are.
pub const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

/// The connection, at an isolation level.
pub async fn at(client: Client, level: &str) -> Client {
    client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
    client
}

/// Connections of the backend's role at an isolation level.
pub async fn clients(bed: &Bed<'_>, n: usize, level: &str) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..n {
        clients.push(at(bed.backend().await, level).await);
    }
    clients
}

/// Comes a little earlier or later.
pub async fn somewhen<T>(what: impl Future<Output = T>) -> T {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(..4_000))).await;
    what.await
}

/// Who came through. Every failure must be one of those named, or 40001 where the level has it.
#[track_caller]
pub fn successes<T>(level: &str, results: Vec<Result<T, Error>>, names: &[&str]) -> Vec<T> {
    let known = |sqlstate: &str| ErrorCode::ALL.iter().find(|code| code.sqlstate() == sqlstate).map(|code| code.name());
    let mut good = Vec::new();
    for result in results {
        match result {
            Ok(answer) => good.push(answer),
            Err(_) => {
                let refusal = refusal(result);
                let retry = refusal.sqlstate == "40001" && level != LEVELS[0];
                assert!(
                    retry || known(&refusal.sqlstate).is_some_and(|name| names.contains(&name)),
                    "{level}: {refusal}"
                );
            }
        }
    }
    good
}

/// Signs out whoever the session is of.
///
/// # Errors
/// What the server said.
pub async fn sign_out(client: &Client, session: &Session, scope: &str) -> Result<i64, Error> {
    client.query_one("select auth.sign_out($1, $2)", &[&session.access_token, &scope]).await.map(|row| row.get(0))
}

/// Signs somebody in so often, and refreshes some, so that their rows are not in the order in which they came.
pub async fn sessions(client: &Client, person: Person, n: usize) -> Vec<Session> {
    let mut all = Vec::new();
    for at in 0..n {
        let session = sign_in(client, person).await;
        all.push(if at % 2 == 0 { refresh(client, &session.refresh_token).await.unwrap() } else { session });
    }
    all
}

/// Nobody was taken for a thief, and nobody had to be shot.
pub async fn no_theft_and_no_deadlock(bed: &Bed<'_>) {
    let theft = "select count(*) from auth.audit_log_entries where action in ('token_theft', 'token_reused')";
    assert_eq!(bed.count(theft).await, 0);
    assert!(!bed.log().contains("deadlock detected"));
}
