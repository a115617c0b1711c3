//! Identities that people link to their own account.

use serde_json::json;
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::case;
use workos_end_to_end::links::{Person, identity, profiles};
use workos_end_to_end::sql::{refusal, refused, text};
use workos_end_to_end::{Session, exchange};
use workos_simulator::{Fault, FaultKind};

#[tokio::test]
async fn an_identity_is_linked_to_the_account_that_asked_for_it() {
    let at = Accounts::new("linked", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let session = ann.links("prof_2", GOOGLE, "a.lee@initech.com").await;
    assert_eq!((session.user_id, session.is_new_user), (ann.session.user_id, false));
    assert_ne!(session.session_id, ann.session.session_id);
    assert_eq!((session.email.as_str(), &session.claims["email"]), ("a.lee@initech.com", &json!("ann@initech.com")));
    assert_eq!(session.claims["connection_id"], GOOGLE);
    assert!(at.lives(&ann.session).await && at.lives(&session).await);
    assert_eq!(profiles(&at, session.user_id).await, ["prof_1", "prof_2"]);
    // From now on both lead into it.
    assert_eq!(at.signs_in("prof_2", GOOGLE, "a.lee@initech.com", "prof_2").await.user_id, session.user_id);
    assert_eq!(at.users().await, 1);
    let sql = "select count(*) from auth.audit_log_entries where action = 'identity_linked' and payload->>'provider_id' = 'prof_2'
               and user_id = (select id from auth.users)";
    assert_eq!(at.bed.count(sql).await, 1);
    assert_eq!(at.bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn linking_does_not_rewrite_what_the_person_says_of_themselves() {
    let at = Accounts::new("metadata", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let of_user = "select raw_user_meta_data::text from auth.users";
    let before = text(&at.bed.admin, of_user).await.unwrap();
    ann.links("prof_2", GOOGLE, "a.lee@initech.com").await;
    assert_eq!(text(&at.bed.admin, of_user).await.unwrap(), before);
}

#[tokio::test]
async fn only_who_has_the_token_links_and_unlinks() {
    let at = Accounts::new("signed_in", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    // Ann's connection, on which her session is the current one, is not enough.
    for (function, further) in [("link_identity", "'org_initech'"), ("unlink_identity", "gen_random_uuid()")] {
        for (token, name) in [("null", "null_value"), ("'a.b.c'", "bad_jwt"), ("''", "bad_jwt")] {
            for client in [&at.app, &ann.client] {
                let refusal =
                    refused(client.batch_execute(&format!("select auth.{function}({token}, {further})")).await, name);
                assert!(name != "null_value" || refusal.detail.contains("access_token"), "{function}: {refusal}");
            }
        }
        let sql = format!("begin read only; {}", ann.call(function, further));
        refused(ann.client.batch_execute(&sql).await, "read_only");
        ann.client.batch_execute("rollback").await.unwrap();
    }
    for (function, further, name) in [
        ("link_identity", "", "selector_missing"),
        ("link_identity", "'org_a', provider => 'GoogleOAuth'", "selector_conflict"),
        ("link_identity", "'org_a', redirect_to => 'https://evil.example/'", "redirect_to_not_allowed"),
        ("unlink_identity", "null", "null_value"),
        ("unlink_identity", "gen_random_uuid()", "identity_not_found"),
    ] {
        refused(at.app.batch_execute(&ann.call(function, further)).await, name);
    }
    at.app.batch_execute(&ann.call("sign_out", "")).await.unwrap();
    refused(at.app.batch_execute(&ann.call("link_identity", "'org_initech'")).await, "session_not_found");
    assert_eq!(at.bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn an_expanded_link_is_one_link() {
    let at = Accounts::new("expanded_link", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let sql = "select (auth.link_identity($1, 'org_initech')).*";
    let row = ann.client.query_one(sql, &[&ann.session.access_token]).await.unwrap();
    let (url, state): (&str, &str) = (row.get("url"), row.get("state"));
    assert!(url.contains(state));
    let sql = format!(
        "select count(*) from auth.flow_states where code_challenge is not null and link_user_id = '{}' and link_session_id = '{}'",
        ann.session.user_id, ann.session.session_id
    );
    assert_eq!(at.bed.count(&sql).await, 1);
    // With its person it goes.
    at.admin("delete from auth.users").await;
    assert_eq!(at.bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn a_link_that_somebody_elses_browser_completes_writes_nothing() {
    let at = Accounts::new("elses_browser", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let eve = Person::of_okta(&at, "prof_e", "eve@initech.com").await;
    // Ann opens the URL of Eve's link, and her browser comes back with a code and Eve's state; the verifier is Eve's.
    let pending = eve.starts("prof_2", GOOGLE, "ann2@initech.com").await;
    at.admin(&format!("select auth.grant_sign_in('{}_people')", at.bed.database)).await;
    let before = at.people().await;
    let sql = "select * from auth.exchange_code($1, $2, $3)";
    let verifier = "a".repeat(43);
    let without = at.app.query_one(sql, &[&pending.code, &None::<&str>, &pending.state]).await;
    refused(without, "code_verifier_required");
    refused(at.app.query_one(sql, &[&pending.code, &verifier, &pending.state]).await, "bad_code_verifier");
    // Nor with both, where she is signed in: this is not her account.
    let refusal = refused(exchange(&ann.client, &pending).await, "link_session_not_found");
    assert!(refusal.detail.contains("another person"), "{refusal}");
    assert_eq!(at.people().await, before);
    assert_eq!(at.bed.token_requests().len(), 2, "WorkOS was asked for what could not be finished");
    // Eve's own session does no harm.
    assert_eq!(exchange(&eve.client, &pending).await.unwrap().user_id, eve.session.user_id);
}

#[tokio::test]
async fn a_link_ends_with_the_session_that_started_it() {
    let at = Accounts::new("session_ended", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    for end in ["delete from auth.sessions where id = $1", "update auth.sessions set not_after = now() where id = $1"] {
        case!(end);
        let session = at.signs_in("prof_1", OKTA, "ann@initech.com", "prof_1").await;
        let other = Person::new(&at, session).await;
        let pending = other.starts("prof_2", GOOGLE, "a.lee@initech.com").await;
        at.bed.admin.execute(end, &[&other.session.session_id]).await.unwrap();
        let before = at.people().await;
        let refusal = refused(exchange(&at.app, &pending).await, "link_session_not_found");
        assert!(refusal.detail.contains("has ended"), "{refusal}");
        assert_eq!(at.people().await, before);
    }
    // Bans and deletions are the person's, however long their session was to last.
    for (change, name) in
        [("banned_until = 'infinity'", "user_banned"), ("banned_until = null, deleted_at = now()", "user_deleted")]
    {
        let pending = ann.starts("prof_2", GOOGLE, "a.lee@initech.com").await;
        at.admin(&format!("update auth.users set {change}")).await;
        refused(exchange(&at.app, &pending).await, name);
    }
}

#[tokio::test]
async fn a_session_that_ends_while_workos_answers_links_nothing() {
    let at = Accounts::new("ends_meanwhile", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let session = at.signs_in("prof_1", OKTA, "ann@initech.com", "prof_1").await;
        let other = Person::new(&at, session).await;
        let pending = other.starts("prof_2", GOOGLE, "a.lee@initech.com").await;
        let app = at.bed.backend().await;
        app.batch_execute(&format!("begin isolation level {isolation}; select 1")).await.unwrap();
        if isolation != "read committed" {
            // The snapshot is taken here.
            app.batch_execute("select count(*) from auth.error_codes").await.unwrap();
        }
        at.bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 400 })).unwrap();
        let asked = at.bed.token_requests().len();
        let exchanging = tokio::spawn(async move { exchange(&app, &pending).await });
        for _ in 0..500 {
            if at.bed.token_requests().len() > asked {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        at.bed.admin.execute("delete from auth.sessions where id = $1", &[&other.session.session_id]).await.unwrap();
        let refusal = refusal(exchanging.await.unwrap());
        assert!(
            refusal.sqlstate == "WA429" || isolation != "read committed" && refusal.sqlstate == "40001",
            "{refusal}"
        );
        assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1"], "{isolation}");
    }
}

#[tokio::test]
async fn an_identity_is_one_accounts() {
    let at = Accounts::new("one_accounts", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let bea = Person::of_okta(&at, "prof_b", "bea@initech.com").await;
    let refusal = ann.links_not("prof_1", OKTA, "ann@initech.com", "identity_already_exists").await;
    assert!(refusal.detail.contains("this user"), "{refusal}");
    let refusal = ann.links_not("prof_b", OKTA, "bea@initech.com", "identity_already_exists").await;
    assert!(refusal.detail.contains("another user"), "{refusal}");
    assert_eq!(profiles(&at, bea.session.user_id).await, ["prof_b"]);
    // Not even of somebody who is banned, under another profile.
    at.admin("update auth.users set banned_until = 'infinity' where email = 'bea@initech.com'").await;
    ann.links_not("prof_b2", GOOGLE, "bea@initech.com", "user_banned").await;
}

#[tokio::test]
async fn two_who_link_one_profile_at_once_are_one_who_does() {
    let at = Accounts::new("two_link", &[]).await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
        let bea = Person::of_okta(&at, "prof_2", "bea@initech.com").await;
        let both = [
            ann.starts("prof_3", GOOGLE, "shared@initech.com").await,
            bea.starts("prof_3", GOOGLE, "shared@initech.com").await,
        ];
        let mut tasks = Vec::new();
        for pending in both {
            let app = at.bed.backend().await;
            app.batch_execute(&format!("set default_transaction_isolation = '{isolation}'")).await.unwrap();
            tasks.push(tokio::spawn(async move { exchange(&app, &pending).await }));
        }
        let mut linked = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => linked += 1,
                Err(error) => {
                    let refusal = refusal(Err::<(), _>(error));
                    assert!(["WA425", "40001"].contains(&&*refusal.sqlstate), "{isolation}: {refusal}");
                }
            }
        }
        assert_eq!(linked, 1, "{isolation}");
        at.admin("delete from auth.identities where provider_id = 'prof_3'").await;
    }
}

#[tokio::test]
async fn another_organization_is_linked_by_a_setting_alone() {
    let at = Accounts::new("across", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    ann.links_not("prof_2", "conn_globex", "ann@globex.com", "cross_organization_link_disabled").await;
    ann.links_not("prof_3", "conn_google", "ann@gmail.com", "cross_organization_link_disabled").await;
    at.bed.set("workos_auth.link_across_organizations", "on").await;
    let at = Accounts { app: at.bed.backend().await, ..at };
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let globex = ann.links("prof_2", "conn_globex", "ann@globex.com").await;
    assert_eq!((globex.user_id, globex.organization_id.as_deref()), (ann.session.user_id, Some("org_globex")));
    let google = ann.links("prof_3", "conn_google", "ann@gmail.com").await;
    assert_eq!((google.user_id, google.organization_id), (ann.session.user_id, None));
    // What each may see is still a matter of where they came in.
    assert_eq!(
        (&globex.claims["org_id"], &ann.session.claims["org_id"]),
        (&json!("org_globex"), &json!("org_initech"))
    );
    assert_eq!(google.claims.get("org_id"), None);
    // Once linked, the setting is not asked again.
    at.admin(&at.bed.named("alter database DATABASE reset workos_auth.link_across_organizations")).await;
    let at = Accounts { app: at.bed.backend().await, ..at };
    assert_eq!(at.signs_in("prof_2", "conn_globex", "ann@globex.com", "prof_2").await.user_id, globex.user_id);
}

#[tokio::test]
async fn an_address_comes_with_a_link_only_where_there_was_none() {
    let at = Accounts::new("address", &[("link_across_organizations", "on")]).await;
    let holder = at.signs_in("prof_h", "conn_acme", "ann@shared.example", "h").await;
    let ann = Person::of_okta(&at, "prof_1", "ann@shared.example").await;
    assert_eq!(at.email(ann.session.user_id).await, None);
    // Held by the other customer's person still.
    ann.links("prof_2", GOOGLE, "ann@shared.example").await;
    assert_eq!(at.email(ann.session.user_id).await, None);
    let free = ann.links("prof_3", "conn_google", "ann@gmail.com").await;
    assert_eq!(free.claims["email"], "ann@gmail.com");
    assert_eq!(at.email(holder.user_id).await.as_deref(), Some("ann@shared.example"));
    // Her older tokens said none.
    refused(ann.client.batch_execute("select auth.uid()").await, "session_stale");
}

#[tokio::test]
async fn who_acts_as_somebody_leaves_the_ways_into_their_account_alone() {
    let at = Accounts::new("acting_links", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    ann.links("prof_2", GOOGLE, "a.lee@initech.com").await;
    let sql = format!(
        "select access_token from auth.create_session('{}', actor => 'eve', reason => 'ticket')",
        ann.session.user_id
    );
    let token: String = at.bed.admin.query_one(&sql, &[]).await.unwrap().get(0);
    let eve = Person::new(&at, Session { access_token: token, ..ann.session.clone() }).await;
    let before = at.bed.contents().await;
    // Also where Ann's own session is the current one.
    for client in [&eve.client, &ann.client, &at.app] {
        refused(client.batch_execute(&eve.call("link_identity", "'org_initech'")).await, "insufficient_privilege");
        let id = identity(&at, "prof_2").await;
        refused(client.batch_execute(&eve.call("unlink_identity", &format!("'{id}'"))).await, "insufficient_privilege");
    }
    assert_eq!(at.bed.contents().await, before);
}
