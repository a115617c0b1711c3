//! Whatever runs at the same time, at every isolation level: no lost update, no deadlock, no error but those that are documented and,
//! where Postgres's own rules demand it, 40001; and afterwards every session is whole or gone.
//!
//! Fifty exchanges of one code are in `races.rs`, first sign-ins of many in `first_sign_ins.rs`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use futures_util::future::join_all;
use tokio_postgres::{Client, Error};
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, GINA, refresh};
use workos_end_to_end::case;
use workos_end_to_end::operations::{ban, delete_user, revoke_organization, revoke_sessions, unban};
use workos_end_to_end::racing::{
    LEVELS, at, clients, no_theft_and_no_deadlock, sessions, sign_out, somewhen, successes,
};
use workos_end_to_end::sql::{refused, refused_as};
use workos_end_to_end::whole::{counter, newest};
use workos_end_to_end::{Bed, Pending, Session, exchange, refusal, sign_in, start};

const MANY: usize = 20;
const ROUNDS: usize = 8;

async fn bed(database: &str) -> Bed<'static> {
    let bed = Bed::shared(database).await;
    // Nobody shall be turned away for the number of those who wait, and nobody waits for ever.
    bed.set("workos_auth.max_concurrent_requests", "100").await;
    bed.set("lock_timeout", "60s").await;
    bed
}

/// Ends sessions as an operator does, at the level of the connection.
async fn operate(client: &Client, sql: &str) -> Result<(), Error> {
    client.batch_execute(sql).await
}

#[tokio::test]
async fn twenty_refreshes_of_one_token_give_the_same_new_one() {
    let bed = bed("twenty").await;
    for level in LEVELS {
        case!(level);
        let clients = clients(&bed, MANY, level).await;
        let mut session = sign_in(&clients[0], ALICE).await;
        for round in 1..=ROUNDS as u64 {
            let token = &session.refresh_token;
            let results = join_all(clients.iter().map(|client| somewhen(refresh(client, token)))).await;
            let good = successes(level, results, &[]);
            assert!(!good.is_empty(), "{level}: nobody came through");
            if level == LEVELS[0] {
                assert_eq!(good.len(), MANY);
            }
            for answer in &good {
                assert_eq!((counter(&answer.refresh_token), &answer.refresh_token), (round, &good[0].refresh_token));
            }
            assert_eq!(bed.counter(session.session_id).await, Some(round), "{level}");
            session = good[0].clone();
        }
        assert!(bed.lives_or_has_ended(&clients[1], &session).await.is_some());
    }
    bed.is_whole().await;
    no_theft_and_no_deadlock(&bed).await;
}

#[tokio::test]
async fn tabs_that_refresh_beside_each_other_skip_no_counter_and_are_not_signed_out() {
    const TABS: usize = 8;
    let bed = bed("tabs").await;
    for level in LEVELS {
        case!(level);
        let clients = clients(&bed, TABS, level).await;
        let session = sign_in(&clients[0], ALICE).await;
        let (store, seen) = (RefCell::new(session.clone()), RefCell::new(BTreeSet::from([0])));
        join_all(clients.iter().map(async |client| {
            for _ in 0..12 {
                let token = store.borrow().refresh_token.clone();
                let result = somewhen(refresh(client, &token)).await;
                for answer in successes(level, vec![result], &["conflict"]) {
                    seen.borrow_mut().insert(counter(&answer.refresh_token));
                    let mut store = store.borrow_mut();
                    if counter(&answer.refresh_token) > counter(&store.refresh_token) {
                        *store = answer;
                    }
                }
            }
        }))
        .await;
        let last = bed.counter(session.session_id).await.unwrap();
        assert!(last > 2, "{level}: only {last} refreshes");
        assert_eq!(seen.into_inner(), (0..=last).collect(), "{level}");
        assert!(bed.lives_or_has_ended(&clients[0], &store.into_inner()).await.is_some());
    }
    bed.is_whole().await;
    no_theft_and_no_deadlock(&bed).await;
}

#[tokio::test]
async fn a_sign_out_beside_refreshes_ends_what_it_says() {
    let bed = bed("sign_out").await;
    let app = bed.role("app", "").await;
    for level in LEVELS {
        case!(level);
        let clients = clients(&bed, MANY, level).await;
        for scope in ["global", "local", "others"] {
            case!(scope);
            for _ in 0..ROUNDS {
                let all = sessions(&clients[0], ALICE, 4).await;
                let leaver = at(bed.connect(&app).await, level).await;
                let refreshing = join_all(
                    clients
                        .iter()
                        .enumerate()
                        .map(|(at, client)| somewhen(refresh(client, &all[at % all.len()].refresh_token))),
                );
                let leaving = somewhen(sign_out(&leaver, &all[0], scope));
                let (refreshed, left) = tokio::join!(refreshing, leaving);
                let answers = successes(level, refreshed, &["refresh_token_not_found"]);
                let left = successes(level, vec![left], &[]).pop();
                for (at, session) in all.iter().enumerate() {
                    let ends = scope == "global" || (scope == "local") == (at == 0);
                    let lives = !(ends && left.is_some());
                    assert_eq!(bed.counter(session.session_id).await.is_some(), lives, "{level}, {scope}, {at}");
                }
                if let Some(ended) = left {
                    assert_eq!(
                        ended,
                        match scope {
                            "global" => 4,
                            "local" => 1,
                            _ => 3,
                        }
                    );
                }
                for session in newest(all.iter().chain(&answers)) {
                    let current = bed.counter(session.session_id).await;
                    assert!(current.is_none_or(|current| current == counter(&session.refresh_token)), "a lost update");
                    bed.lives_or_has_ended(&clients[0], &session).await;
                }
                bed.is_whole().await;
                bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
            }
        }
    }
    no_theft_and_no_deadlock(&bed).await;
}

/// What one operation does to a person who is refreshing, signing in and signing out meanwhile.
struct Meanwhile {
    before: Vec<Session>,
    answers: Vec<Session>,
    sign_ins: Vec<Session>,
    done: bool,
}

async fn meanwhile(
    bed: &Bed<'_>,
    level: &str,
    clients: &[Client],
    operation: impl Fn(Uuid) -> String,
    refusals: &[&str],
) -> Meanwhile {
    let operator = at(bed.superuser().await, level).await;
    let before = sessions(&clients[0], ALICE, 4).await;
    let user = before[0].user_id;
    let waiting: Vec<Pending> = vec![start(&clients[0], ALICE).await, start(&clients[0], ALICE).await];
    let operation = operation(user);
    let (signing_in, refreshing) = clients.split_at(waiting.len());
    let refreshing = join_all(
        refreshing
            .iter()
            .enumerate()
            .map(|(at, client)| somewhen(refresh(client, &before[at % before.len()].refresh_token))),
    );
    let signing_in =
        join_all(signing_in.iter().zip(&waiting).map(|(client, pending)| somewhen(exchange(client, pending))));
    let (refreshed, signed_in, done) = tokio::join!(refreshing, signing_in, somewhen(operate(&operator, &operation)));
    let answers = successes(level, refreshed, &["refresh_token_not_found", "user_banned"]);
    let sign_ins = successes(level, signed_in, refusals);
    let done = successes(level, vec![done], &[]).len() == 1;
    for session in newest(before.iter().chain(&answers).chain(&sign_ins)) {
        bed.lives_or_has_ended(&clients[0], &session).await;
    }
    bed.is_whole().await;
    Meanwhile { before, answers, sign_ins, done }
}

#[tokio::test]
async fn a_deletion_beside_refreshes_and_sign_ins_leaves_nothing_of_the_user() {
    let bed = bed("deletion").await;
    for level in LEVELS {
        case!(level);
        let clients = clients(&bed, 10, level).await;
        for _ in 0..ROUNDS {
            let what = meanwhile(&bed, level, &clients, delete_user, &[]).await;
            let user = what.before[0].user_id;
            for (table, column) in [
                ("users", "id"),
                ("identities", "user_id"),
                ("sessions", "user_id"),
                ("organization_memberships", "user_id"),
            ] {
                let left = bed.count(&format!("select count(*) from auth.{table} where {column} = '{user}'")).await;
                assert_eq!(left == 0, what.done, "{level}: {left} rows of {table}");
            }
            // Whoever came in afterwards is somebody new; whoever came in before is gone.
            for session in &what.sign_ins {
                let lives = bed.counter(session.session_id).await.is_some();
                assert_eq!(lives, !what.done || session.user_id != user, "{level}");
            }
            assert!(bed.count("select count(*) from auth.users").await <= 1, "a duplicate user");
            assert!(what.answers.iter().all(|answer| answer.user_id == user));
            sign_in(&clients[0], ALICE).await;
        }
    }
    no_theft_and_no_deadlock(&bed).await;
}

#[tokio::test]
async fn a_ban_beside_refreshes_and_sign_ins_leaves_no_session() {
    let bed = bed("ban").await;
    for level in LEVELS {
        case!(level);
        let clients = clients(&bed, 10, level).await;
        for _ in 0..ROUNDS {
            let what = meanwhile(&bed, level, &clients, ban, &["user_banned"]).await;
            let user = what.before[0].user_id;
            let left = bed.count(&format!("select count(*) from auth.sessions where user_id = '{user}'")).await;
            assert_eq!(left == 0, what.done, "{level}: {left} sessions");
            assert_eq!(bed.count("select count(*) from auth.users").await, 1, "a duplicate user");
            bed.admin.batch_execute(&unban(user)).await.unwrap();
            bed.admin.batch_execute(&revoke_sessions(user)).await.unwrap();
        }
    }
    no_theft_and_no_deadlock(&bed).await;
}

#[tokio::test]
async fn a_revocation_of_the_organization_ends_every_session_that_it_found() {
    let bed = bed("organization").await;
    for level in LEVELS {
        let clients = clients(&bed, 10, level).await;
        for _ in 0..ROUNDS {
            let colleague = sessions(&clients[1], ANNA, 3).await;
            let stranger = sessions(&clients[1], BOB, 1).await;
            let beside = join_all(colleague.iter().chain(&stranger).map(async |session| {
                let client = at(bed.backend().await, level).await;
                somewhen(refresh(&client, &session.refresh_token)).await
            }));
            let revoke = |_| revoke_organization("org_acme");
            let (what, beside) = tokio::join!(meanwhile(&bed, level, &clients, revoke, &[]), beside);
            let beside = successes(level, beside, &["refresh_token_not_found"]);
            if what.done {
                for session in what.before.iter().chain(&colleague) {
                    assert_eq!(bed.counter(session.session_id).await, None, "{level}");
                }
            }
            for session in newest(colleague.iter().chain(&stranger).chain(&beside)) {
                bed.lives_or_has_ended(&clients[0], &session).await;
            }
            assert!(bed.counter(stranger[0].session_id).await.is_some(), "{level}: somebody else's organization");
            bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
        }
    }
    no_theft_and_no_deadlock(&bed).await;
}

#[tokio::test]
async fn of_two_first_sign_ins_the_second_waits_and_finds_the_user_or_their_absence() {
    let bed = bed("two_first").await;
    for level in LEVELS {
        case!(level);
        for end in ["commit", "rollback"] {
            case!(end);
            bed.admin.batch_execute("delete from auth.users").await.unwrap();
            let clients = clients(&bed, 2, level).await;
            let (first, second) = (start(&clients[0], ALICE).await, start(&clients[0], ALICE).await);
            clients[0].batch_execute("begin").await.unwrap();
            let one = exchange(&clients[0], &first).await.unwrap();
            let (two, ()) = tokio::join!(exchange(&clients[1], &second), async {
                bed.until_waiting(1).await;
                clients[0].batch_execute(end).await.unwrap();
            });
            assert!(one.is_new_user);
            let users = bed.count("select count(*) from auth.users").await;
            match (level, end) {
                ("read committed", "commit") => assert_eq!((two.unwrap().user_id, users), (one.user_id, 1)),
                // Past its snapshot: run again, it finds the user.
                (_, "commit") => {
                    refused_as(two, "40001");
                    let again = sign_in(&clients[1], ALICE).await;
                    assert_eq!((again.user_id, again.is_new_user, users), (one.user_id, false, 1));
                }
                _ => {
                    let two = two.unwrap();
                    assert!(two.is_new_user && two.user_id != one.user_id && users == 1, "{level}");
                }
            }
            bed.is_whole().await;
        }
    }
}

/// An operator's transaction is open when the sign-in has its answer of WorkOS.
async fn sign_in_behind(bed: &Bed<'_>, level: &str, operation: &str, end: &str) -> Result<Session, Error> {
    let client = at(bed.backend().await, level).await;
    let operator = bed.superuser().await;
    let pending = start(&client, ALICE).await;
    operator.batch_execute(&format!("begin; {operation}")).await.unwrap();
    let (result, ()) = tokio::join!(exchange(&client, &pending), async {
        bed.until_waiting(1).await;
        operator.batch_execute(end).await.unwrap();
    });
    bed.is_whole().await;
    result
}

#[tokio::test]
async fn a_sign_in_that_waited_for_a_deletion_makes_a_new_user() {
    let bed = bed("behind_deletion").await;
    for level in LEVELS {
        for end in ["commit", "rollback"] {
            let old = sign_in(&bed.backend().await, ALICE).await;
            let result = sign_in_behind(&bed, level, &delete_user(old.user_id), end).await;
            let Some(new) = successes(level, vec![result], &[]).pop() else { continue };
            assert_eq!((new.user_id == old.user_id, new.is_new_user), (end == "rollback", end == "commit"), "{level}");
            assert_eq!(bed.count("select count(*) from auth.users").await, 1, "{level}");
        }
    }
}

#[tokio::test]
async fn a_sign_in_that_waited_for_a_ban_is_refused() {
    let bed = bed("behind_ban").await;
    for level in LEVELS {
        case!(level);
        for end in ["rollback", "commit"] {
            case!(end);
            let old = sign_in(&bed.backend().await, ALICE).await;
            let result = sign_in_behind(&bed, level, &ban(old.user_id), end).await;
            match (level, end) {
                (_, "rollback") => assert_eq!(result.unwrap().user_id, old.user_id),
                ("read committed", _) => drop(refused(result, "user_banned")),
                _ => assert!(["40001", "WA402"].contains(&refusal(result).sqlstate.as_str())),
            }
            bed.admin.batch_execute(&unban(old.user_id)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn everything_at_once_ends_without_a_deadlock() {
    const WALKERS: usize = 12;
    const STEPS: usize = 25;
    let bed = bed("everything").await;
    let app = bed.role("app", "").await;
    let seed = fastrand::u64(..);
    println!("the seed is {seed}");
    for level in LEVELS {
        let (came_through, pool) = (Cell::new(0), RefCell::new(Vec::<Session>::new()));
        for person in [ALICE, ANNA, BOB, GINA] {
            let begun = sessions(&bed.admin, person, 2).await;
            pool.borrow_mut().extend(begun);
        }
        join_all((0..WALKERS).map(async |walker| {
            let mut rng = fastrand::Rng::with_seed(seed ^ walker as u64);
            let backend = at(bed.backend().await, level).await;
            let (operator, person) = (at(bed.superuser().await, level).await, at(bed.connect(&app).await, level).await);
            for _ in 0..STEPS {
                let known = rng.choice(pool.borrow().iter()).cloned().unwrap();
                let results = match rng.u8(..20) {
                    0..9 => vec![refresh(&backend, &known.refresh_token).await],
                    9..14 => {
                        let pending = start(&bed.admin, *rng.choice(&[ALICE, ANNA, BOB, GINA]).unwrap()).await;
                        vec![exchange(&backend, &pending).await]
                    }
                    14..17 => {
                        let scope = *rng.choice(&["local", "others", "global"]).unwrap();
                        let result = sign_out(&person, &known, scope).await;
                        successes(level, vec![result], &["session_not_found", "session_stale"]);
                        continue;
                    }
                    what => {
                        let sql = match what {
                            17 => delete_user(known.user_id),
                            18 => revoke_organization(["org_acme", "org_globex"][rng.usize(..2)]),
                            _ => format!("{}; {}", ban(known.user_id), unban(known.user_id)),
                        };
                        successes(level, vec![operate(&operator, &sql).await], &[]);
                        continue;
                    }
                };
                let names = ["refresh_token_not_found", "conflict", "user_banned"];
                let good = successes(level, results, &names);
                came_through.set(came_through.get() + good.len());
                pool.borrow_mut().extend(good);
            }
        }))
        .await;
        assert!(came_through.get() > WALKERS, "{level}: hardly anybody came through");
        bed.is_whole().await;
        let backend = at(bed.backend().await, level).await;
        for session in newest(&pool.into_inner()) {
            let current = bed.counter(session.session_id).await;
            assert!(current.is_none_or(|current| current == counter(&session.refresh_token)), "{level}: a lost update");
            bed.lives_or_has_ended(&backend, &session).await;
        }
        for table in ["users", "identities"] {
            assert!(bed.count(&format!("select count(*) from auth.{table}")).await <= 4, "{table}");
        }
    }
    no_theft_and_no_deadlock(&bed).await;
}
