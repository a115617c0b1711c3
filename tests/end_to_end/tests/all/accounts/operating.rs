//! What operators do to people and organizations: seen from the next statement on, everywhere, and undone where it is rolled back.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, GINA, Person, exchange, is_good, reader, sign_in, start};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refusal, refused, refused_as, text};
use workos_end_to_end::{Bed, Session};
use workos_simulator::{Fault, FaultKind};

const PATIENCE: Duration = Duration::from_secs(60);
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

/// A number that a call returns.
async fn call(client: &Client, sql: impl AsRef<str>) -> i64 {
    let sql = sql.as_ref();
    client.query_one(&format!("select {sql}"), &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// The audit log's entries of an action: whom they are about, and what they say.
async fn audited(bed: &Bed<'_>, action: &str) -> Vec<(Option<Uuid>, Option<String>, Value)> {
    let sql = "select user_id, organization_id, payload from auth.audit_log_entries where action = $1 order by created_at, id";
    let rows = bed.admin.query(sql, &[&action]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// A connection of an administrator who is no superuser.
async fn operator(bed: &Bed<'_>) -> Client {
    let role = format!("{}_operator", bed.database);
    let sql = format!(
        "do $$ begin
             if to_regrole('{role}') is null then create role {role} login; perform auth.grant_admin('{role}'); end if;
         end $$"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    bed.connect(&role).await
}

async fn wait_until_workos_is_asked(bed: &Bed<'_>, calls: usize) {
    for _ in 0..1_000 {
        if bed.token_requests().len() == calls {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("WorkOS is not asked");
}

async fn of(bed: &Bed<'_>, table: &str, column: &str, user: Uuid) -> i64 {
    let sql = format!("select count(*) from auth.{table} where {column} = $1");
    bed.admin.query_one(&sql, &[&user]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_banned_user_is_out_everywhere_and_does_not_come_in() {
    let bed = Bed::shared("ban").await;
    let app = bed.role("app", "").await;
    let operator = operator(&bed).await;
    let (one, two, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let (first, second, other) =
        (reader(&bed, &app, &one).await, reader(&bed, &app, &two).await, reader(&bed, &app, &anna).await);
    second.batch_execute("begin isolation level repeatable read; select auth.uid()").await.unwrap();
    assert_eq!(call(&operator, format!("auth.ban_user('{}')", one.user_id)).await, 1);
    for client in [&first, &second] {
        refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    }
    is_good(&other, &anna).await;
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);

    let before = bed.contents().await;
    let pending = start(&bed.admin, ALICE).await;
    let refusal = refused(exchange(&bed.admin, &pending).await, "user_banned");
    assert!(refusal.hint.contains("auth.unban_user"), "{refusal}");
    bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
    assert_eq!(bed.contents().await, before);
    let banned = audited(&bed, "user_banned").await;
    assert_eq!(banned, [(Some(one.user_id), None, json!({ "until": "infinity", "sessions": 2 }))]);

    // Banning again changes the time; lifting it does so once.
    bed.admin.batch_execute("set timezone = 'Asia/Kolkata'").await.unwrap();
    let tomorrow = format!("auth.ban_user(user_id => '{}', until => '2999-12-31 00:00:00+00')", one.user_id);
    assert_eq!(call(&bed.admin, &tomorrow).await, 1);
    assert_eq!(audited(&bed, "user_banned").await[1].2, json!({ "until": "2999-12-31T05:30:00+05:30", "sessions": 0 }));
    let unban = format!("auth.unban_user('{}')", one.user_id);
    assert_eq!((call(&operator, &unban).await, call(&operator, &unban).await), (1, 0));
    assert_eq!(audited(&bed, "user_unbanned").await, [(Some(one.user_id), None, json!({}))]);
    let again = bed.sign_in(ALICE).await;
    assert_eq!((again.user_id, again.is_new_user), (one.user_id, false));

    // A ban that is over is none.
    call(&operator, format!("auth.ban_user('{}', clock_timestamp() + '1 s')", one.user_id)).await;
    let pending = start(&bed.admin, ALICE).await;
    bed.until("not exists (select from auth.users where banned_until > clock_timestamp())").await;
    exchange(&bed.admin, &pending).await.unwrap();
}

#[tokio::test]
async fn nobody_and_nonsense() {
    let bed = Bed::shared("nobody").await;
    let operator = operator(&bed).await;
    let session = bed.sign_in(ALICE).await;
    let (backend, ordinary) = (bed.backend().await, bed.role("ordinary", "").await);
    let ordinary = bed.connect(&ordinary).await;
    let before = bed.contents().await;
    for unknown in [
        "auth.ban_user(gen_random_uuid())",
        "auth.unban_user(gen_random_uuid())",
        &format!("auth.unban_user('{}')", session.user_id),
        "auth.revoke_sessions(gen_random_uuid())",
        "auth.revoke_session(gen_random_uuid())",
        &format!("auth.revoke_session('{}')", session.user_id),
        "auth.delete_user(gen_random_uuid())",
        "auth.revoke_organization('org_unknown')",
        "auth.revoke_organization('')",
        "auth.revoke_organization('ORG_ACME')",
        &format!("auth.revoke_organization(repeat('ö', {}))", 1 << 20),
    ] {
        assert_eq!(call(&operator, unknown).await, 0, "{unknown}");
    }
    for (call, name, argument) in [
        ("auth.ban_user(null)", "null_value", "user_id"),
        ("auth.ban_user(gen_random_uuid(), null)", "null_value", "until"),
        ("auth.ban_user(gen_random_uuid(), now())", "validation_failed", "until"),
        ("auth.ban_user(gen_random_uuid(), '-infinity')", "validation_failed", "until"),
        ("auth.unban_user(null)", "null_value", "user_id"),
        ("auth.revoke_sessions(null)", "null_value", "user_id"),
        ("auth.revoke_session(null)", "null_value", "session_id"),
        ("auth.revoke_organization(null)", "null_value", "organization"),
        ("auth.delete_user(null)", "null_value", "user_id"),
        ("auth.cleanup(null)", "null_value", "batch"),
        ("auth.cleanup(0)", "validation_failed", "batch"),
        ("auth.cleanup(-1)", "validation_failed", "batch"),
        ("auth.cleanup(100001)", "validation_failed", "batch"),
    ] {
        let refusal = refused(operator.batch_execute(&format!("select {call}")).await, name);
        assert!(refusal.detail.contains(argument), "{refusal}");
    }
    // Neither the backend nor an ordinary role may.
    for client in [&backend, &ordinary] {
        for name in ["ban_user", "unban_user", "revoke_sessions", "delete_user"] {
            let sql = format!("select auth.{name}('{}')", session.user_id);
            refused_as(client.batch_execute(&sql).await, "42501");
        }
        let own = format!("select auth.revoke_session('{}')", session.session_id);
        refused_as(client.batch_execute(&own).await, "42501");
        refused_as(client.batch_execute("select auth.revoke_organization('org_acme')").await, "42501");
        refused_as(client.batch_execute("select auth.cleanup()").await, "42501");
    }
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn revocations_end_the_sessions_they_name_and_no_other() {
    let bed = Bed::shared("revoke").await;
    let app = bed.role("app", "").await;
    let operator = operator(&bed).await;
    let mut people = Vec::new();
    for person in [ALICE, ALICE, ANNA, BOB, GINA] {
        let session = bed.sign_in(person).await;
        let client = reader(&bed, &app, &session).await;
        people.push((client, session));
    }
    let live = async |which: &[usize]| {
        for (at, (client, session)) in people.iter().enumerate() {
            match which.contains(&at) {
                true => is_good(client, session).await,
                false => drop(refused(client.batch_execute("select auth.uid()").await, "session_not_found")),
            }
        }
    };
    let alice = people[0].1.user_id;
    assert_eq!(call(&operator, format!("auth.revoke_sessions('{alice}')")).await, 2);
    live(&[2, 3, 4]).await;
    assert_eq!(call(&operator, format!("auth.revoke_sessions('{alice}')")).await, 0);
    assert_eq!(call(&operator, "auth.revoke_organization('org_acme')").await, 1);
    live(&[3, 4]).await;
    assert_eq!(audited(&bed, "sessions_revoked").await, [(Some(alice), None, json!({ "sessions": 2 }))]);
    let organization = audited(&bed, "organization_revoked").await;
    assert_eq!(organization, [(None, Some("org_acme".to_owned()), json!({ "sessions": 1 }))]);
    let actor = "select distinct actor from auth.audit_log_entries where action ~ 'revoked'";
    assert_eq!(text(&bed.admin, actor).await.unwrap().as_deref(), Some(&*bed.named("DATABASE_operator")));
    // They sign in again.
    for person in [ALICE, ANNA] {
        case!(person);
        assert!(!bed.sign_in(person).await.is_new_user);
    }
}

/// One session of several, such as that of a lost device.
#[tokio::test]
async fn one_session_ends_and_the_others_go_on() {
    let bed = Bed::shared("one_session").await;
    let app = bed.role("app", "").await;
    let operator = operator(&bed).await;
    let (lost, kept, other) = (bed.sign_in(ALICE).await, bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let (at_lost, at_kept) = (reader(&bed, &app, &lost).await, reader(&bed, &app, &kept).await);
    assert_eq!(call(&operator, format!("auth.revoke_session('{}')", lost.session_id)).await, 1);
    refused(at_lost.batch_execute("select auth.uid()").await, "session_not_found");
    refused(workos_end_to_end::refresh(&bed.admin, &lost.refresh_token).await, "refresh_token_not_found");
    is_good(&at_kept, &kept).await;
    is_good(&reader(&bed, &app, &other).await, &other).await;
    assert_eq!(call(&operator, format!("auth.revoke_session('{}')", lost.session_id)).await, 0);
    let audited = "select user_id, session_id, actor from auth.audit_log_entries where action = 'session_revoked'";
    let expected = format!("{}|{}|{}", lost.user_id, lost.session_id, bed.named("DATABASE_operator"));
    assert_eq!(workos_end_to_end::lines(&bed.admin, audited).await.unwrap(), [expected]);
}

#[tokio::test]
async fn what_is_rolled_back_did_not_happen() {
    let bed = Bed::shared("undone").await;
    let app = bed.role("app", "").await;
    let operator = operator(&bed).await;
    let session = bed.sign_in(ALICE).await;
    let client = reader(&bed, &app, &session).await;
    let before = bed.contents().await;
    let id = session.user_id;
    for level in LEVELS {
        for done in [
            format!("auth.ban_user('{id}')"),
            format!("auth.revoke_sessions('{id}')"),
            format!("auth.revoke_session('{}')", session.session_id),
            "auth.revoke_organization('org_acme')".to_owned(),
            format!("auth.delete_user('{id}')"),
        ] {
            for undo in ["rollback", "rollback to s; commit"] {
                operator.batch_execute(&format!("begin isolation level {level}; savepoint s")).await.unwrap();
                assert_eq!(call(&operator, &done).await, 1, "{done}");
                is_good(&client, &session).await;
                operator.batch_execute(undo).await.unwrap();
                is_good(&client, &session).await;
            }
            let caught = format!(
                "do $$ begin begin perform {done}; raise 'undone'; exception when raise_exception then null; end; end $$"
            );
            operator.batch_execute(&caught).await.unwrap();
            is_good(&client, &session).await;
            assert_eq!(bed.contents().await, before, "{done}");
        }
    }
}

#[tokio::test]
async fn an_operator_who_is_signed_in_sees_their_own_end_in_the_next_statement() {
    let bed = Bed::shared("own_end").await;
    for end in [
        "auth.ban_user(auth.uid())",
        "auth.revoke_sessions(auth.uid())",
        "auth.revoke_session(auth.session_id())",
        "auth.revoke_organization(auth.organization_id())",
        "auth.delete_user(auth.uid())",
    ] {
        let operator = operator(&bed).await;
        let session = bed.sign_in(ALICE).await;
        workos_end_to_end::set_session(&operator, &session.access_token, false).await.unwrap();
        let one_block = format!("do $$ begin perform auth.uid(); perform {end}; perform auth.uid(); end $$");
        refused(operator.batch_execute(&one_block).await, "session_not_found");
        is_good(&operator, &session).await;
        assert_eq!(call(&operator, end).await, 1, "{end}");
        refused(operator.batch_execute("select auth.uid()").await, "session_not_found");
        bed.admin.batch_execute(&format!("select auth.unban_user('{}')", session.user_id)).await.unwrap();
    }
}

#[tokio::test]
async fn what_hangs_on_a_deleted_user_is_the_foreign_keys_own_word() {
    let bed = Bed::shared("delete").await;
    let app = bed.role("app", "").await;
    let operator = operator(&bed).await;
    bed.admin
        .batch_execute(
            "create table notes (owner uuid references auth.users (id) on delete cascade, note text);
             create table reviews (author uuid references auth.users (id) on delete set null, review text);
             create table invoices (payer uuid not null references auth.users (id), amount int)",
        )
        .await
        .unwrap();
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let client = reader(&bed, &app, &alice).await;
    for session in [&alice, &anna] {
        for table in ["notes", "reviews"] {
            bed.admin.execute(&format!("insert into {table} values ($1, 'x')"), &[&session.user_id]).await.unwrap();
        }
    }
    bed.admin.execute("insert into invoices values ($1, 10)", &[&alice.user_id]).await.unwrap();
    let before = bed.contents().await;
    let delete = format!("select auth.delete_user('{}')", alice.user_id);
    let refusal = refused_as(operator.batch_execute(&delete).await, "23503");
    assert!(refusal.message.contains("invoices"), "{refusal}");
    assert_eq!(bed.contents().await, before);
    is_good(&client, &alice).await;

    bed.admin.batch_execute("delete from invoices").await.unwrap();
    assert_eq!(text(&operator, &delete).await.unwrap().as_deref(), Some("1"));
    assert_eq!(text(&operator, &delete).await.unwrap().as_deref(), Some("0"));
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    for (table, column) in
        [("users", "id"), ("identities", "user_id"), ("organization_memberships", "user_id"), ("sessions", "user_id")]
    {
        assert_eq!(of(&bed, table, column, alice.user_id).await, 0, "{table}");
        assert_eq!(of(&bed, table, column, anna.user_id).await, 1, "{table}");
    }
    let left =
        "select owner::text from notes union all select coalesce(author::text, 'nobody') from reviews order by 1";
    let id = anna.user_id.to_string();
    let mut expected = [id.as_str(), &id, "nobody"];
    expected.sort();
    assert_eq!(lines(&bed.admin, left).await.unwrap(), expected);
    assert_eq!(audited(&bed, "user_deleted").await, [(Some(alice.user_id), None, json!({ "sessions": 1 }))]);
    // Whoever signs in with that profile is somebody new.
    let again = bed.sign_in(ALICE).await;
    assert!(again.is_new_user && again.user_id != alice.user_id);
}

/// Has an exchange wait for WorkOS, does something meanwhile, and returns what became of the exchange.
async fn during(bed: &Bed<'_>, person: Person, act: &str) -> Result<Session, tokio_postgres::Error> {
    let app = bed.backend().await;
    let pending = start(&app, person).await;
    let calls = bed.token_requests().len();
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 1_500 }).times(1)).unwrap();
    let (outcome, ()) = tokio::join!(exchange(&app, &pending), async {
        wait_until_workos_is_asked(bed, calls + 1).await;
        assert_eq!(text(&bed.admin, act).await.unwrap().as_deref(), Some("1"), "{act}");
    });
    outcome
}

#[tokio::test]
async fn a_ban_or_a_deletion_while_workos_is_asked_is_seen_by_the_sign_in() {
    let bed = Bed::shared("meanwhile").await;
    let alice = bed.sign_in(ALICE).await;
    refused(during(&bed, ALICE, &format!("select auth.ban_user('{}')", alice.user_id)).await, "user_banned");
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    bed.admin.batch_execute(&format!("select auth.unban_user('{}')", alice.user_id)).await.unwrap();
    let again = during(&bed, ALICE, &format!("select auth.delete_user('{}')", alice.user_id)).await.unwrap();
    assert!(again.is_new_user && again.user_id != alice.user_id);
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
}

#[tokio::test]
async fn a_ban_that_is_not_committed_makes_a_sign_in_wait_for_its_end() {
    let bed = Bed::shared("ban_first").await;
    for act in ["ban_user", "delete_user"] {
        for level in LEVELS {
            for end in ["commit", "rollback"] {
                let alice = bed.sign_in(ALICE).await;
                let app = bed.backend().await;
                app.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
                let pending = start(&app, ALICE).await;
                bed.admin.batch_execute(&format!("begin; select auth.{act}('{}')", alice.user_id)).await.unwrap();
                let (outcome, ()) = tokio::join!(exchange(&app, &pending), async {
                    bed.until_waiting(1).await;
                    bed.admin.batch_execute(end).await.unwrap();
                });
                let what = format!("{act} {level} {end}");
                match (end, level, act) {
                    ("rollback", ..) => assert_eq!(outcome.unwrap().user_id, alice.user_id, "{what}"),
                    ("commit", "read committed", "ban_user") => drop(refused(outcome, "user_banned")),
                    ("commit", "read committed", _) => assert!(outcome.unwrap().is_new_user, "{what}"),
                    _ => drop(refused_as(outcome, "40001")),
                }
                let banned = "select count(*) from auth.sessions s join auth.users u on u.id = s.user_id where banned_until is not null";
                assert_eq!(bed.count(banned).await, 0, "{what}: nobody who is banned has a session");
                bed.admin.batch_execute("delete from auth.users").await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_sign_in_that_is_not_committed_makes_a_ban_wait_and_loses_its_session() {
    let bed = Bed::shared("sign_in_first").await;
    for act in ["ban_user", "delete_user"] {
        let alice = bed.sign_in(ALICE).await;
        let (app, operator) = (bed.backend().await, operator(&bed).await);
        let pending = start(&app, ALICE).await;
        app.batch_execute("begin").await.unwrap();
        let session = exchange(&app, &pending).await.unwrap();
        let (done, ()) = tokio::join!(call(&operator, format!("auth.{act}('{}')", alice.user_id)), async {
            bed.until_waiting(1).await;
            app.batch_execute("commit").await.unwrap();
        });
        assert_eq!(done, 1);
        refused(app.query("select auth.verify_token($1)", &[&session.access_token]).await, "session_not_found");
        assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
        bed.admin.batch_execute("delete from auth.users").await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_being_refreshed_is_ended_all_the_same() {
    let bed = Bed::shared("refreshed").await;
    let operator = operator(&bed).await;
    for end in ["auth.ban_user", "auth.revoke_sessions", "auth.delete_user"] {
        let alice = bed.sign_in(ALICE).await;
        let refresh = bed.superuser().await;
        // What a refresh does to the row.
        let update =
            "begin; update auth.sessions set refresh_token_counter = refresh_token_counter + 1, refreshed_at = now()";
        refresh.batch_execute(update).await.unwrap();
        let (ended, ()) = tokio::join!(call(&operator, format!("{end}('{}')", alice.user_id)), async {
            bed.until_waiting(1).await;
            refresh.batch_execute("commit").await.unwrap();
        });
        assert_eq!((ended, bed.count("select count(*) from auth.sessions").await), (1, 0), "{end}");
        bed.admin.batch_execute("delete from auth.users").await.unwrap();
    }
}

#[tokio::test]
async fn operators_beside_each_other_and_beside_people_never_deadlock() {
    const ROUNDS: usize = 12;
    let bed = Bed::shared("crowd").await;
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    // Sessions in no particular order, in two indexes that have another order each.
    let more = "insert into auth.sessions (id, user_id, organization_id, not_after, refresh_token_salt)
        select gen_random_uuid(), (array[$1::uuid, $2])[1 + i % 2], 'org_acme', now() + (random() - 0.1) * interval '1 h', ''
        from generate_series(1, 300) as i order by random()";
    let mut acts = Vec::new();
    for user in [alice.user_id, anna.user_id] {
        acts.push(format!("select auth.revoke_sessions('{user}')"));
        acts.push(format!("select auth.ban_user('{user}'), auth.unban_user('{user}')"));
        acts.push(format!("update auth.sessions set updated_at = now() where id = (select id from auth.sessions where user_id = '{user}' limit 1)"));
    }
    acts.extend(
        ["select auth.revoke_organization('org_acme')", "select auth.cleanup()", "select auth.cleanup(10)"]
            .map(str::to_owned),
    );
    let mut clients = Vec::new();
    for act in &acts {
        clients.push((bed.superuser().await, act));
    }
    let app = bed.backend().await;
    for _ in 0..ROUNDS {
        bed.admin.execute(more, &[&alice.user_id, &anna.user_id]).await.unwrap();
        let race = join_all(clients.iter().map(|(client, act)| client.batch_execute(act)));
        let (results, signed_in) = tokio::join!(tokio::time::timeout(PATIENCE, race), async {
            exchange(&app, &start(&app, ALICE).await).await
        });
        for (result, act) in results.expect("it ends").into_iter().zip(&acts) {
            result.unwrap_or_else(|error| panic!("{act}: {error:?}"));
        }
        if let Err(error) = signed_in {
            assert_eq!(refusal(Err::<(), _>(error)).sqlstate, "WA402", "no more than a ban can stop a sign-in");
        }
    }
    bed.admin.batch_execute("select auth.revoke_organization('org_acme')").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    // And it still works.
    sign_in(&app, ANNA).await;
}

#[tokio::test]
async fn several_sessions_are_locked_in_the_order_of_their_ids() {
    let bed = Bed::shared("in_order").await;
    let app = bed.role("app", "").await;
    let alice = bed.sign_in(ALICE).await;
    let client = reader(&bed, &app, &alice).await;
    let (operator, holder) = (operator(&bed).await, bed.superuser().await);
    // The last of them in the table is the first by its id.
    let more = "insert into auth.sessions (id, user_id, organization_id)
        select lpad(to_hex(1000 - i), 32, '0')::uuid, $1, 'org_acme' from generate_series(1, 999) as i";
    bed.admin.execute(more, &[&alice.user_id]).await.unwrap();
    let calls = [
        (&client, format!("auth.sign_out('{}')", alice.access_token)),
        (&operator, format!("auth.revoke_sessions('{}')", alice.user_id)),
        (&operator, "auth.revoke_organization('org_acme')".to_owned()),
        (&operator, format!("auth.ban_user('{}')", alice.user_id)),
        (&operator, format!("auth.delete_user('{}')", alice.user_id)),
    ];
    for (who, ending) in calls {
        who.batch_execute("begin").await.unwrap();
        holder.batch_execute("begin; select from auth.sessions order by id limit 1 for update").await.unwrap();
        let (_, ()) = tokio::join!(call(who, &ending), async {
            bed.until_waiting(1).await;
            let free = "select count(*) from (select from auth.sessions for update skip locked) as free";
            assert_eq!(text(&bed.admin, free).await.unwrap().as_deref(), Some("999"), "{ending}");
            holder.batch_execute("rollback").await.unwrap();
        });
        who.batch_execute("rollback").await.unwrap();
    }
}
