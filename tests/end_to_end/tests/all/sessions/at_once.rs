//! What changes a person's rights has its effect at once, by whoever's hand it comes: memberships, bans on the way of a sign-in, sessions of
//! somebody else, and tests of policies that leave nothing.

use serde_json::json;
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, is_good, reader, refresh, start};
use workos_end_to_end::sql::{refused, text};
use workos_end_to_end::{Bed, Mint, made, set_session};
use workos_testbed::Cluster;

#[tokio::test]
async fn a_membership_that_is_changed_by_hand_has_its_effect_at_once() {
    let bed = Bed::shared("members_hand").await;
    let people = bed.role("people", "").await;
    let of_alice = "user_id = (select user_id from auth.identities where email = 'alice@acme.com')";
    for (what, statement, refusal) in [
        ("deleted", format!("delete from auth.organization_memberships where {of_alice}"), "session_not_found"),
        ("truncated", "truncate auth.organization_memberships".to_owned(), "session_not_found"),
        (
            "given to another",
            format!(
                "update auth.organization_memberships set user_id = (select auth.create_user('{}@x.example')) where {of_alice}",
                Uuid::new_v4()
            ),
            "session_not_found",
        ),
        (
            "another role",
            format!("update auth.organization_memberships set role = 'none' where {of_alice}"),
            "session_stale",
        ),
        ("no role", format!("update auth.organization_memberships set role = null where {of_alice}"), "session_stale"),
        (
            "other roles",
            format!("update auth.organization_memberships set roles = '{{none}}' where {of_alice}"),
            "session_stale",
        ),
        (
            "other groups",
            format!("update auth.organization_memberships set groups = groups || array['more'] where {of_alice}"),
            "session_stale",
        ),
        (
            "other permissions",
            format!("update auth.organization_memberships set permissions = '{{all}}' where {of_alice}"),
            "session_stale",
        ),
    ] {
        let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
        let (at_alice, at_bob) = (reader(&bed, &people, &alice).await, reader(&bed, &people, &bob).await);
        // Rolled back, nothing happened.
        bed.admin
            .batch_execute(&format!("begin; {statement}; rollback"))
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        is_good(&at_alice, &alice).await;
        bed.admin.batch_execute(&statement).await.unwrap();
        refused(at_alice.batch_execute("select auth.uid()").await, refusal);
        match what {
            "truncated" => drop(refused(at_bob.batch_execute("select auth.uid()").await, refusal)),
            _ => is_good(&at_bob, &bob).await,
        }
        if refusal == "session_stale" {
            // The next token says what is true now.
            let next = refresh(&bed.admin, &alice.refresh_token).await.unwrap();
            set_session(&at_alice, &next.access_token, false).await.unwrap();
            is_good(&at_alice, &next).await;
        }
    }
    // What no token says changes none.
    let alice = bed.sign_in(ALICE).await;
    let at_alice = reader(&bed, &people, &alice).await;
    bed.admin.batch_execute("update auth.organization_memberships set custom_attributes = '{\"a\": 1}', updated_at = now(), role = role").await.unwrap();
    is_good(&at_alice, &alice).await;
}

#[tokio::test]
async fn a_person_is_taken_out_of_one_organization() {
    let bed = Bed::shared("members_out").await;
    let operator = made::administrator(&bed).await;
    let people = bed.role("people", "").await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin.batch_execute("insert into auth.organizations values ('org_other')").await.unwrap();
    let sql = "insert into auth.organization_memberships (organization_id, user_id) values ('org_other', $1)";
    bed.admin.execute(sql, &[&alice.user_id]).await.unwrap();
    let elsewhere = made::session_of(&operator, alice.user_id, ", 'org_other'").await.unwrap();
    let none = made::session_of(&operator, alice.user_id, "").await.unwrap();
    let remove = |organization: &str| format!("select auth.remove_member('{}', '{organization}')", alice.user_id);
    operator.batch_execute(&format!("begin; {}; rollback", remove("org_acme"))).await.unwrap();
    assert_eq!(text(&operator, &remove("org_acme")).await.unwrap().as_deref(), Some("1"));
    assert_eq!(text(&operator, &remove("org_acme")).await.unwrap().as_deref(), Some("0"));
    let client = bed.connect(&people).await;
    refused(set_session(&client, &alice.access_token, false).await, "session_not_found");
    for session in [&elsewhere, &none] {
        set_session(&client, session.get("access_token"), false).await.unwrap();
    }
    let sql = format!("select auth.create_session('{}', 'org_acme')", alice.user_id);
    refused(operator.batch_execute(&sql).await, "not_a_member");
    let audited = bed.audited("member_removed", Uuid::nil()).await;
    assert!(audited.is_empty());
    let entry = "select count(*) from auth.audit_log_entries where action = 'member_removed' and organization_id = 'org_acme' and payload = '{\"sessions\": 1}'";
    assert_eq!(bed.count(entry).await, 1);
    // Nobody, nowhere, nothing.
    let nobody = format!("select auth.remove_member('{}', 'org_acme')", Uuid::new_v4());
    assert_eq!(text(&operator, &nobody).await.unwrap().as_deref(), Some("0"));
    assert_eq!(text(&operator, &remove("org_nowhere")).await.unwrap().as_deref(), Some("0"));
    for call in ["auth.remove_member(null, 'org_acme')", "auth.remove_member(gen_random_uuid(), null)"] {
        refused(operator.batch_execute(&format!("select {call}")).await, "null_value");
    }
    // She may sign in again: WorkOS still lets her in.
    bed.sign_in(ALICE).await;
}

/// A trigger of the database's own may decide that somebody is banned or gone, at any row that a sign-in writes.
#[tokio::test]
async fn a_ban_on_the_way_of_a_sign_in_counts() {
    let bed = Bed::shared("bans_way").await;
    let app = bed.backend().await;
    for (change, refusal) in [("banned_until = 'infinity'", "user_banned"), ("deleted_at = now()", "user_deleted")] {
        for (table, event) in [
            ("users", "insert"),
            ("users", "update"),
            ("identities", "insert or update"),
            ("organization_memberships", "insert or update"),
            ("sessions", "insert or update"),
            ("audit_log_entries", "insert"),
        ] {
            let what = format!("{change} at {event} of {table}");
            bed.admin.batch_execute("delete from auth.users").await.unwrap();
            let known = bed.sign_in(ANNA).await;
            bed.admin
                .batch_execute(&format!(
                    "create or replace function public.decide() returns trigger language plpgsql security definer as $$ begin
                         if pg_trigger_depth() = 1 then update auth.users set {change}; end if; return null;
                     end $$;
                     create trigger decide after {event} on auth.{table} for each row execute function public.decide()"
                ))
                .await
                .unwrap();
            let before = bed.contents().await;
            let pending = start(&app, if event == "update" { ANNA } else { ALICE }).await;
            refused(exchange(&app, &pending).await, refusal);
            let kept: Vec<_> = bed.contents().await.into_iter().filter(|(table, _)| table != "flow_states").collect();
            assert_eq!(
                kept,
                before.into_iter().filter(|(table, _)| table != "flow_states").collect::<Vec<_>>(),
                "{what}"
            );
            if table == "sessions" || table == "audit_log_entries" {
                let result = made::session_of(&bed.admin, known.user_id, "").await;
                refused(result, refusal);
            }
            if table == "sessions" {
                refused(refresh(&app, &known.refresh_token).await, refusal);
            }
            bed.admin.batch_execute(&format!("drop trigger decide on auth.{table}")).await.unwrap();
        }
    }
}

/// Somebody who has a signing key still cannot use a session that is another person's.
#[tokio::test]
async fn a_token_that_names_a_session_of_somebody_else_is_refused() {
    let mint = Mint::new("another_session").await;
    let bob = mint.bed.sign_in(BOB).await;
    let mine = mint.session.session_id;
    mint.believes("her own", &mint.token(json!({}))).await;
    for (what, changes) in [
        ("another's session", json!({ "session_id": bob.session_id })),
        ("another person", json!({ "sub": bob.user_id })),
        ("nobody", json!({ "sub": Uuid::new_v4(), "session_id": mine })),
    ] {
        mint.refuses_to_verify(what, &mint.token(changes), "session_not_found").await;
    }
}

/// A test of policies that is committed leaves no session.
#[tokio::test]
async fn as_user_leaves_no_session() {
    let cluster = Cluster::start_with(&["max_prepared_transactions = 2"]).unwrap();
    let bed = Bed::new(&cluster, "as_user_leaves").await;
    bed.set("workos_auth.single_session_per_user", "on").await;
    let people = bed.role("people", "").await;
    let alice = bed.sign_in(ALICE).await;
    let client = bed.superuser().await;
    let call = format!("select auth.as_user('{}', '{people}')", alice.user_id);
    for transaction in [
        format!("begin; {call}; select auth.uid(); commit"),
        format!("begin; {call}; reset role; {call}; commit"),
        format!("begin; savepoint a; {call}; release a; commit"),
        format!("begin; savepoint a; {call}; rollback to a; reset role; {call}; commit"),
        format!("begin; {call}; reset role; prepare transaction 'test'"),
        format!("begin isolation level serializable; {call}; commit"),
        call.clone(),
        format!(
            "do $$ begin perform auth.as_user('{}', '{people}'); reset role; commit; perform auth.as_user('{}', '{people}'); end $$",
            alice.user_id, alice.user_id
        ),
    ] {
        client.batch_execute(&transaction).await.unwrap_or_else(|error| panic!("{transaction}: {error:?}"));
        if transaction.contains("prepare") {
            client.batch_execute("commit prepared 'test'").await.unwrap();
        }
        let sessions = bed.count("select count(*) from auth.sessions").await;
        assert_eq!(sessions, 1, "{transaction}");
        client.batch_execute("reset role").await.unwrap();
        assert_eq!(text(&client, "select auth.uid()").await.unwrap(), None, "{transaction}");
    }
    // Nobody else has seen it, and her own refresh goes on.
    client.batch_execute(&format!("begin; {call}")).await.unwrap();
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    client.batch_execute("commit").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
    assert!(bed.count("select count(*) from auth.audit_log_entries where action = 'session_impersonated'").await >= 8);
}
