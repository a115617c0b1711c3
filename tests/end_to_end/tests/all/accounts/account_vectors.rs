//! What people know of Supabase's rules for linking accounts, in each form of `workos_auth.account_linking`, and people whose names
//! and addresses change.

use serde_json::json;
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::case;
use workos_end_to_end::made::create;
use workos_end_to_end::sql::{refused, text};
use workos_end_to_end::{profile, set_session};

const FORMS: [&str; 3] = ["organization", "email", "none"];

/// A database where initech vouches for its own domain.
async fn form(database: &str, linking: &str) -> Accounts {
    let at = Accounts::new(&format!("{database}_{linking}"), &[("account_linking", linking)]).await;
    at.admin(
        "insert into auth.organizations (id) values ('org_initech');
         insert into auth.organization_domains (organization_id, domain) values ('org_initech', 'initech.com')",
    )
    .await;
    at
}

#[tokio::test]
async fn a_known_profile_is_its_account_whatever_its_address_has_become() {
    for linking in FORMS {
        let at = form("known", linking).await;
        let ann = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
        let bea = at.signs_in("prof_2", OKTA, "bea@initech.com", "bea").await;
        let again = at.signs_in("prof_1", OKTA, "BEA@initech.com", "ann").await;
        assert_eq!((again.user_id, again.is_new_user), (ann.user_id, false), "{linking}");
        assert_eq!(at.email(bea.user_id).await.as_deref(), Some("bea@initech.com"), "{linking}");
    }
}

#[tokio::test]
async fn letter_case_does_not_make_another_address() {
    for (linking, joins) in [("organization", true), ("email", true), ("none", false)] {
        let at = form("case", linking).await;
        let okta = at.signs_in("prof_1", OKTA, "Ann@Initech.COM", "ann").await;
        let google = at.signs_in("prof_2", GOOGLE, "aNN@iNITECH.com", "g").await;
        assert_eq!(google.user_id == okta.user_id, joins, "{linking}");
        assert_eq!(at.email(okta.user_id).await.as_deref(), Some("ann@initech.com"), "{linking}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_not_given_twice() {
    for linking in FORMS {
        let at = form("given", linking).await;
        let made = create(&at.bed.admin, "ann@elsewhere.example", None).await;
        let ann = at.signs_in("prof_1", OKTA, "ann@elsewhere.example", "ann").await;
        assert!(ann.is_new_user && ann.user_id != made, "{linking}");
        assert_eq!((at.email(ann.user_id).await, &ann.claims["email"]), (None, &json!("")), "{linking}");
        let sql = "select email from auth.identities where provider_id = 'prof_1'";
        assert_eq!(text(&at.bed.admin, sql).await.unwrap().as_deref(), Some("ann@elsewhere.example"), "{linking}");
    }
}

#[tokio::test]
async fn each_organization_is_a_domain_of_its_own() {
    for linking in FORMS {
        let at = form("isolated", linking).await;
        let acme = at.signs_in("prof_1", "conn_acme", "ann@initech.com", "ann").await;
        let member = create(&at.bed.admin, "bea@initech.com", Some("org_globex")).await;
        for (id, email, other) in [("prof_2", "ann@initech.com", acme.user_id), ("prof_3", "bea@initech.com", member)] {
            let initech = at.signs_in(id, OKTA, email, id).await;
            assert!(initech.is_new_user && initech.user_id != other, "{linking}: {email}");
        }
        assert!(at.lives(&acme).await, "{linking}");
    }
}

#[tokio::test]
async fn two_whom_an_address_could_mean_are_nobody() {
    let at = form("two", "email").await;
    // One by users.email, one by an identity's: Supabase answers 500.
    create(&at.bed.admin, "ann@initech.com", None).await;
    at.signs_in("prof_1", "conn_google", "ann@initech.com", "1").await;
    let refusal = at.is_refused("prof_2", OKTA, "ann@initech.com", "ann", "multiple_accounts").await;
    assert!(refusal.detail.contains('2'), "{refusal}");
    // In the other forms neither is asked.
    for linking in ["organization", "none"] {
        case!(linking);
        let at = form("two", linking).await;
        create(&at.bed.admin, "ann@initech.com", None).await;
        at.signs_in("prof_1", "conn_google", "ann@initech.com", "1").await;
        assert!(at.signs_in("prof_2", OKTA, "ann@initech.com", "ann").await.is_new_user, "{linking}");
        assert_eq!(at.users().await, 3);
    }
}

#[tokio::test]
async fn without_sign_up_each_form_lets_in_whom_it_joins() {
    for (linking, made_joins, invited_joins) in
        [("organization", false, true), ("email", true, true), ("none", false, false)]
    {
        let at = form("no_signup", linking).await;
        at.bed.set("workos_auth.allow_signup", "off").await;
        let made = create(&at.bed.admin, "ann@initech.com", None).await;
        let invited = create(&at.bed.admin, "bea@initech.com", Some("org_initech")).await;
        let at = Accounts { app: at.bed.backend().await, ..at };
        for (id, email, user, joins) in
            [("prof_1", "ann@initech.com", made, made_joins), ("prof_2", "bea@initech.com", invited, invited_joins)]
        {
            if joins {
                assert_eq!(at.signs_in(id, OKTA, email, id).await.user_id, user, "{linking}: {email}");
            } else {
                at.is_refused(id, OKTA, email, id, "signup_disabled").await;
            }
        }
    }
}

#[tokio::test]
async fn ten_who_were_invited_once_join_one_account() {
    let at = Accounts::new("ten_join", &[]).await;
    let ann = create(&at.bed.admin, "ann@initech.com", Some("org_initech")).await;
    let mut pending = Vec::new();
    for _ in 0..10 {
        at.put("prof_1", OKTA, "ann@initech.com", "ann");
        pending
            .push(workos_end_to_end::start_with(&at.app, &format!("connection => '{OKTA}'"), "ann@initech.com").await);
    }
    let mut tasks = Vec::new();
    for pending in pending {
        let app = at.bed.backend().await;
        tasks.push(tokio::spawn(async move { workos_end_to_end::exchange(&app, &pending).await }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().user_id, ann);
    }
    assert_eq!((at.users().await, at.bed.count("select count(*) from auth.identities").await), (1, 1));
}

#[tokio::test]
async fn a_name_that_changes_at_the_identity_provider_changes_here() {
    let at = Accounts::new("renamed", &[]).await;
    let named = |first: &str, last: &str| {
        let named = workos_simulator::Profile {
            first_name: Some(first.to_owned()),
            last_name: Some(last.to_owned()),
            ..profile("prof_1", OKTA, "ann@initech.com", "ann")
        };
        at.bed.simulator().put_profile(named).unwrap();
    };
    let sign_in = async || {
        let arguments = format!("connection => '{OKTA}'");
        let pending = workos_end_to_end::start_with(&at.app, &arguments, "ann@initech.com").await;
        workos_end_to_end::exchange(&at.app, &pending).await.unwrap()
    };
    named("Ann", "Lee");
    let first = sign_in().await;
    assert_eq!(first.claims["user_metadata"]["full_name"], "Ann Lee");
    // What she wrote about herself stays beside it.
    at.admin(r#"update auth.users set raw_user_meta_data = raw_user_meta_data || '{"theme": "dark"}'"#).await;
    named("Ann", "Öztürk");
    let second = sign_in().await;
    assert_eq!(second.user_id, first.user_id);
    let metadata = &second.claims["user_metadata"];
    assert_eq!((&metadata["name"], &metadata["theme"]), (&json!("Ann Öztürk"), &json!("dark")));
    let sql = "select identity_data->>'full_name' from auth.identities";
    assert_eq!(text(&at.bed.admin, sql).await.unwrap().as_deref(), Some("Ann Öztürk"));
}

#[tokio::test]
async fn a_token_that_says_an_old_address_reads_nothing_of_who_has_it_next() {
    let at = Accounts::new("old_address", &[]).await;
    at.admin(&at.bed.named(
        "create table letters (owner_email text not null default auth.email(), letter text);
         alter table letters enable row level security;
         create policy own on letters using (owner_email = auth.email());
         grant all on letters to DATABASE_backend",
    ))
    .await;
    let ann = at.signs_in("prof_1", OKTA, "sales@initech.com", "ann").await;
    let renamed = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    let bea = at.signs_in("prof_2", OKTA, "sales@initech.com", "bea").await;
    assert_eq!((&bea.claims["email"], bea.user_id == ann.user_id), (&json!("sales@initech.com"), false));
    set_session(&at.app, &bea.access_token, false).await.unwrap();
    at.app.batch_execute("insert into letters (letter) values ('for sales')").await.unwrap();
    // Ann's token of before is good by its signature and its time.
    refused(set_session(&at.app, &ann.access_token, false).await, "session_stale");
    set_session(&at.app, &renamed.access_token, false).await.unwrap();
    assert_eq!(text(&at.app, "select count(*) from letters").await.unwrap().as_deref(), Some("0"));
}
