//! Locks: none that a person's own call holds keeps a sign-in of another organization waiting, and none tells whom it is about.

use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::bed::{ALICE, exchange, start, start_with};
use workos_end_to_end::sql::{lines, refused_as};
use workos_end_to_end::{Bed, Session, made};

/// Everything that a person may call about their own account, with their token as $1 and an identity of theirs as $2.
const CALLS: &[&str] = &[
    "select auth.update_user($1, '{\"a\": 1}'), $2::uuid",
    "select auth.unlink_identity($1, $2)",
    "select auth.sign_out($1, 'others'), $2::uuid",
    "select auth.sign_out($1), $2::uuid",
    "select (auth.link_identity($1, connection => 'conn_initech_okta')).url, $2::uuid",
    "select auth.get_user($1), $2::uuid",
    "select count(*), $2::uuid from auth.my_sessions($1)",
    "select auth.set_session($1), auth.get_user(), auth.uid(), $2::uuid",
];

/// Somebody of initech, whose identity provider says that both of their addresses are this one, and the second identity.
async fn eve(at: &Accounts, n: usize, email: &str) -> (Session, Uuid) {
    let session = at.signs_in(&format!("prof_eve{n}"), OKTA, email, &format!("eve{n}")).await;
    let sql =
        "insert into auth.identities (user_id, provider, provider_id, organization_id, connection_id, identity_data)
               values ($1, 'workos', $2, 'org_initech', $3, jsonb_build_object('email', $4::text)) returning id";
    let profile = format!("prof_second{n}");
    let id = at.bed.admin.query_one(sql, &[&session.user_id, &profile, &GOOGLE, &email]).await.unwrap().get(0);
    (session, id)
}

async fn open_transaction(at: &Accounts, session: &Session, id: Uuid, call: &str) -> Client {
    let client = at.bed.connect(&format!("{}_people", at.bed.database)).await;
    client.batch_execute("begin").await.unwrap();
    client.query(call, &[&session.access_token, &id]).await.unwrap_or_else(|error| panic!("{call}: {error:?}"));
    client
}

/// Two ways: the address is held by the one who keeps the transaction open, and it is held by nobody.
#[tokio::test]
async fn nobody_keeps_people_of_another_organization_out() {
    for (database, trust) in [("strangers_held", "on"), ("strangers_free", "off")] {
        let at = Accounts::new(database, &[("trust_email_domains", trust)]).await;
        at.bed.role("people", "").await;
        at.app.batch_execute("set lock_timeout = '5s'").await.unwrap();
        for (n, call) in CALLS.iter().enumerate() {
            let email = format!("ceo{n}@acme.com");
            let (session, id) = eve(&at, n, &email).await;
            let client = open_transaction(&at, &session, id, call).await;
            for profile in [format!("prof_ceo{n}"), format!("prof_cfo{n}")] {
                // The first sign-in of that address there, and then a known one.
                for _ in 0..2 {
                    at.put(&profile, "conn_acme", &email, &profile);
                    let pending = start_with(&at.app, "connection => 'conn_acme'", &email).await;
                    let result = exchange(&at.app, &pending).await;
                    let ceo = result.unwrap_or_else(|error| panic!("{database}: {call}: {error:?}"));
                    assert_ne!(ceo.user_id, session.user_id, "{call}");
                }
            }
            client.batch_execute("commit").await.unwrap();
        }
    }
}

/// What they do hold is their own.
#[tokio::test]
async fn a_sign_in_to_the_same_account_waits() {
    let at = Accounts::new("strangers_own", &[]).await;
    at.bed.role("people", "").await;
    let (session, id) = eve(&at, 0, "eve@initech.com").await;
    let client = open_transaction(&at, &session, id, CALLS[0]).await;
    at.app.batch_execute("set lock_timeout = '300ms'").await.unwrap();
    refused_as(at.comes("prof_eve0", OKTA, "eve@initech.com", "eve0").await, "55P03");
    client.batch_execute("rollback").await.unwrap();
    at.signs_in("prof_eve0", OKTA, "eve@initech.com", "eve0").await;
}

/// The numbers of the locks of one kind in this database that others may guess the names of.
async fn numbers(client: &Client) -> Vec<String> {
    let sql = "select classid || ' ' || objid from pg_locks where locktype = 'advisory' and objsubid between 8 and 30
        and database = (select oid from pg_database where datname = current_database()) order by 1";
    lines(client, sql).await.unwrap()
}

/// `pg_locks` is everybody's to read.
#[tokio::test]
async fn the_names_of_locks_tell_nothing() {
    let bed = Bed::shared("strangers_names").await;
    let app = bed.backend().await;
    let stranger = bed.connect(&bed.role("stranger", "").await).await;
    let pending = start(&app, ALICE).await;
    app.batch_execute("begin").await.unwrap();
    let session = exchange(&app, &pending).await.unwrap();
    let shown = numbers(&stranger).await;
    assert!(shown.len() >= 3, "{shown:?}");
    // Whatever of it somebody might guess: by itself, hashed, behind a word.
    let guesses = "
        with guess (bytes) as (
            select convert_to(prefix || name, 'UTF8') from unnest(array['', 'email ', 'identity ', 'email', 'identity']) prefix,
                unnest(array[$1::text, $2::text, $3::text, upper($1::text)]) name
            union all select uuid_send($3::text::uuid) union all select uuid_send(id) from auth.flow_states
            union all select uuid_send(id) from auth.sessions
        ), hashed (bytes) as (select bytes from guess union all select sha256(bytes) from guess union all select decode(md5(bytes), 'hex') from guess)
        select ('x' || encode(substr(bytes, 1, 4), 'hex'))::bit(32)::bigint || ' ' || ('x' || encode(substr(bytes, 5, 4), 'hex'))::bit(32)::bigint
        from hashed";
    let rows = bed.admin.query(guesses, &[&ALICE.email, &"prof_alice", &session.session_id.to_string()]).await.unwrap();
    let guessed: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(guessed.len() > 40);
    for number in &shown {
        assert!(!guessed.contains(number), "{number} can be guessed");
    }
    app.batch_execute("rollback").await.unwrap();

    // The same address has another name in another installation, and the same one in the same.
    let mut seen = Vec::new();
    for (n, database) in ["strangers_names_a", "strangers_names_b"].into_iter().enumerate() {
        let bed = Bed::shared(database).await;
        let other = bed.superuser().await;
        for _ in 0..=n {
            other.batch_execute("begin").await.unwrap();
            made::create(&other, "someone@acme.com", None).await;
            seen.push(numbers(&bed.admin).await);
            other.batch_execute("rollback").await.unwrap();
        }
    }
    assert_eq!(seen[1], seen[2]);
    assert_ne!(seen[0], seen[1]);
    assert_eq!(seen[0].len(), 1);
}
