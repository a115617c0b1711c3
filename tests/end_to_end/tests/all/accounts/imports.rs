//! `auth.import_supabase`: people keep their ids and their WorkOS identities, and nobody gets into an account of another customer's.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::accounts::{Accounts, OKTA};
use workos_end_to_end::bed::{ALICE, BOB};
use workos_end_to_end::made::administrator;
use workos_end_to_end::sql::{Refusal, lines, refused, refused_as, text};
use workos_end_to_end::{Bed, case};

const ID: &str = "8c1f0a4e-0000-4000-8000-000000000001";

fn user(changes: Value) -> Value {
    changed(
        json!({
            "instance_id": "00000000-0000-0000-0000-000000000000", "id": ID, "aud": "authenticated", "role": "authenticated",
            "email": "alice@acme.com", "encrypted_password": "$2a$10$secret", "email_confirmed_at": "2025-01-02T03:04:05.678+00:00",
            "invited_at": null, "last_sign_in_at": "2025-02-03T00:00:00+00:00", "phone": null,
            "raw_app_meta_data": {"provider": "workos", "providers": ["workos"], "plan": "pro"}, "raw_user_meta_data": {"full_name": "Alice of Acme"},
            "created_at": "2025-01-01T00:00:00+00:00", "updated_at": "2025-02-03T00:00:00+00:00", "banned_until": null, "deleted_at": null,
            "is_sso_user": false, "is_anonymous": false, "confirmation_token": "", "is_super_admin": null,
        }),
        changes,
    )
}

fn identity(changes: Value) -> Value {
    changed(
        json!({
            "id": "8c1f0a4e-0000-4000-8000-0000000000a1", "provider_id": "prof_alice", "user_id": ID, "provider": "workos",
            "identity_data": {"sub": "prof_alice", "email": "alice@acme.com", "custom_claims": {"organization_id": "org_acme", "connection_id": "conn_acme"}},
            "last_sign_in_at": "2025-02-03T00:00:00+00:00", "created_at": "2025-01-01T00:00:00+00:00", "updated_at": "2025-02-03T00:00:00+00:00",
            "email": "alice@acme.com",
        }),
        changes,
    )
}

fn of(profile: &str, email: &str, organization: &str) -> Value {
    identity(json!({"id": null, "provider_id": profile, "identity_data": {
        "sub": profile, "email": email, "custom_claims": {"organization_id": organization, "connection_id": organization.replace("org_", "conn_")},
    }}))
}

fn changed(mut row: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

async fn import(client: &Client, user: &Value, identities: &Value) -> Result<Uuid, tokio_postgres::Error> {
    client.query_one("select auth.import_supabase($1, $2)", &[user, identities]).await.map(|row| row.get(0))
}

async fn is_refused(bed: &Bed<'_>, client: &Client, user: &Value, identities: &Value, name: &str) -> Refusal {
    let before = bed.contents().await;
    let result = import(client, user, identities).await;
    assert!(result.is_err(), "{user} {identities} was taken, not {name}");
    let refusal = refused(result, name);
    assert_eq!(bed.contents().await, before, "{name}");
    refusal
}

#[tokio::test]
async fn a_person_of_workos_moves_in_and_signs_in_to_the_same_account() {
    let bed = Bed::shared("moves_in").await;
    let admin = administrator(&bed).await;
    let id = import(&admin, &user(json!({})), &json!([identity(json!({}))])).await.unwrap();
    assert_eq!(id.to_string(), ID);
    let row = "select id, email, email_confirmed_at at time zone 'UTC', created_at at time zone 'UTC', raw_app_meta_data ->> 'plan', encrypted_password, banned_until
        from auth.users";
    assert_eq!(
        lines(&bed.admin, row).await.unwrap(),
        [format!("{ID}|alice@acme.com|2025-01-02 03:04:05.678|2025-01-01 00:00:00|pro|NULL|NULL")]
    );
    let row = "select id, provider_id, organization_id, connection_id, email from auth.identities";
    assert_eq!(
        lines(&bed.admin, row).await.unwrap(),
        ["8c1f0a4e-0000-4000-8000-0000000000a1|prof_alice|org_acme|conn_acme|alice@acme.com"]
    );
    // Again and again: nothing changes.
    let before = bed.contents().await;
    for _ in 0..2 {
        assert_eq!(
            import(&admin, &user(json!({"email": "other@acme.com"})), &json!([identity(json!({}))])).await.unwrap(),
            id
        );
    }
    assert_eq!(bed.contents().await, before);

    let alice = bed.sign_in(ALICE).await;
    assert_eq!((alice.user_id, alice.is_new_user), (id, false));
    assert_eq!(alice.claims["user_metadata"]["full_name"], "Alice of Acme");
    assert_eq!((&alice.claims["app_metadata"]["plan"], &alice.claims["org_id"]), (&json!("pro"), &json!("org_acme")));
    assert_eq!(text(&bed.admin, "select string_agg(action, ',' order by created_at) from auth.audit_log_entries where action ~ 'import|login'").await.unwrap().as_deref(), Some("user_imported,login"));
    // After a sign-in too.
    let before = bed.contents().await;
    import(&admin, &user(json!({})), &json!([identity(json!({}))])).await.unwrap();
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn an_account_that_two_customers_entered_is_refused() {
    let bed = Bed::shared("two_customers").await;
    let admin = administrator(&bed).await;
    let (acme, globex) = (identity(json!({})), of("prof_mallory", "alice@acme.com", "org_globex"));
    let public = of("prof_google", "alice@acme.com", "");
    for both in [json!([acme, globex]), json!([globex, acme]), json!([acme, public])] {
        let refusal = is_refused(&bed, &admin, &user(json!({})), &both, "identities_of_several_organizations").await;
        assert!(refusal.detail.contains("org_acme") && refusal.detail.contains(ID), "{refusal}");
    }
    // One of them is here already: the other one does not follow it in.
    import(&admin, &user(json!({})), &json!([acme])).await.unwrap();
    is_refused(&bed, &admin, &user(json!({})), &json!([globex]), "identities_of_several_organizations").await;
    is_refused(&bed, &admin, &user(json!({})), &json!([acme, globex]), "identities_of_several_organizations").await;
    // A profile that leads into another account stays there.
    let other = "8c1f0a4e-0000-4000-8000-000000000002";
    let stolen = identity(json!({"id": null, "user_id": other}));
    is_refused(
        &bed,
        &admin,
        &user(json!({"id": other, "email": "x@acme.com"})),
        &json!([stolen]),
        "identity_already_exists",
    )
    .await;
    // An identity's id that another identity has.
    let doubled =
        changed(of("prof_2", "alice@acme.com", "org_acme"), json!({"id": "8c1f0a4e-0000-4000-8000-0000000000a1"}));
    is_refused(&bed, &admin, &user(json!({})), &json!([doubled]), "identity_already_exists").await;
    // The same profile, said to be of another organization.
    is_refused(
        &bed,
        &admin,
        &user(json!({})),
        &json!([of("prof_alice", "alice@acme.com", "org_globex")]),
        "identity_organization_changed",
    )
    .await;
    // Where people link across organizations, an administrator may too.
    bed.set("workos_auth.link_across_organizations", "on").await;
    let admin = bed.connect(&text(&admin, "select current_user").await.unwrap().unwrap()).await;
    import(&admin, &user(json!({})), &json!([acme, globex])).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.identities").await, 2);
}

/// Whoever says the address of another customer's person gets an account of their own.
#[tokio::test]
async fn an_imported_account_is_joined_by_its_own_organization_alone() {
    let at = Accounts::new("joined", &[]).await;
    let admin = administrator(&at.bed).await;
    let id = import(&admin, &user(json!({})), &json!([identity(json!({}))])).await.unwrap();
    let mallory = at.signs_in("prof_9", OKTA, "alice@acme.com", "mallory").await;
    assert!(mallory.user_id != id && mallory.is_new_user);
    assert_eq!(at.bed.sign_in(ALICE).await.user_id, id);
}

#[tokio::test]
async fn people_known_by_address_are_invited_by_the_organization_of_its_domain() {
    let bed = Bed::shared("by_address").await;
    let admin = administrator(&bed).await;
    let by_mail = identity(
        json!({"provider": "email", "provider_id": ID, "identity_data": {"sub": ID, "email": "alice@acme.com"}}),
    );
    let state = "select email, invited_at is not null, email_confirmed_at is not null,
        (select string_agg(organization_id, ',') from auth.organization_memberships where user_id = id), (select count(*) from auth.identities where user_id = id)
        from auth.users";
    let id = import(&admin, &user(json!({})), &json!([by_mail])).await.unwrap();
    assert_eq!(lines(&bed.admin, state).await.unwrap(), ["alice@acme.com|f|t|NULL|0"]);
    // Nobody vouches for the domain yet; then two do; then one.
    bed.admin
        .batch_execute(
            "insert into auth.organizations values ('org_acme'), ('org_globex') on conflict do nothing;
        insert into auth.organization_domains values ('org_acme', 'acme.com'), ('org_globex', 'acme.com')",
        )
        .await
        .unwrap();
    import(&admin, &user(json!({})), &json!([by_mail])).await.unwrap();
    assert_eq!(lines(&bed.admin, state).await.unwrap(), ["alice@acme.com|f|t|NULL|0"]);
    bed.admin
        .batch_execute("delete from auth.organization_domains where organization_id = 'org_globex'")
        .await
        .unwrap();
    import(&admin, &user(json!({})), &json!([by_mail])).await.unwrap();
    assert_eq!(lines(&bed.admin, state).await.unwrap(), ["alice@acme.com|t|f|org_acme|0"]);
    let before = bed.contents().await;
    import(&admin, &user(json!({})), &json!([by_mail])).await.unwrap();
    assert_eq!(bed.contents().await, before);
    let alice = bed.sign_in(ALICE).await;
    assert_eq!((alice.user_id, alice.is_new_user), (id, false));
    // Somebody of another organization with such an address is not let in.
    assert_ne!(bed.sign_in(BOB).await.user_id, id);
}

#[tokio::test]
async fn an_address_that_nobody_confirmed_is_not_kept_from_its_owner() {
    let bed = Bed::shared("unconfirmed").await;
    let admin = administrator(&bed).await;
    bed.admin.batch_execute("insert into auth.organizations values ('org_acme'); insert into auth.organization_domains values ('org_acme', 'acme.com')").await.unwrap();
    let squatter = import(&admin, &user(json!({"email_confirmed_at": null})), &json!([])).await.unwrap();
    assert_eq!(text(&bed.admin, "select email from auth.users").await.unwrap(), None);
    let alice = bed.sign_in(ALICE).await;
    assert!(alice.is_new_user && alice.user_id != squatter);
    assert_eq!(alice.claims["email"], "alice@acme.com");
    // One that somebody has here stays theirs.
    let second = "8c1f0a4e-0000-4000-8000-000000000002";
    import(&admin, &user(json!({"id": second})), &json!([])).await.unwrap();
    let sql = format!("select email is null from auth.users where id = '{second}'");
    assert_eq!(text(&bed.admin, &sql).await.unwrap().as_deref(), Some("t"));
}

#[tokio::test]
async fn what_somebody_was_they_are() {
    let bed = Bed::shared("states").await;
    let admin = administrator(&bed).await;
    let mut number = 10;
    for (changes, condition) in [
        (json!({"banned_until": "3000-01-01T00:00:00Z"}), "banned_until > now()"),
        (json!({"deleted_at": "2025-01-01T00:00:00Z"}), "deleted_at is not null and email is not null"),
        (json!({"is_anonymous": true, "email": null}), "is_anonymous and email is null"),
        (
            json!({"phone": "491701234567", "phone_confirmed_at": "2025-01-01T00:00:00Z"}),
            "phone = '491701234567' and confirmed_at = phone_confirmed_at",
        ),
        (json!({"phone": "491701234567"}), "phone is null"),
        (
            json!({"role": "", "aud": null, "raw_app_meta_data": null, "created_at": null}),
            "role = 'authenticated' and aud = 'authenticated' and raw_app_meta_data = '{}'",
        ),
        (json!({"is_sso_user": true}), "is_sso_user"),
    ] {
        case!(changes);
        number += 1;
        let id = format!("8c1f0a4e-0000-4000-8000-0000000000{number}");
        let row = changed(user(json!({"id": id, "email": format!("p{number}@acme.com")})), changes);
        import(&admin, &row, &Value::Null).await.unwrap();
        let sql = format!("select {condition} from auth.users where id = '{id}'");
        assert_eq!(text(&bed.admin, &sql).await.unwrap().as_deref(), Some("t"));
    }
    // A ban holds.
    import(&admin, &user(json!({"banned_until": "3000-01-01T00:00:00Z"})), &json!([identity(json!({}))]))
        .await
        .unwrap();
    let pending = workos_end_to_end::start(&bed.admin, ALICE).await;
    refused(workos_end_to_end::exchange(&bed.admin, &pending).await, "user_banned");
}

#[tokio::test]
async fn what_are_no_rows_and_who_may_not() {
    let bed = Bed::shared("refused").await;
    let admin = administrator(&bed).await;
    for (row, identities) in [
        (json!([]), json!([])),
        (json!({"id": "7"}), json!([])),
        (user(json!({})), json!({})),
        (user(json!({})), json!([identity(json!({"user_id": "8c1f0a4e-0000-4000-8000-000000000009"}))])),
        (user(json!({})), json!([of("prof 1", "a@acme.com", "org_acme")])),
        (user(json!({})), json!([of("prof_1", "a@acme.com", "org acme")])),
    ] {
        is_refused(&bed, &admin, &row, &identities, "validation_failed").await;
    }
    refused(admin.execute("select auth.import_supabase(null, '[]')", &[]).await, "null_value");
    refused_as(import(&admin, &user(json!({"created_at": "yesterday morning"})), &json!([])).await, "22007");
    for client in [bed.backend().await, bed.connect(&bed.role("stranger", "").await).await] {
        refused_as(import(&client, &user(json!({})), &json!([])).await, "42501");
    }
}
