//! People and sessions that do not come through WorkOS.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use uuid::Uuid;
use workos_end_to_end::accounts::{Accounts, OKTA};
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::made::{administrator, create, session_of};
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_end_to_end::{Bed, Session, set_session};

async fn audited(bed: &Bed<'_>, action: &str) -> Vec<Value> {
    let sql = "select jsonb_build_object('user', user_id, 'session', session_id, 'organization', organization_id, 'actor', actor)
               || payload from auth.audit_log_entries where action = $1 order by created_at";
    bed.admin.query(sql, &[&action]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_user_is_made_without_workos() {
    let bed = Bed::shared("made").await;
    let admin = administrator(&bed).await;
    let given = Uuid::from_u128(7);
    let sql = "select auth.create_user('Ann@Initech.com', 'org_new', $1)";
    assert_eq!(admin.query_one(sql, &[&given]).await.unwrap().get::<_, Uuid>(0), given);
    let row = bed
        .admin
        .query_one(
            "select email, email_confirmed_at is null, invited_at = created_at, is_sso_user, role, raw_app_meta_data, last_sign_in_at is null,
                 (select string_agg(organization_id, ',') from auth.organization_memberships m where m.user_id = u.id),
                 (select count(*) from auth.identities)
             from auth.users u where id = $1",
            &[&given],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "ann@initech.com");
    assert_eq!((row.get(1), row.get(2), row.get(3), row.get(6)), (true, true, false, true));
    assert_eq!(row.get::<_, &str>(4), "authenticated");
    assert_eq!(row.get::<_, Value>(5), json!({ "provider": "custom", "providers": ["custom"] }));
    assert_eq!((row.get::<_, Option<&str>>(7), row.get::<_, i64>(8)), (Some("org_new"), 0));
    // Without an organization nobody is invited.
    let alone = create(&admin, "bea@initech.com", None).await;
    assert_eq!(bed.count("select count(*) from auth.users where invited_at is null").await, 1);
    let entries = audited(&bed, "user_signedup").await;
    assert_eq!((&entries[0]["organization"], &entries[0]["provider"]), (&json!("org_new"), &json!("custom")));
    assert_eq!(
        (&entries[1]["user"], &entries[1]["actor"]),
        (&json!(alone), &json!(bed.named("DATABASE_administrator")))
    );
}

#[tokio::test]
async fn an_address_and_an_id_are_one_users() {
    let bed = Bed::shared("taken").await;
    let admin = administrator(&bed).await;
    let alice = bed.sign_in(ALICE).await;
    let before = bed.contents().await;
    for email in ["alice@acme.com", "ALICE@acme.COM"] {
        refused(admin.query_one("select auth.create_user($1)", &[&email]).await, "email_exists");
    }
    let sql = "select auth.create_user('new@acme.com', 'org_new', $1)";
    refused(admin.query_one(sql, &[&alice.user_id]).await, "user_already_exists");
    for call in ["null", "null, 'org_acme'"] {
        refused(admin.batch_execute(&format!("select auth.create_user({call})")).await, "null_value");
    }
    for call in [
        "''",
        "'ann'",
        "'ann@'",
        "'@acme.com'",
        "'a b@acme.com'",
        "repeat('a', 400) || '@acme.com'",
        "'a@acme.com', ''",
        "'a@acme.com', 'org acme'",
    ] {
        refused(admin.batch_execute(&format!("select auth.create_user({call})")).await, "validation_failed");
    }
    assert_eq!(bed.contents().await, before);
    // Of another alphabet, and only alike.
    create(&admin, "аlice@acme.com", None).await;
    create(&admin, "jürgen@acme.com", None).await;
    create(&admin, "JÜRGEN@acme.com", None).await;
}

#[tokio::test]
async fn twenty_who_make_one_user_make_one() {
    let bed = Bed::shared("at_once").await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let sql = format!("select auth.create_user('{}@initech.com', 'org_new')", isolation.replace(' ', "_"));
        let mut tasks = Vec::new();
        for _ in 0..20 {
            let (client, sql) = (bed.superuser().await, sql.clone());
            client.batch_execute(&format!("set default_transaction_isolation = '{isolation}'")).await.unwrap();
            tasks.push(tokio::spawn(async move { client.batch_execute(&sql).await }));
        }
        let mut made = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => made += 1,
                Err(error) => {
                    let code = error.code().unwrap().code().to_owned();
                    assert!(
                        code == "WA420" || code == "40001" && isolation != "read committed",
                        "{isolation}: {error:?}"
                    );
                }
            }
        }
        assert_eq!(made, 1, "{isolation}");
    }
    assert_eq!(bed.count("select count(*) from auth.users").await, 3);
}

#[tokio::test]
async fn a_session_is_opened_without_workos() {
    let bed = Bed::shared("opened").await;
    let admin = administrator(&bed).await;
    let ann = create(&admin, "ann@initech.com", Some("org_new")).await;
    let session =
        Session::from(&session_of(&admin, ann, ", organization => 'org_new', method => 'magic_link/2'").await.unwrap());
    assert_eq!((session.user_id, session.email.as_str()), (ann, "ann@initech.com"));
    assert_eq!((session.organization_id.as_deref(), session.is_new_user), (Some("org_new"), false));
    assert_eq!(session.claims["amr"][0]["method"], "magic_link/2");
    assert_eq!((&session.claims["org_id"], session.claims.get("act")), (&json!("org_new"), None));
    assert_eq!((&session.claims["email"], session.claims.get("connection_id")), (&json!("ann@initech.com"), None));
    let reader = bed.connect(&bed.role("reader", "").await).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    let row = reader.query_one("select auth.uid(), auth.organization_id()", &[]).await.unwrap();
    assert_eq!((row.get::<_, Uuid>(0), row.get::<_, &str>(1)), (ann, "org_new"));
    let kept = "select count(*) from auth.sessions where identity_id is null and connection_id is null and refresh_token_salt is not null
        and not_after = created_at + interval '7 days' and actor is null";
    assert_eq!(bed.count(kept).await, 1);
    assert_eq!(bed.count("select count(*) from auth.users where last_sign_in_at is not null").await, 1);
    let login = &audited(&bed, "login").await[0];
    assert_eq!((&login["session"], &login["method"]), (&json!(session.session_id), &json!("magic_link/2")));
    // Of no organization, as long as asked for; expanded it is one session still.
    let short = admin
        .query_one(&format!("select (auth.create_session('{ann}', ttl => '90 s')).*"), &[])
        .await
        .map(|row| Session::from(&row))
        .unwrap();
    assert_eq!(short.organization_id, None);
    let left = short.expires_at.duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_secs(60) && left <= Duration::from_secs(90), "{left:?}");
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 2);
}

#[tokio::test]
async fn somebody_who_acts_as_another_says_why_and_cannot_refresh() {
    let bed = Bed::shared("acting").await;
    let admin = administrator(&bed).await;
    let alice = bed.sign_in(ALICE).await;
    let acting = ", 'org_acme', actor => 'support@example.com', reason => 'ticket 7: él no puede'";
    let row = session_of(&admin, alice.user_id, acting).await.unwrap();
    let claims: Value = row.get("claims");
    assert_eq!(claims["act"], json!({ "sub": "support@example.com" }));
    assert_eq!((claims["org_role"].as_str(), row.get::<_, Option<&str>>("refresh_token")), (Some("admin"), None));
    let kept = "select count(*) from auth.sessions where actor = 'support@example.com' and refresh_token_salt is null
        and refresh_token_key_id is null and not_after = created_at + interval '60 minutes'";
    assert_eq!(bed.count(kept).await, 1);
    let entry = &audited(&bed, "session_impersonated").await[0];
    // The database's user has a column of that name, which the payload's own actor covers here.
    assert_eq!((&entry["actor"], &entry["reason"]), (&json!("support@example.com"), &json!("ticket 7: él no puede")));
    let who = text(&bed.admin, "select actor from auth.audit_log_entries where action = 'session_impersonated'").await;
    assert_eq!(who.unwrap(), Some(bed.named("DATABASE_administrator")));
    // It is no sign-in of hers.
    let sql = "select count(*) from auth.users where last_sign_in_at = created_at";
    assert_eq!(bed.count(sql).await, 1);

    let before = bed.contents().await;
    for (further, name) in [
        (", actor => 'support@example.com'", "reason_required"),
        (", reason => 'why'", "validation_failed"),
        (", actor => '', reason => 'why'", "validation_failed"),
        (", actor => 'a', reason => ' '", "validation_failed"),
        (", actor => E'a\\nb', reason => 'why'", "validation_failed"),
        (", actor => repeat('a', 1000000), reason => 'why'", "validation_failed"),
        (", actor => 'a', reason => 'why', ttl => '61 minutes'", "validation_failed"),
    ] {
        refused(session_of(&admin, alice.user_id, further).await, name);
    }
    assert_eq!(bed.contents().await, before);
    bed.set("workos_auth.session_ttl", "10min").await;
    let admin = bed.superuser().await;
    let capped = session_of(&admin, alice.user_id, ", actor => 'a', reason => 'why'").await.unwrap();
    let end: SystemTime = capped.get("expires_at");
    assert!(end.duration_since(SystemTime::now()).unwrap() <= Duration::from_secs(600));
    refused(
        session_of(&admin, alice.user_id, ", actor => 'a', reason => 'why', ttl => '11 min'").await,
        "validation_failed",
    );
}

#[tokio::test]
async fn a_session_is_opened_for_nobody_who_may_not_have_one() {
    let bed = Bed::shared("not_opened").await;
    let alice = bed.sign_in(ALICE).await.user_id;
    let before = bed.contents().await;
    refused(session_of(&bed.admin, Uuid::from_u128(7), "").await, "user_not_found");
    for further in [", null::text, null", ", method => null"] {
        refused(session_of(&bed.admin, alice, further).await, "null_value");
    }
    refused(bed.admin.query("select auth.create_session(null)", &[]).await, "null_value");
    for organization in ["org_globex", "org_nobodys", "", "ORG_ACME"] {
        refused(session_of(&bed.admin, alice, &format!(", '{organization}'")).await, "not_a_member");
    }
    for ttl in ["0", "999 ms", "-1 hour", "8 days", "1 month", "178000000 years", "-178000000 years", "1 day -1 month"]
    {
        let result = session_of(&bed.admin, alice, &format!(", ttl => '{ttl}'")).await;
        refused(result, "validation_failed");
    }
    for method in ["", "Custom", "a b", "é", &"x".repeat(51)] {
        refused(session_of(&bed.admin, alice, &format!(", method => '{method}'")).await, "validation_failed");
    }
    assert_eq!(bed.contents().await, before);
    bed.admin.batch_execute("update auth.users set banned_until = now() + interval '1 hour'").await.unwrap();
    refused(session_of(&bed.admin, alice, "").await, "user_banned");
    bed.admin.batch_execute("update auth.users set banned_until = null, deleted_at = now()").await.unwrap();
    refused(session_of(&bed.admin, alice, "").await, "user_deleted");
    bed.admin.batch_execute("update auth.users set deleted_at = null, role = 'postgres'").await.unwrap();
    refused(session_of(&bed.admin, alice, "").await, "role_not_allowed");
}

#[tokio::test]
async fn a_ban_that_comes_first_is_seen() {
    let bed = Bed::shared("ban_first").await;
    let alice = bed.sign_in(ALICE).await.user_id;
    for (isolation, sqlstate) in [("read committed", "WA402"), ("repeatable read", "40001"), ("serializable", "40001")]
    {
        bed.admin.batch_execute("update auth.users set banned_until = null").await.unwrap();
        let (opener, mut banner) = (bed.superuser().await, bed.superuser().await);
        opener.batch_execute(&format!("begin isolation level {isolation}; select 1 from auth.users")).await.unwrap();
        let ban = banner.transaction().await.unwrap();
        ban.batch_execute("update auth.users set banned_until = 'infinity'").await.unwrap();
        let opening = tokio::spawn(async move { session_of(&opener, alice, "").await.map(drop) });
        bed.until_waiting(1).await;
        ban.commit().await.unwrap();
        refused_as(opening.await.unwrap(), sqlstate);
    }
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
}

#[tokio::test]
async fn who_is_no_administrator_makes_nobody() {
    let bed = Bed::shared("no_admin").await;
    let (ordinary, backend) = (bed.connect(&bed.role("ordinary", "").await).await, bed.backend().await);
    let calls = ["create_user('a@acme.com')", "create_session(gen_random_uuid())", "as_user(gen_random_uuid())"];
    for client in [&ordinary, &backend] {
        for call in calls {
            refused_as(client.batch_execute(&format!("select auth.{call}")).await, "42501");
        }
    }
    for call in ["create_user(null)", "create_session(null)", "as_user(null)"] {
        let sql = format!("begin read only; select auth.{call}");
        refused(bed.admin.batch_execute(&sql).await, "read_only");
        bed.admin.batch_execute("rollback").await.unwrap();
    }
    // Rolled back, nothing happened.
    let before = bed.contents().await;
    let sql = "begin; select auth.create_session(auth.create_user('a@acme.com', 'org_new')); rollback";
    bed.admin.batch_execute(sql).await.unwrap();
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn a_user_who_was_made_signs_in_through_the_organization_they_were_made_for() {
    let at = Accounts::new("invited", &[("allow_signup", "off")]).await;
    let ann = create(&at.bed.admin, "ann@initech.com", Some("org_initech")).await;
    let bea = create(&at.bed.admin, "bea@initech.com", None).await;
    create(&at.bed.admin, "carl@initech.com", Some("org_acme")).await;
    // Without an invitation, or with another organization's, nobody is let in.
    at.is_refused("prof_2", OKTA, "bea@initech.com", "bea", "signup_disabled").await;
    at.is_refused("prof_3", OKTA, "carl@initech.com", "carl", "signup_disabled").await;
    at.is_refused("prof_4", "conn_google", "ann@initech.com", "ann", "signup_disabled").await;
    at.is_refused("prof_5", OKTA, "ann@initech.com.evil", "ann", "signup_disabled").await;

    let session = at.signs_in("prof_1", OKTA, "Ann@INITECH.com", "ann").await;
    assert_eq!((session.user_id, session.is_new_user), (ann, false));
    assert_eq!(session.claims["email"], "ann@initech.com");
    assert_eq!(session.claims["app_metadata"], json!({ "provider": "custom", "providers": ["custom", "workos"] }));
    let confirmed = "select count(*) from auth.users where email_confirmed_at is not null";
    assert_eq!(at.bed.count(confirmed).await, 1);
    assert_eq!(at.bed.count("select count(*) from auth.audit_log_entries where action = 'identity_linked'").await, 1);
    assert_eq!(at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await.user_id, ann);
    // Accepted once: when an administrator takes the identity away, the next one who has the address is not her.
    at.admin("delete from auth.identities").await;
    at.is_refused("prof_6", OKTA, "ann@initech.com", "another", "signup_disabled").await;
    assert_eq!(at.email(bea).await.as_deref(), Some("bea@initech.com"));
}

#[tokio::test]
async fn an_invitation_is_not_for_the_banned_the_deleted_and_where_nothing_joins() {
    let at = Accounts::new("uninvited", &[]).await;
    let ann = create(&at.bed.admin, "ann@initech.com", Some("org_initech")).await;
    at.admin("update auth.users set banned_until = 'infinity'").await;
    at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "user_banned").await;
    at.admin("update auth.users set banned_until = null, deleted_at = now()").await;
    at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "user_deleted").await;
    at.admin("update auth.users set deleted_at = null").await;
    let sql = "insert into auth.organizations values ('org_acme');
               insert into auth.organization_memberships (organization_id, user_id) select 'org_acme', id from auth.users";
    at.admin(sql).await;
    at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "multiple_accounts").await;
    at.admin("delete from auth.organization_memberships where organization_id = 'org_acme'").await;
    at.bed.set("workos_auth.account_linking", "none").await;
    let at = Accounts { app: at.bed.backend().await, ..at };
    let other = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    assert!(other.is_new_user && other.user_id != ann);
}
