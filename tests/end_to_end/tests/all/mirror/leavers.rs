//! Somebody leaves a customer, as the customer's directory tells it.

use serde_json::{Value, json};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, is_good, reader, refresh, start};
use workos_end_to_end::sql::{lines, refused, text};

fn departs(departure: &str) -> Value {
    json!({ "directory_user_departs": { "id": "directory_user_alice", "departure": departure } })
}

const MEMBERS: &str = "select organization_id || ' ' || u.email from auth.organization_memberships join auth.users u on u.id = user_id order by 1";

#[tokio::test]
async fn who_leaves_reads_nothing_in_the_next_statement() {
    for (case, change) in [
        ("deleted", departs("deleted")),
        ("inactive", departs("inactive")),
        ("suspended", json!({ "update_directory_user": { "id": "directory_user_alice", "state": "suspended" } })),
    ] {
        let bed = Bed::shared(case).await;
        bed.with_directory().await;
        let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
        let role = bed.role("app", "").await;
        bed.admin
            .batch_execute(&format!(
                "create table notes (owner uuid); alter table notes enable row level security; grant select on notes to {role};
                 create policy own on notes using (owner = (select auth.uid())); insert into notes select id from auth.users"
            ))
            .await
            .unwrap();
        let (as_alice, as_anna) = (reader(&bed, &role, &alice).await, reader(&bed, &role, &anna).await);
        assert_eq!(text(&as_alice, "select count(*) from notes").await.unwrap().as_deref(), Some("1"), "{case}");

        bed.happens(change);
        // Alice's transaction began before.
        as_alice.batch_execute("begin isolation level repeatable read; select count(*) from notes").await.unwrap();
        assert_eq!(bed.follow().await, 1, "{case}");
        refused(as_alice.query("select * from notes", &[]).await, "session_not_found");
        as_alice.batch_execute("rollback").await.unwrap();
        refused(as_alice.query("select * from notes", &[]).await, "session_not_found");
        refused(refresh(&bed.admin, &alice.refresh_token).await, "refresh_token_not_found");
        is_good(&as_anna, &anna).await;
        assert_eq!(lines(&bed.admin, MEMBERS).await.unwrap(), ["org_acme anna@acme.com"], "{case}");
        let audit = "select payload ->> 'sessions' || ' ' || (payload ->> 'by') from auth.audit_log_entries where action = 'member_removed'";
        assert_eq!(lines(&bed.admin, audit).await.unwrap(), ["1 workos"], "{case}");
    }
}

#[tokio::test]
async fn who_left_cannot_come_back_by_a_sign_in_until_workos_says_so() {
    let bed = Bed::shared("back").await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    bed.happens(departs("deleted"));
    bed.follow().await;
    // The identity provider may still let her through.
    let refusal = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    assert!(refusal.detail.contains("auth.directory_users"), "{refusal}");
    // Nor under another address, and nor where the profile is new: the account is known.
    bed.admin
        .batch_execute("update auth.directory_users set idp_id = 'x', email = null where id = 'directory_user_alice'")
        .await
        .unwrap();
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);

    bed.happens(json!({ "directory_user_comes_back": { "directory": "directory_acme", "idp_id": "okta-alice" } }));
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    bed.follow().await;
    let again = bed.sign_in(ALICE).await;
    assert_eq!(again.user_id, alice.user_id);
    refresh(&bed.admin, &again.refresh_token).await.unwrap();
    assert_eq!(lines(&bed.admin, MEMBERS).await.unwrap(), ["org_acme alice@acme.com"]);
}

/// Where people are only switched off, the same directory user is switched on again.
#[tokio::test]
async fn who_was_switched_off_comes_back_when_they_are_switched_on() {
    let bed = Bed::shared("switched").await;
    bed.with_directory().await;
    bed.happens(departs("inactive"));
    bed.follow().await;
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    bed.happens(json!({ "directory_user_comes_back": { "directory": "directory_acme", "idp_id": "okta-alice" } }));
    bed.follow().await;
    bed.sign_in(ALICE).await;
}

/// A removal comes first, and what it is about afterwards: nothing is made of it.
#[tokio::test]
async fn a_removal_of_the_unknown_makes_nobody_and_is_remembered() {
    let bed = Bed::shared("unknown").await;
    bed.happens(
        json!({ "create_directory": { "id": "directory_acme", "organization": "org_acme", "name": "Acme", "users": [
        { "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" },
    ] } }),
    );
    bed.happens(departs("deleted"));
    let mut events = bed.told_after(None);
    events.reverse();
    let page = workos_end_to_end::told::page(&events);
    workos_end_to_end::told::apply(&bed.admin, &page, None).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
    assert_eq!(lines(&bed.admin, "select state from auth.directory_users").await.unwrap(), ["deleted"]);
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
}

/// One customer's directory says nothing of another customer's people, whatever ids and addresses it has.
#[tokio::test]
async fn nobody_of_another_organization_is_meant() {
    let bed = Bed::shared("another").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let role = bed.role("app", "").await;
    let (as_alice, as_bob) = (reader(&bed, &role, &alice).await, reader(&bed, &role, &bob).await);
    bed.happens(json!({ "create_directory": { "id": "directory_globex", "organization": "org_globex", "name": "Globex", "users": [
        { "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" },
        { "id": "directory_user_twin", "idp_id": "something", "email": "alice@acme.com" },
    ] } }));
    bed.happens(departs("deleted"));
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_twin", "departure": "inactive" } }));
    bed.follow().await;
    is_good(&as_alice, &alice).await;
    is_good(&as_bob, &bob).await;
    bed.sign_in(ALICE).await;
    assert_eq!(bed.count("select count(user_id) from auth.directory_users").await, 0);
}

#[tokio::test]
async fn by_the_address_where_no_id_matches_and_only_where_one_person_has_it() {
    let bed = Bed::shared("address").await;
    let alice = bed.sign_in(ALICE).await;
    for id in ["a", "b"] {
        let user = json!({ "id": format!("directory_user_{id}"), "idp_id": id, "email": "Alice@acme.com" });
        bed.happens(json!({ "create_directory": { "id": format!("directory_{id}"), "organization": "org_acme", "name": id, "users": [user] } }));
    }
    bed.follow().await;
    let known = "select string_agg(id || ' ' || (user_id is not null), ', ' order by id) from auth.directory_users";
    let all = "directory_user_a true, directory_user_b true";
    assert_eq!(text(&bed.admin, known).await.unwrap().as_deref(), Some(all));
    // She is there twice: she is out when both are.
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_a", "departure": "deleted" } }));
    bed.follow().await;
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_b", "departure": "deleted" } }));
    bed.follow().await;
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);

    // Two people with one address: neither is meant, and the audit log says so.
    let bed = Bed::shared("addresses").await;
    bed.sign_in(ALICE).await;
    bed.sign_in(ANNA).await;
    bed.admin
        .batch_execute(
            "update auth.identities set identity_data = jsonb_set(identity_data, '{email}', '\"both@acme.com\"');
             update auth.identities set idp_id = null",
        )
        .await
        .unwrap();
    bed.happens(
        json!({ "create_directory": { "id": "directory_acme", "organization": "org_acme", "name": "Acme", "users": [
        { "id": "directory_user_alice", "idp_id": "x", "email": "both@acme.com" },
    ] } }),
    );
    bed.happens(departs("deleted"));
    bed.follow().await;
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 2);
    let audit = "select count(*) from auth.audit_log_entries where action = 'directory_user_ambiguous' and payload ->> 'directory_user' = 'directory_user_alice'";
    assert_eq!(bed.count(audit).await, 2);
    assert_ne!(alice.user_id, uuid::Uuid::nil());
}

/// WorkOS tells of the directory alone. Its people have not left by that, and those who had left stay out.
#[tokio::test]
async fn nobody_leaves_with_a_directory_that_is_deleted() {
    let bed = Bed::shared("directory").await;
    bed.with_directory().await;
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    bed.happens(departs("deleted"));
    bed.follow().await;
    bed.happens(json!({ "delete_directory": { "id": "directory_acme" } }));
    bed.follow().await;
    for table in ["directories", "directory_groups", "directory_group_members"] {
        assert_eq!(bed.count(&format!("select count(*) from auth.{table}")).await, 0, "{table}");
    }
    assert_eq!(lines(&bed.admin, "select id from auth.directory_users").await.unwrap(), ["directory_user_alice"]);
    refresh(&bed.admin, &anna.refresh_token).await.unwrap();
    refused(refresh(&bed.admin, &alice.refresh_token).await, "refresh_token_not_found");
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    bed.sign_in(ANNA).await;
}

#[tokio::test]
async fn what_follows_is_as_the_setting_says() {
    let bed = Bed::shared("off").await;
    bed.admin.batch_execute(&bed.named("alter database DATABASE set workos_auth.deprovision = 'off'")).await.unwrap();
    let admin = bed.superuser().await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    bed.happens(departs("deleted"));
    let page = workos_end_to_end::told::page(&bed.told_after(bed.cursor().await.as_deref()));
    workos_end_to_end::told::apply(&admin, &page, bed.cursor().await.as_deref()).await.unwrap();
    assert_eq!(
        text(&admin, "select state from auth.directory_users where id = 'directory_user_alice'")
            .await
            .unwrap()
            .as_deref(),
        Some("deleted")
    );
    refresh(&admin, &alice.refresh_token).await.unwrap();
    exchange(&admin, &start(&admin, ALICE).await).await.unwrap();
    // A session that lived on is not renewed once the setting is another.
    admin.batch_execute("set workos_auth.deprovision = 'end_sessions'").await.unwrap();
    admin
        .batch_execute(&format!(
            "update auth.directory_users set user_id = '{}' where id = 'directory_user_alice'",
            alice.user_id
        ))
        .await
        .unwrap();
    let session = text(&bed.admin, "select count(*)::text from auth.sessions").await.unwrap();
    assert_eq!(session.as_deref(), Some("2"));
    refused(refresh(&admin, &alice.refresh_token).await, "member_removed");

    let bed = Bed::shared("ban").await;
    bed.admin.batch_execute("set workos_auth.deprovision = 'ban'").await.unwrap();
    bed.with_directory().await;
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    // Anna is somebody at another customer's too: Acme's directory does not ban her there.
    bed.admin
        .batch_execute(&format!(
            "insert into auth.organizations (id) values ('org_globex');
             insert into auth.organization_memberships (organization_id, user_id) values ('org_globex', '{}')",
            anna.user_id
        ))
        .await
        .unwrap();
    bed.happens(departs("deleted"));
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_anna", "departure": "deleted" } }));
    bed.follow().await;
    let banned = "select string_agg(email, ',') from auth.users where banned_until = 'infinity'";
    assert_eq!(text(&bed.admin, banned).await.unwrap().as_deref(), Some("alice@acme.com"));
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    for person in ["okta-alice", "okta-anna"] {
        bed.happens(json!({ "directory_user_comes_back": { "directory": "directory_acme", "idp_id": person } }));
    }
    bed.follow().await;
    bed.sign_in(ANNA).await;
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "user_banned");
    bed.admin.execute("select auth.unban_user($1)", &[&alice.user_id]).await.unwrap();
    bed.sign_in(ALICE).await;
}
