//! Identities that people unlink from their own account.

use std::collections::HashSet;

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::links::{Person, identity, profiles};
use workos_end_to_end::sql::{lines, refusal, refused, refused_as, text};
use workos_end_to_end::{exchange, set_session, start_with};

/// Gives a user, by the superuser's hand, an identity of no organization.
async fn plant(at: &Accounts, user: Uuid, profile: &str, email: &str) {
    let sql = "insert into auth.identities (user_id, provider, provider_id, connection_id, identity_data)
               values ($1, 'workos', $2, 'conn_planted', jsonb_build_object('email', $3::text))";
    at.bed.admin.execute(sql, &[&user, &profile, &email]).await.unwrap();
}

#[tokio::test]
async fn an_identity_is_unlinked_and_its_sessions_end() {
    let at = Accounts::new("unlinked", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let google = ann.links("prof_2", GOOGLE, "a.lee@initech.com").await;
    let id = identity(&at, "prof_2").await;
    // Rolled back, nothing happened.
    let before = at.bed.contents().await;
    let unlink = ann.call("unlink_identity", &format!("'{id}'"));
    ann.client.batch_execute(&format!("begin; {unlink}; rollback")).await.unwrap();
    assert_eq!(at.bed.contents().await, before);
    ann.unlinks(id).await.unwrap();
    assert!(!at.lives(&google).await && at.lives(&ann.session).await);
    assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1"]);
    // Another identity leads to the organization still.
    assert_eq!(at.bed.count("select count(*) from auth.organization_memberships").await, 1);
    let sql = "select count(*) from auth.audit_log_entries where action = 'identity_unlinked' and user_id = (select id from auth.users)
               and payload @> '{\"provider_id\": \"prof_2\", \"sessions\": 1}' and session_id is not null and connection_id = 'conn_initech_google'";
    assert_eq!(at.bed.count(sql).await, 1);
    refused(ann.unlinks(id).await, "identity_not_found");
    refused(ann.unlinks(identity(&at, "prof_1").await).await, "single_identity_not_deletable");
    // The profile is a stranger's from now on.
    let stranger = at.signs_in("prof_2", GOOGLE, "a.lee@initech.com", "prof_2").await;
    assert!(stranger.is_new_user && stranger.user_id != ann.session.user_id);
    refused(ann.unlinks(identity(&at, "prof_2").await).await, "identity_not_found");
}

#[tokio::test]
async fn the_session_that_asks_goes_on_where_another_identity_leads_to_its_organization() {
    let at = Accounts::new("own_stays", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    // What Supabase's clients do: the session that the link is answered with is the one that they keep.
    let linked = Person::new(&at, ann.links("prof_2", GOOGLE, "a.lee@initech.com").await).await;
    let other = at.signs_in("prof_2", GOOGLE, "a.lee@initech.com", "prof_2").await;
    linked.unlinks(identity(&at, "prof_2").await).await.unwrap();
    assert!(at.lives(&linked.session).await && at.lives(&ann.session).await && !at.lives(&other).await);
    assert_eq!(text(&linked.client, "select auth.organization_id()").await.unwrap().as_deref(), Some("org_initech"));
    // It ends with the identity that it is of now.
    let sql = "select count(*) from auth.sessions as s join auth.identities as i on i.id = s.identity_id where i.provider_id = 'prof_1'";
    assert_eq!(at.bed.count(sql).await, 2);
    ann.links("prof_3", GOOGLE, "ann.lee@initech.com").await;
    ann.unlinks(identity(&at, "prof_1").await).await.unwrap();
    assert!(at.lives(&ann.session).await && !at.lives(&linked.session).await);
}

#[tokio::test]
async fn unlinking_the_identity_of_ones_session_ends_it_where_none_leads_to_its_organization() {
    let at = Accounts::new("own_session", &[("link_across_organizations", "on")]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    ann.links("prof_2", "conn_globex", "ann@globex.com").await;
    let id = identity(&at, "prof_1").await;
    let mut client = at.bed.connect(&format!("{}_people", at.bed.database)).await;
    let transaction = client.transaction().await.unwrap();
    set_session(&transaction, &ann.session.access_token, true).await.unwrap();
    transaction.execute("select auth.unlink_identity($1, $2)", &[&ann.session.access_token, &id]).await.unwrap();
    refused(transaction.query_one("select auth.uid()", &[]).await, "session_not_found");
    drop(transaction);
    assert!(at.lives(&ann.session).await, "the transaction was rolled back");
    ann.unlinks(id).await.unwrap();
    refused(ann.client.batch_execute("select auth.uid()").await, "session_not_found");
}

#[tokio::test]
async fn an_organization_is_left_with_its_last_identity() {
    let at = Accounts::new("left_one", &[("link_across_organizations", "on")]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let globex = ann.links("prof_2", "conn_globex", "ann@globex.com").await;
    // A session there that no identity opened.
    let sql = "select session_id from auth.create_session($1, 'org_globex')";
    let custom: Uuid = at.bed.admin.query_one(sql, &[&ann.session.user_id]).await.unwrap().get(0);
    ann.unlinks(identity(&at, "prof_2").await).await.unwrap();
    let left = lines(&at.bed.admin, "select organization_id from auth.organization_memberships").await.unwrap();
    assert_eq!(left, ["org_initech"]);
    let sessions: HashSet<String> =
        lines(&at.bed.admin, "select id from auth.sessions").await.unwrap().into_iter().collect();
    assert!(!sessions.contains(&custom.to_string()) && !at.lives(&globex).await && at.lives(&ann.session).await);
    assert_eq!(text(&ann.client, "select auth.organization_id()").await.unwrap().as_deref(), Some("org_initech"));
    let sql = format!("select auth.create_session('{}', 'org_globex')", ann.session.user_id);
    refused(at.bed.admin.batch_execute(&sql).await, "not_a_member");
}

#[tokio::test]
async fn an_address_goes_with_the_identity_that_said_it() {
    let at = Accounts::new("goes", &[("link_across_organizations", "on")]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let user = ann.session.user_id;
    let globex = Person::new(&at, ann.links("prof_2", "conn_globex", "ann@globex.com").await).await;
    globex.unlinks(identity(&at, "prof_1").await).await.unwrap();
    // That of the other identity comes when it signs in, and not before.
    assert_eq!(at.email(user).await, None);
    // A token that says the old address might soon say another person's.
    refused(globex.client.batch_execute("select auth.email()").await, "session_stale");
    let again = at.signs_in("prof_2", "conn_globex", "ann@globex.com", "prof_2").await;
    assert_eq!((again.user_id, &again.claims["email"]), (user, &json!("ann@globex.com")));
    assert_eq!(at.email(user).await.as_deref(), Some("ann@globex.com"));
    // The address that was given up is free for who comes next.
    let next = at.signs_in("prof_4", OKTA, "ann@initech.com", "prof_4").await;
    assert!(next.is_new_user);
    assert_eq!(next.claims["email"], "ann@initech.com");

    // What somebody else holds is not taken at a sign-in either.
    at.signs_in("prof_h", "conn_acme", "ann@shared.example", "h").await;
    plant(&at, user, "prof_3", "Ann@Shared.example").await;
    let globex = Person::new(&at, again).await;
    globex.unlinks(identity(&at, "prof_2").await).await.unwrap();
    assert_eq!(at.email(user).await, None);
}

#[tokio::test]
async fn an_unlinking_that_stays_open_holds_up_no_sign_in_of_the_address_elsewhere() {
    let at = Accounts::new("open", &[("link_across_organizations", "on")]).await;
    // Ann's own identity provider says what her addresses are.
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    ann.links("prof_2", "conn_globex", "ceo@acme.com").await;
    ann.client.batch_execute("begin").await.unwrap();
    ann.unlinks(identity(&at, "prof_2").await).await.unwrap();
    at.app.batch_execute("set lock_timeout = '2s'").await.unwrap();
    for (profile, email) in [("prof_c", "ceo@acme.com"), ("prof_d", "ann@initech.com")] {
        let session = at.signs_in(profile, "conn_acme", email, profile).await;
        assert!(session.is_new_user && session.user_id != ann.session.user_id, "{email}");
    }
    ann.client.batch_execute("commit").await.unwrap();
    assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1"]);
}

#[tokio::test]
async fn two_unlinkings_at_once_leave_one_identity() {
    let at = Accounts::new("two_unlink", &[]).await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        for _ in 0..5 {
            let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
            let user = ann.session.user_id;
            plant(&at, user, "prof_2", "ann@elsewhere.example").await;
            // An address of neither, so that no token grows stale in between.
            at.admin("update auth.users set email = 'ann@home.example'").await;
            let sql = "select access_token from auth.create_session($1)";
            let mut ready = Vec::new();
            for profile in ["prof_1", "prof_2"] {
                let token: String = at.bed.admin.query_one(sql, &[&user]).await.unwrap().get(0);
                let client = at.bed.connect(&format!("{}_people", at.bed.database)).await;
                set_session(&client, &token, false).await.unwrap();
                client.batch_execute(&format!("begin isolation level {isolation}; select auth.uid()")).await.unwrap();
                ready.push((client, token, identity(&at, profile).await));
            }
            let unlink = async |(client, token, id): (Client, String, Uuid)| {
                client.batch_execute(&format!("select auth.unlink_identity('{token}', '{id}'); commit")).await
            };
            let (second, first) = (ready.pop().unwrap(), ready.pop().unwrap());
            for result in <[_; 2]>::from(tokio::join!(unlink(first), unlink(second))) {
                if let Err(error) = result {
                    let refusal = refusal(Err::<(), _>(error));
                    assert!(["WA427", "40001"].contains(&&*refusal.sqlstate), "{isolation}: {refusal}");
                }
            }
            assert_eq!(profiles(&at, user).await.len(), 1, "{isolation}");
            at.admin("delete from auth.users").await;
        }
    }
}

#[tokio::test]
async fn a_sign_in_does_not_bring_an_unlinked_identity_back() {
    let at = Accounts::new("not_back", &[]).await;
    for _ in 0..10 {
        let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
        let user = ann.session.user_id;
        ann.links("prof_2", GOOGLE, "a.lee@initech.com").await;
        let pending = start_with(&at.app, &format!("connection => '{GOOGLE}'"), "a.lee@initech.com").await;
        let id = identity(&at, "prof_2").await;
        let (signed_in, unlinked) = tokio::join!(exchange(&at.app, &pending), ann.unlinks(id));
        unlinked.unwrap();
        signed_in.unwrap();
        // Either she had signed in before, or whoever came is somebody new.
        assert_eq!(profiles(&at, user).await, ["prof_1"]);
        at.admin("delete from auth.users").await;
    }
}

#[tokio::test]
async fn nobody_unlinks_what_is_not_theirs() {
    let at = Accounts::new("not_theirs", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    ann.links("prof_2", GOOGLE, "a.lee@initech.com").await;
    let eve = Person::of_okta(&at, "prof_e", "eve@initech.com").await;
    let before = at.bed.contents().await;
    for profile in ["prof_1", "prof_2"] {
        refused(eve.unlinks(identity(&at, profile).await).await, "identity_not_found");
    }
    assert_eq!(at.bed.contents().await, before);
    refused_as(eve.client.batch_execute("delete from auth.identities").await, "42501");
}
