//! Whose account it is, through the real flow.

use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::{Session, refused, set_session};

#[tokio::test]
async fn row_1_a_known_profile_signs_in_and_its_address_follows() {
    let at = Accounts::new("row_1", &[]).await;
    let first = at.signs_in("prof_1", OKTA, "Ann@Initech.com", "ann").await;
    assert_eq!(
        (first.email.as_str(), at.email(first.user_id).await.as_deref()),
        ("ann@initech.com", Some("ann@initech.com"))
    );
    let married = at.signs_in("prof_1", OKTA, "ann.new@initech.com", "ann").await;
    assert_eq!((married.user_id, married.is_new_user), (first.user_id, false));
    assert_eq!(at.email(first.user_id).await.as_deref(), Some("ann.new@initech.com"));
    assert_eq!(married.claims["email"], "ann.new@initech.com");
    let sql =
        "select count(*) from auth.identities where email = 'ann.new@initech.com' and identity_data->>'email' = email";
    assert_eq!(at.bed.count(sql).await, 1);
}

#[tokio::test]
async fn row_1_an_address_that_somebody_else_holds_is_not_taken() {
    let at = Accounts::new("row_1_held", &[]).await;
    let ann = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    let bea = at.signs_in("prof_2", OKTA, "bea@initech.com", "bea").await;
    let renamed = at.signs_in("prof_1", OKTA, "bea@initech.com", "ann").await;
    assert_eq!(renamed.user_id, ann.user_id);
    assert_eq!(at.email(bea.user_id).await.as_deref(), Some("bea@initech.com"));
    assert_eq!(at.email(ann.user_id).await, None, "nobody says the old address any more");
    assert_eq!((renamed.email.as_str(), &renamed.claims["email"]), ("bea@initech.com", &serde_json::json!("")));
}

#[tokio::test]
async fn row_2_a_profile_that_changed_its_organization_is_refused() {
    let at = Accounts::new("row_2", &[]).await;
    let first = at.signs_in("prof_1", "conn_acme", "ann@acme.com", "ann").await;
    at.is_refused("prof_1", "conn_globex", "ann@acme.com", "ann", "identity_organization_changed").await;
    at.is_refused("prof_1", "conn_google", "ann@acme.com", "ann", "identity_organization_changed").await;
    // An administrator moves it, as the hint says.
    at.admin("insert into auth.organizations (id) values ('org_globex')").await;
    at.admin("select auth.move_identity(identity_id => id, organization => 'org_globex') from auth.identities").await;
    let moved = at.signs_in("prof_1", "conn_globex", "ann@acme.com", "ann").await;
    assert_eq!(moved.organization_id.as_deref(), Some("org_globex"));
    assert_eq!((moved.user_id, moved.is_new_user), (first.user_id, false), "the account is kept");
}

#[tokio::test]
async fn row_3_an_address_given_to_a_successor_is_another_person() {
    let at = Accounts::new("row_3", &[]).await;
    let old = at.signs_in("prof_1", OKTA, "sales@initech.com", "ann").await;
    // The old person left; the address is Bea's now.
    at.put("prof_1", OKTA, "gone@initech.com", "ann");
    let new = at.signs_in("prof_2", OKTA, "sales@initech.com", "bea").await;
    assert!(new.is_new_user && new.user_id != old.user_id);
    assert_eq!(at.email(old.user_id).await, None);
    assert_eq!(at.email(new.user_id).await.as_deref(), Some("sales@initech.com"));
    assert!(!at.lives(&old).await && at.lives(&new).await);
    refused(at.app.query_one("select auth.verify_token($1)", &[&old.access_token]).await, "session_not_found");
    assert_eq!(at.bed.count("select count(*) from auth.audit_log_entries where action = 'email_released'").await, 1);
}

#[tokio::test]
async fn row_3_a_profile_that_may_be_the_same_person_is_refused() {
    let at = Accounts::new("row_3_same", &[]).await;
    at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    at.put("prof_1", OKTA, "gone@initech.com", "ann");
    at.is_refused("prof_2", OKTA, "ann@initech.com", "ann", "multiple_accounts").await;
}

#[tokio::test]
async fn row_4_another_connection_of_the_organization_joins() {
    let at = Accounts::new("row_4", &[]).await;
    let okta = at.signs_in("prof_1", OKTA, "ann@initech.com", "okta-ann").await;
    let google = at.signs_in("prof_2", GOOGLE, "Ann@INITECH.com", "google-ann").await;
    assert_eq!((google.user_id, google.is_new_user), (okta.user_id, false));
    assert_eq!((at.users().await, at.bed.count("select count(*) from auth.identities").await), (1, 2));
    let linked = "select count(*) from auth.audit_log_entries where action = 'identity_linked' and connection_id = 'conn_initech_google'";
    assert_eq!(at.bed.count(linked).await, 1);
    assert!(at.lives(&okta).await);
    // Both lead into the account from now on, and neither is linked twice.
    assert_eq!(at.signs_in("prof_1", OKTA, "ann@initech.com", "okta-ann").await.user_id, okta.user_id);
    assert_eq!(at.bed.count(linked).await, 1);
}

#[tokio::test]
async fn row_4_an_account_that_is_elsewhere_too_is_not_joined() {
    let at = Accounts::new("row_4_elsewhere", &[]).await;
    let ann = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    let sql = "insert into auth.organizations (id) values ('org_acme');
        insert into auth.identities (user_id, provider, provider_id, organization_id, connection_id, identity_data)
        select id, 'workos', 'prof_9', 'org_acme', 'conn_acme', '{\"email\": \"ann@acme.com\"}' from auth.users";
    at.admin(sql).await;
    at.is_refused("prof_2", GOOGLE, "ann@initech.com", "google-ann", "multiple_accounts").await;
    assert!(at.lives(&ann).await);
}

#[tokio::test]
async fn row_5_the_same_address_in_another_organization_is_another_account() {
    let at = Accounts::new("row_5", &[]).await;
    let acme = at.signs_in("prof_1", "conn_acme", "ann@shared.example", "ann").await;
    let globex = at.signs_in("prof_2", "conn_globex", "ann@shared.example", "ann").await;
    assert!(globex.is_new_user && globex.user_id != acme.user_id);
    assert_eq!(at.email(acme.user_id).await.as_deref(), Some("ann@shared.example"));
    assert_eq!(at.email(globex.user_id).await, None);
    assert_eq!((globex.email.as_str(), &globex.claims["email"]), ("ann@shared.example", &serde_json::json!("")));
    assert!(at.lives(&acme).await, "no customer ends the sessions of another's");
    let again = at.signs_in("prof_2", "conn_globex", "ann@shared.example", "ann").await;
    assert_eq!(again.user_id, globex.user_id);
}

#[tokio::test]
async fn row_6_whoever_has_no_organization_is_never_joined_by_address() {
    let at = Accounts::new("row_6", &[]).await;
    let acme = at.signs_in("prof_1", "conn_acme", "ann@acme.com", "ann").await;
    let google = at.signs_in("prof_2", "conn_google", "ann@acme.com", "1").await;
    assert_ne!(google.user_id, acme.user_id);
    assert_eq!(at.email(google.user_id).await, None);
    // NULL equals nothing: two of no organization are two.
    at.put("prof_2", "conn_google", "other@gmail.com", "1");
    let second = at.signs_in("prof_3", "conn_google", "ann@acme.com", "2").await;
    assert_eq!(at.users().await, 3);
    assert!(second.is_new_user && at.lives(&google).await && at.lives(&acme).await);
    // Nor the other way round.
    let gmail = at.signs_in("prof_4", "conn_google", "bea@acme.com", "3").await;
    let bea = at.signs_in("prof_5", "conn_acme", "bea@acme.com", "bea").await;
    assert_ne!(bea.user_id, gmail.user_id);
    assert_eq!(at.email(gmail.user_id).await.as_deref(), Some("bea@acme.com"));
    assert_eq!(at.email(bea.user_id).await, None);
}

#[tokio::test]
async fn row_7_several_candidates_are_refused() {
    let at = Accounts::new("row_7", &[]).await;
    at.signs_in("prof_1", OKTA, "sales@initech.com", "ann").await;
    at.put("prof_1", OKTA, "gone@initech.com", "ann");
    at.signs_in("prof_2", OKTA, "sales@initech.com", "bea").await;
    // Both have had this address: which of them comes from the new connection?
    let refusal = at.is_refused("prof_3", GOOGLE, "sales@initech.com", "google", "multiple_accounts").await;
    assert!(refusal.detail.contains('2'), "{refusal}");
}

#[tokio::test]
async fn row_8_a_ban_holds_by_whatever_way_somebody_comes() {
    let at = Accounts::new("row_8", &[]).await;
    at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    at.admin("update auth.users set banned_until = 'infinity'").await;
    at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "user_banned").await;
    at.is_refused("prof_2", GOOGLE, "ann@initech.com", "google-ann", "user_banned").await;
    at.put("prof_1", OKTA, "gone@initech.com", "ann");
    at.is_refused("prof_3", OKTA, "ann@initech.com", "another", "user_banned").await;
    assert_eq!(at.users().await, 1);
    at.admin("update auth.users set banned_until = now() - interval '1 s'").await;
    let back = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    assert!(!back.is_new_user);
    // Another customer's ban is not this one's.
    at.admin("update auth.users set banned_until = 'infinity'").await;
    at.signs_in("prof_4", "conn_acme", "ann@initech.com", "ann").await;
}

#[tokio::test]
async fn a_role_that_is_not_allowed_is_no_session() {
    let at = Accounts::new("roles", &[]).await;
    at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    at.admin("update auth.users set role = 'postgres'").await;
    let refusal = at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "role_not_allowed").await;
    assert!(refusal.detail.contains("postgres") && refusal.hint.contains("workos_auth.allowed_roles"), "{refusal}");
    at.bed.set("workos_auth.allowed_roles", "authenticated, staff").await;
    let at = Accounts { app: at.bed.backend().await, ..at };
    at.admin("update auth.users set role = 'staff'").await;
    assert_eq!(at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await.claims["role"], "staff");
}

#[tokio::test]
async fn a_deleted_account_is_not_revived() {
    let at = Accounts::new("deleted", &[]).await;
    at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    at.admin("update auth.users set deleted_at = now()").await;
    at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "user_deleted").await;
    at.is_refused("prof_2", GOOGLE, "ann@initech.com", "google-ann", "user_deleted").await;
}

#[tokio::test]
async fn without_sign_up_only_known_people_come_in() {
    let at = Accounts::new("no_signup", &[("allow_signup", "off")]).await;
    at.is_refused("prof_1", OKTA, "ann@initech.com", "ann", "signup_disabled").await;
    assert_eq!(at.users().await, 0);
    let at = Accounts { app: at.bed.superuser().await, ..at };
    at.admin(&at.bed.named("alter database DATABASE reset all")).await;
    let at = Accounts { app: at.bed.backend().await, ..at };
    at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    at.bed.set("workos_auth.allow_signup", "off").await;
    let at = Accounts { app: at.bed.backend().await, ..at };
    at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    // Who joins an account does not sign up.
    assert!(!at.signs_in("prof_2", GOOGLE, "ann@initech.com", "google-ann").await.is_new_user);
}

#[tokio::test]
async fn linking_none_joins_nobody() {
    let at = Accounts::new("none", &[("account_linking", "none")]).await;
    let okta = at.signs_in("prof_1", OKTA, "ann@initech.com", "okta-ann").await;
    let google = at.signs_in("prof_2", GOOGLE, "ann@initech.com", "google-ann").await;
    assert!(google.is_new_user && google.user_id != okta.user_id);
    assert_eq!(at.email(google.user_id).await, None);
}

#[tokio::test]
async fn linking_by_email_needs_the_organizations_own_domain() {
    let at = Accounts::new("by_email", &[("account_linking", "email")]).await;
    let gmail = at.signs_in("prof_1", "conn_google", "ann@initech.com", "1").await;
    let other = at.signs_in("prof_2", "conn_google", "bea@elsewhere.example", "2").await;
    at.admin(
        "insert into auth.organizations (id) values ('org_initech');
         insert into auth.organization_domains (organization_id, domain) values ('org_initech', 'initech.com')",
    )
    .await;
    let joined = at.signs_in("prof_3", OKTA, "ann@initech.com", "ann").await;
    assert_eq!((joined.user_id, joined.is_new_user), (gmail.user_id, false));
    let stranger = at.signs_in("prof_4", OKTA, "bea@elsewhere.example", "bea").await;
    assert_ne!(stranger.user_id, other.user_id);
    // Never into the account of another organization, whatever the domain.
    let acme = at.signs_in("prof_5", "conn_acme", "eve@initech.com", "eve").await;
    let eve = at.signs_in("prof_6", OKTA, "eve@initech.com", "eve").await;
    assert_ne!(eve.user_id, acme.user_id);
}

#[tokio::test]
async fn without_trust_in_domains_the_address_is_the_identitys_alone() {
    let at = Accounts::new("no_trust", &[("trust_email_domains", "off")]).await;
    let ann = at.signs_in("prof_1", OKTA, "ann@initech.com", "ann").await;
    assert_eq!(at.email(ann.user_id).await, None);
    assert_eq!((ann.email.as_str(), &ann.claims["email"]), ("ann@initech.com", &serde_json::json!("")));
    // Linking within the organization goes by the identity's address, and a provider's own stays.
    assert_eq!(at.signs_in("prof_2", GOOGLE, "ann@initech.com", "g").await.user_id, ann.user_id);
    let gina = at.signs_in("prof_3", "conn_google", "gina@gmail.com", "1").await;
    assert_eq!(at.email(gina.user_id).await.as_deref(), Some("gina@gmail.com"));
}

#[tokio::test]
async fn addresses_that_only_look_alike_are_never_joined() {
    let at = Accounts::new("look_alike", &[]).await;
    for (n, email) in
        ["ann@initech.com", "аnn@initech.com", "ANN@ınitech.com", "jürgen@initech.com", "JÜRGEN@initech.com"]
            .iter()
            .enumerate()
    {
        let session = at.signs_in(&format!("prof_{n}"), OKTA, email, &format!("idp-{n}")).await;
        assert!(session.is_new_user, "{email}");
    }
    // Not even the same one: too many of them look alike.
    assert!(at.signs_in("prof_g", GOOGLE, "jürgen@initech.com", "g").await.is_new_user);
}

#[tokio::test]
async fn two_tenants_with_one_address_see_nothing_of_each_other() {
    let at = Accounts::new("tenants", &[]).await;
    let backend = at.bed.named("DATABASE_backend");
    at.admin(&format!(
        "create table notes (id serial, owner_email text not null default auth.email(), owner uuid not null default auth.uid(), note text);
         alter table notes enable row level security;
         create policy own on notes using (owner_email = auth.email()) with check (owner_email = auth.email());
         grant all on notes, notes_id_seq to {backend}"
    ))
    .await;
    let acme = at.signs_in("prof_1", "conn_acme", "ann@shared.example", "ann").await;
    let globex = at.signs_in("prof_2", "conn_globex", "ann@shared.example", "ann").await;
    let as_of = async |session: &Session, sql: &str| {
        at.app.batch_execute("begin").await.unwrap();
        set_session(&at.app, &session.access_token, true).await.unwrap();
        let result = at.app.query(sql, &[]).await;
        at.app.batch_execute(if result.is_ok() { "commit" } else { "rollback" }).await.unwrap();
        result.map(|rows| rows.len())
    };
    assert_eq!(as_of(&acme, "insert into notes (note) values ('of acme') returning id").await.unwrap(), 1);
    assert_eq!(as_of(&acme, "select * from notes").await.unwrap(), 1);
    for sql in
        ["select * from notes", "update notes set note = 'stolen' returning id", "delete from notes returning id"]
    {
        assert_eq!(as_of(&globex, sql).await.unwrap(), 0, "{sql}");
    }
    assert!(
        as_of(&globex, "insert into notes (owner_email, note) values ('ann@shared.example', 'planted')").await.is_err()
    );
    assert_eq!(as_of(&acme, "select * from notes").await.unwrap(), 1);
}
