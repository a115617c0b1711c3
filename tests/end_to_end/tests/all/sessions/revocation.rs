//! How soon a change is seen by connections that have a session open: a sign-out, a retired key, another issuer.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, is_good, reader, set_session, sign_in};
use workos_end_to_end::case;
use workos_end_to_end::meanwhile::STAND_STILL;
use workos_end_to_end::parallel::force_parallel;
use workos_end_to_end::sql::{refused, text};
use workos_end_to_end::waiting::pass;
use workos_end_to_end::wire::Wire;
use workos_testbed::Cluster;

const LEVELS: &[&str] = &[
    "read committed",
    "repeatable read",
    "serializable",
    "read committed read only",
    "repeatable read read only",
    "serializable read only deferrable",
];

/// What ends a session or makes its token stale, and what a reader says then.
const CHANGES: &[(&str, &str)] = &[
    ("delete from auth.sessions where id = ", "session_not_found"),
    ("update auth.sessions set claims_version = claims_version + 1 where id = ", "session_stale"),
];

#[tokio::test]
async fn a_revocation_is_seen_in_the_next_statement_of_any_transaction() {
    let bed = Bed::shared("seen").await;
    let app = bed.role("app", "").await;
    for parallel in [false, true] {
        for level in LEVELS {
            for (change, name) in CHANGES {
                let session = bed.sign_in(ALICE).await;
                let reader = reader(&bed, &app, &session).await;
                if parallel {
                    force_parallel(&reader).await;
                }
                let id = format!("'{}'", session.session_id);
                reader.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
                // The snapshot is taken, the token verified and remembered.
                is_good(&reader, &session).await;
                // What is not committed is not seen, and what is rolled back did not happen.
                for end in ["rollback", "commit"] {
                    bed.admin.batch_execute(&format!("begin; {change}{id}")).await.unwrap();
                    is_good(&reader, &session).await;
                    bed.admin.batch_execute(end).await.unwrap();
                    if end == "rollback" {
                        is_good(&reader, &session).await;
                    }
                }
                for call in ["auth.uid()", "auth.jwt()", "auth.has_role('admin')", "auth.session_claims()"] {
                    reader.batch_execute("savepoint s").await.unwrap();
                    let refusal = refused(reader.batch_execute(&format!("select {call}")).await, name);
                    assert_eq!(refusal.context.contains("parallel worker"), parallel, "{level}: {refusal}");
                    reader.batch_execute("rollback to s").await.unwrap();
                }
                let verify = reader.query("select auth.verify_token($1)", &[&session.access_token]).await;
                refused(verify, name);
                reader.batch_execute("rollback").await.unwrap();
                refused(reader.batch_execute("select auth.uid()").await, name);
                refused(set_session(&reader, &session.access_token, false).await, name);
            }
        }
    }
}

#[tokio::test]
async fn ones_own_revocation_counts_for_oneself_until_it_is_committed() {
    let bed = Bed::shared("own").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let (one, other) = (reader(&bed, &app, &session).await, reader(&bed, &app, &session).await);
    let sign_out = format!("auth.sign_out('{}', 'local')", session.access_token);
    for level in ["read committed", "repeatable read", "serializable"] {
        one.batch_execute(&format!("begin isolation level {level}; savepoint s; select {sign_out}")).await.unwrap();
        refused(one.batch_execute("select auth.uid()").await, "session_not_found");
        is_good(&other, &session).await;
        one.batch_execute("rollback to s").await.unwrap();
        is_good(&one, &session).await;
        one.batch_execute(&format!("select {sign_out}")).await.unwrap();
        refused(one.batch_execute("select auth.uid()").await, "session_not_found");
        one.batch_execute("rollback").await.unwrap();
        is_good(&one, &session).await;
    }
    // In one statement, and with the exception caught.
    let caught = format!(
        "do $$ begin
        begin perform {sign_out}; raise 'undone'; exception when raise_exception then null; end;
        perform auth.uid(); end $$"
    );
    one.batch_execute(&caught).await.unwrap();
    is_good(&one, &session).await;
    let within = format!("do $$ begin perform {sign_out}; perform auth.uid(); end $$");
    refused(one.batch_execute(&within).await, "session_not_found");
    is_good(&one, &session).await;
    one.batch_execute(&format!("select {sign_out}")).await.unwrap();
    for client in [&one, &other] {
        refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    }
}

#[tokio::test]
async fn what_a_transaction_writes_and_takes_back_counts_for_itself() {
    let bed = Bed::shared("taken_back").await;
    let session = bed.sign_in(ALICE).await;
    let token = async || bed.admin.query("select auth.verify_token($1)", &[&session.access_token]).await;
    let kept = format!("create temp table kept as select * from auth.sessions where id = '{}'", session.session_id);
    let gone = format!("delete from auth.sessions where id = '{}'", session.session_id);
    let back = "insert into auth.sessions select * from kept";
    bed.admin.batch_execute(&kept).await.unwrap();
    for level in ["read committed", "repeatable read", "serializable"] {
        bed.admin.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
        token().await.unwrap();
        bed.admin.batch_execute(&format!("savepoint s; {gone}")).await.unwrap();
        let not_found = async || {
            bed.admin.batch_execute("savepoint looked").await.unwrap();
            refused(token().await, "session_not_found");
            bed.admin.batch_execute("rollback to looked").await.unwrap();
        };
        not_found().await;
        bed.admin.batch_execute(&format!("savepoint t; {back}")).await.unwrap();
        token().await.unwrap();
        bed.admin.batch_execute("rollback to t").await.unwrap();
        not_found().await;
        bed.admin.batch_execute("rollback to s").await.unwrap();
        token().await.unwrap();
        bed.admin.batch_execute(&format!("{gone}; {back}")).await.unwrap();
        token().await.unwrap();
        bed.admin.batch_execute("commit").await.unwrap();
        token().await.unwrap();
    }
}

#[tokio::test]
async fn a_revocation_that_is_prepared_counts_when_it_is_committed() {
    let cluster = Cluster::start_with(&["max_prepared_transactions = 1"]).unwrap();
    let bed = Bed::new(&cluster, "prepared").await;
    let app = bed.role("app", "").await;
    for (change, name) in CHANGES {
        let session = bed.sign_in(ALICE).await;
        let reader = reader(&bed, &app, &session).await;
        for end in ["rollback", "commit"] {
            is_good(&reader, &session).await;
            let prepare = format!("begin; {change}'{}'; prepare transaction 'revoked'", session.session_id);
            bed.admin.batch_execute(&prepare).await.unwrap();
            is_good(&reader, &session).await;
            // By another connection than the one that prepared it.
            bed.superuser().await.batch_execute(&format!("{end} prepared 'revoked'")).await.unwrap();
        }
        refused(reader.batch_execute("select auth.uid()").await, name);
    }
}

#[tokio::test]
async fn a_revocation_is_seen_by_the_next_statement_of_what_was_sent_at_once() {
    let bed = Bed::shared("at_once").await;
    let app = bed.role("app", "").await;
    bed.admin
        .batch_execute(&format!(
            "create procedure in_two_transactions(half text) language plpgsql as $$ declare person uuid := auth.uid(); begin
                 if half = 'commit' then commit; else rollback; end if;
                 perform {STAND_STILL};
                 if half = 'commit' then commit; else rollback; end if;
                 if person is null or auth.uid() is distinct from person then raise 'somebody else'; end if;
             end $$"
        ))
        .await
        .unwrap();
    let (read, stand) = ("select auth.uid()", format!("select {STAND_STILL}"));
    for (change, name) in CHANGES {
        case!(name);
        let batch = format!("{read}; {stand}; {read}");
        let messages = [
            "call in_two_transactions('commit')".to_owned(),
            "call in_two_transactions('rollback')".to_owned(),
            format!("begin isolation level repeatable read; {batch}"),
            batch,
        ];
        for message in messages {
            let session = bed.sign_in(ALICE).await;
            let revoke = format!("{change}'{}'", session.session_id);
            let reader = reader(&bed, &app, &session).await;
            // It goes through as long as nothing happens.
            bed.meanwhile(reader.batch_execute(&message), async {}).await.unwrap();
            reader.batch_execute("commit").await.unwrap();
            let run = bed.meanwhile(reader.batch_execute(&message), async {
                bed.admin.batch_execute(&revoke).await.unwrap();
            });
            println!("{message}");
            refused(run.await, name);
        }

        let session = bed.sign_in(ALICE).await;
        let revoke = format!("{change}'{}'", session.session_id);
        let (mut wire, greeting) = Wire::connect(bed.cluster, &bed.database, &app, &[]).await;
        assert!(greeting.refusal.is_none(), "{greeting:?}");
        let set = format!("select auth.set_session('{}', false)->>'sub'", session.access_token);
        assert_eq!(wire.pipeline(&[&set, read]).await.rows, [session.user_id.to_string(), session.user_id.to_string()]);
        let statements = [read, read, &stand, read];
        let answer = bed.meanwhile(wire.pipeline(&statements), async {
            bed.admin.batch_execute(&revoke).await.unwrap();
        });
        let answer = answer.await;
        let code = refused(bed.admin.query("select auth.verify_token($1)", &[&session.access_token]).await, name);
        assert_eq!((answer.rows.len(), answer.refusal.map(|refusal| refusal.sqlstate)), (3, Some(code.sqlstate)));
    }

    // Each FETCH is a statement.
    let session = bed.sign_in(ALICE).await;
    let reader = reader(&bed, &app, &session).await;
    reader.batch_execute("begin; declare c cursor for select auth.uid() from generate_series(1, 3)").await.unwrap();
    assert_eq!(text(&reader, "fetch c").await.unwrap(), Some(session.user_id.to_string()));
    bed.admin.execute("delete from auth.sessions where id = $1", &[&session.session_id]).await.unwrap();
    refused(reader.batch_execute("fetch c").await, "session_not_found");
}

#[tokio::test]
async fn a_retired_key_is_refused_in_open_connections() {
    let bed = Bed::shared("retired").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let (reader, idle) = (bed.connect(&app).await, bed.connect(&app).await);
    for client in [&reader, &idle] {
        set_session(client, &session.access_token, false).await.unwrap();
        client.batch_execute("select auth.uid()").await.unwrap();
    }
    let good = async |client: &Client| {
        assert_eq!(text(client, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()))
    };
    let keys = "select jsonb_array_length(auth.jwks()->'keys')";
    assert_eq!(text(&reader, keys).await.unwrap().as_deref(), Some("1"));

    bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();
    for client in [&reader, &idle] {
        refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
        refused(client.query("select auth.verify_token($1)", &[&session.access_token]).await, "bad_jwt_key");
        assert_eq!(text(client, keys).await.unwrap().as_deref(), Some("0"));
    }
    bed.admin.batch_execute("update auth.signing_keys set status = 'retiring'").await.unwrap();
    good(&reader).await;

    // An uncommitted change is nobody else's, and a rolled back one nobody's.
    bed.admin.batch_execute("begin; update auth.signing_keys set status = 'retired'").await.unwrap();
    good(&reader).await;
    bed.admin.batch_execute("rollback").await.unwrap();
    good(&reader).await;

    // In a transaction that began before, too; and afterwards it is not forgotten again.
    bed.set("workos_auth.check_sessions", "off").await;
    let unchecked = bed.connect(&app).await;
    set_session(&unchecked, &session.access_token, false).await.unwrap();
    for client in [&reader, &unchecked] {
        for isolation in ["read committed", "repeatable read", "serializable"] {
            client.batch_execute(&format!("begin isolation level {isolation}")).await.unwrap();
            good(client).await;
            bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();
            refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
            client.batch_execute("rollback").await.unwrap();
            refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
            bed.admin.batch_execute("update auth.signing_keys set status = 'active'").await.unwrap();
            good(client).await;
        }
    }
    bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();

    // Replication's way of applying changes fires the trigger too.
    bed.admin.batch_execute("set session_replication_role = replica; update auth.signing_keys set status = 'active'; reset session_replication_role").await.unwrap();
    good(&reader).await;
    bed.admin.batch_execute("create table kept as table auth.signing_keys; truncate auth.signing_keys").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "bad_jwt_key");
    bed.admin.batch_execute("insert into auth.signing_keys table kept").await.unwrap();
    good(&reader).await;
    good(&idle).await;
    bed.admin.batch_execute("delete from auth.signing_keys").await.unwrap();
    refused(idle.batch_execute("select auth.uid()").await, "bad_jwt_key");
}

#[tokio::test]
async fn another_issuer_and_an_emptied_table_are_seen_in_open_connections() {
    let bed = Bed::shared("issuers").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let reader = bed.connect(&app).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    reader.batch_execute("select auth.uid()").await.unwrap();
    let known = text(&bed.admin, "select id from auth.installation").await.unwrap().unwrap();
    bed.admin.batch_execute("update auth.installation set id = gen_random_uuid()").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "bad_jwt_issuer");
    bed.admin.batch_execute(&format!("update auth.installation set id = '{known}'")).await.unwrap();
    reader.batch_execute("select auth.uid()").await.unwrap();
    bed.admin.batch_execute("truncate auth.sessions").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "session_not_found");

    // A deleted user, and a claim that has changed.
    let session = bed.sign_in(ALICE).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    bed.admin.batch_execute("update auth.sessions set claims_version = claims_version + 1").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "session_stale");
    bed.admin.batch_execute("delete from auth.users").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "session_not_found");
}

#[tokio::test]
async fn without_session_checks_a_token_is_good_until_it_expires() {
    let bed = Bed::shared("unchecked").await;
    let app = bed.role("app", "").await;
    bed.set("workos_auth.access_token_ttl", "2s").await;
    let backend = bed.backend().await;
    let short = sign_in(&backend, ALICE).await;
    bed.admin.batch_execute(&bed.named("alter database DATABASE reset workos_auth.access_token_ttl")).await.unwrap();
    let session = bed.sign_in(ALICE).await;
    bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
    let verify = "select auth.verify_token($1)";
    let checking = bed.connect(&app).await;
    refused(checking.query(verify, &[&session.access_token]).await, "session_not_found");
    bed.set("workos_auth.check_sessions", "off").await;
    let client = bed.connect(&app).await;
    client.query(verify, &[&session.access_token]).await.unwrap();
    set_session(&client, &session.access_token, false).await.unwrap();
    assert_eq!(text(&client, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()));
    pass(short.claims["exp"].as_i64().unwrap()).await;
    refused(client.query(verify, &[&short.access_token]).await, "bad_jwt_expired");
}
