//! Seeds of projects that were written for Supabase run as they are: they name columns that nothing here uses.

use serde_json::json;
use workos_end_to_end::bed::{ALICE, sign_in};
use workos_end_to_end::sql::{lines, refused_as, text};
use workos_end_to_end::{Bed, case};

/// Statements as seeds have them, each by a column that it names.
const STATEMENTS: [&str; 9] = [
    "insert into auth.users (id, email) values (gen_random_uuid(), 'one@example.com')",
    "insert into auth.users (instance_id, id, aud, role, email)
     values ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', 'two@example.com')",
    "insert into auth.users (id, email, encrypted_password) values (gen_random_uuid(), 'three@example.com', '')",
    "insert into auth.users (id, email, confirmation_token, recovery_token, email_change_token_new, email_change)
     values (gen_random_uuid(), 'four@example.com', '', '', '', '')",
    "insert into auth.users (id, email, is_super_admin) values (gen_random_uuid(), 'five@example.com', false)",
    "insert into auth.users (id, email, raw_app_meta_data) values (gen_random_uuid(), 'six@example.com', null)",
    "insert into auth.identities (id, user_id, provider, provider_id, identity_data, last_sign_in_at, created_at, updated_at)
     select gen_random_uuid(), id, 'email', id::text, jsonb_build_object('sub', id, 'email', email), now(), now(), now() from auth.users limit 1",
    "select confirmed_at from auth.users",
    "insert into auth.users (id, aud, role, email, raw_user_meta_data, is_sso_user, is_anonymous, created_at, updated_at)
     values (gen_random_uuid(), null, null, 'seven@example.com', null, null, null, null, null)",
];

#[tokio::test]
async fn columns_that_seeds_name_are_there() {
    let bed = Bed::shared("columns").await;
    for statement in STATEMENTS {
        bed.admin.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    let filled =
        "select aud, role, raw_app_meta_data, raw_user_meta_data, is_sso_user, is_anonymous, created_at = updated_at
        from auth.users where email = 'seven@example.com'";
    assert_eq!(lines(&bed.admin, filled).await.unwrap(), ["authenticated|authenticated|{}|{}|f|f|t"]);
    // What has no use here, and would promise one, is not there.
    for table in ["refresh_tokens", "mfa_factors", "one_time_tokens"] {
        refused_as(bed.admin.batch_execute(&format!("select from auth.{table}")).await, "42P01");
    }
    let uncommented =
        "select attname from pg_attribute where attrelid = 'auth.users'::regclass and attnum > 17 and not attisdropped
        and col_description(attrelid, attnum) is null";
    assert_eq!(lines(&bed.admin, uncommented).await.unwrap(), Vec::<String>::new());
}

/// Supabase's columns of `auth.users`, each with its type.
#[tokio::test]
async fn every_column_of_supabases_users_is_there() {
    let bed = Bed::shared("all_columns").await;
    let names = "instance_id id aud role email encrypted_password email_confirmed_at invited_at confirmation_token confirmation_sent_at \
        recovery_token recovery_sent_at email_change_token_new email_change email_change_sent_at last_sign_in_at raw_app_meta_data \
        raw_user_meta_data is_super_admin created_at updated_at phone phone_confirmed_at phone_change phone_change_token \
        phone_change_sent_at confirmed_at email_change_token_current email_change_confirm_status banned_until reauthentication_token \
        reauthentication_sent_at is_sso_user deleted_at is_anonymous";
    let missing = format!(
        "select name from unnest(string_to_array('{names}', ' ')) as name
         where not exists (select from pg_attribute where attrelid = 'auth.users'::regclass and attname = name)"
    );
    assert_eq!(lines(&bed.admin, &missing).await.unwrap(), Vec::<String>::new());
    let confirmed = "insert into auth.users (email_confirmed_at, phone_confirmed_at) values ('2026-01-02', '2026-01-01') returning confirmed_at::date";
    assert_eq!(text(&bed.admin, confirmed).await.unwrap().as_deref(), Some("2026-01-01"));
    refused_as(bed.admin.batch_execute("insert into auth.users (confirmed_at) values (now())").await, "428C9");
}

#[tokio::test]
async fn an_identitys_address_follows_from_its_data() {
    let bed = Bed::shared("identity_email").await;
    let user =
        text(&bed.admin, "insert into auth.users (email) values ('ann@acme.com') returning id").await.unwrap().unwrap();
    for (data, email) in [
        (json!({"email": "Ann@Acme.COM"}), Some("ann@acme.com")),
        (json!({"email": "JÜRGEN@acme.com"}), Some("jÜrgen@acme.com")),
        (json!({"phone": "49"}), None),
        (json!([1]), None),
    ] {
        case!(data);
        let sql = "insert into auth.identities (user_id, provider, provider_id, identity_data)
            values ($1::text::uuid, 'email', gen_random_uuid()::text, $2) returning email";
        let row = bed.admin.query_one(sql, &[&user, &data]).await.unwrap();
        assert_eq!(row.get::<_, Option<&str>>(0), email);
    }
    let alice = bed.sign_in(ALICE).await;
    let sql = "select email, identity_data ->> 'email' = email from auth.identities where provider = 'workos'";
    assert_eq!(lines(&bed.admin, sql).await.unwrap(), ["alice@acme.com|t"]);
    let sql = "select identity_data -> 'custom_claims' from auth.identities where provider = 'workos'";
    let claims: serde_json::Value = bed.admin.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(claims, json!({"connection_id": "conn_acme", "organization_id": "org_acme"}));
    // The person sees them, too.
    let shown: serde_json::Value = bed
        .admin
        .query_one("select auth.get_user($1) #> '{identities,0,identity_data,custom_claims}'", &[&alice.access_token])
        .await
        .unwrap()
        .get(0);
    assert_eq!(shown, claims);
    // Somebody whose identities say no address is shown, and lets others sign in.
    sign_in(&bed.admin, ALICE).await;
}

/// A seed by a loop over generated people, as of a starter that has ten of them.
const LOOP: &str = "
    insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, recovery_sent_at, last_sign_in_at,
        raw_app_meta_data, raw_user_meta_data, created_at, updated_at, confirmation_token, email_change, email_change_token_new, recovery_token)
    (select '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', 'user' || row_number() over () || '@example.com',
        crypt('a password', gen_salt('bf', 4)), current_timestamp, current_timestamp, current_timestamp,
        '{\"provider\": \"email\", \"providers\": [\"email\"]}', '{}', current_timestamp, current_timestamp, '', '', '', ''
     from generate_series(1, 10));
    insert into auth.identities (id, user_id, provider_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
    (select gen_random_uuid(), id, id, format('{\"sub\": \"%s\", \"email\": \"%s\"}', id::text, email)::jsonb, 'email',
        current_timestamp, current_timestamp, current_timestamp from auth.users)";

/// A seed that was dumped: every column, and a second person by a list of values.
const DUMPED: &str = "
    INSERT INTO \"auth\".\"users\" (\"instance_id\", \"id\", \"aud\", \"role\", \"email\", \"encrypted_password\", \"email_confirmed_at\", \"invited_at\",
        \"confirmation_token\", \"confirmation_sent_at\", \"recovery_token\", \"recovery_sent_at\", \"email_change_token_new\", \"email_change\",
        \"email_change_sent_at\", \"last_sign_in_at\", \"raw_app_meta_data\", \"raw_user_meta_data\", \"is_super_admin\", \"created_at\", \"updated_at\",
        \"phone\", \"phone_confirmed_at\", \"phone_change\", \"phone_change_token\", \"phone_change_sent_at\", \"email_change_token_current\",
        \"email_change_confirm_status\", \"banned_until\", \"reauthentication_token\", \"reauthentication_sent_at\", \"is_sso_user\", \"deleted_at\", \"is_anonymous\")
    VALUES
        ('00000000-0000-0000-0000-000000000000', 'b73eb03e-fb7a-424d-84ff-18e2791ce0b1', 'authenticated', 'authenticated', 'custom@example.org', '$2a$10$b3ZPpU6',
         '2024-04-20 08:38:00.860548+00', NULL, '', '2024-04-20 08:37:43.343769+00', '', NULL, '', '', NULL, '2024-04-20 08:38:00.93864+00',
         '{\"provider\": \"email\", \"providers\": [\"email\"]}', '{\"id\": \"b73eb03e-fb7a-424d-84ff-18e2791ce0b1\", \"email_verified\": false}', NULL,
         '2024-04-20 08:37:43.3385+00', '2024-04-20 08:38:00.942809+00', NULL, NULL, '', '', NULL, '', 0, NULL, '', NULL, false, NULL, false),
        ('00000000-0000-0000-0000-000000000000', '31a03e74-1639-45b6-bfa7-77447f1a4762', 'authenticated', 'authenticated', 'super-admin@example.org', '$2a$10$gzx',
         '2024-04-20 08:20:34.459113+00', NULL, '', '2024-04-20 08:20:22.774152+00', '', NULL, '', '', NULL, '2024-04-20 09:53:46.033+00',
         '{\"provider\": \"email\", \"providers\": [\"email\"], \"role\": \"super-admin\"}', '{}', NULL,
         '2024-04-20 08:20:22.7565+00', '2024-04-20 09:53:46.033764+00', NULL, NULL, '', '', NULL, '', 0, NULL, '', NULL, false, NULL, false);
    INSERT INTO \"auth\".\"identities\" (\"provider_id\", \"user_id\", \"identity_data\", \"provider\", \"last_sign_in_at\", \"created_at\", \"updated_at\", \"id\")
    VALUES ('31a03e74-1639-45b6-bfa7-77447f1a4762', '31a03e74-1639-45b6-bfa7-77447f1a4762',
        '{\"sub\": \"31a03e74-1639-45b6-bfa7-77447f1a4762\", \"email\": \"super-admin@example.org\", \"email_verified\": false}',
        'email', '2024-04-20 08:20:34.46275+00', '2024-04-20 08:20:34.462773+00', '2024-04-20 08:20:34.462773+00', '9bb58bad-24a4-41a8-9742-1b5b4e2d8abd')";

/// A seed by a function that tests and migrations call, with a row of a profile's table by trigger.
const FUNCTION: &str = "
    create table public.profiles (id uuid primary key references auth.users (id) on delete cascade, email text, full_name text);
    create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
    begin
        insert into public.profiles (id, email, full_name) values (new.id, new.email, new.raw_user_meta_data ->> 'full_name');
        return new;
    end $$;
    create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
    create function public.create_user(email text, password text) returns uuid language plpgsql security definer set search_path = public, extensions as $$
    declare
        user_id uuid := gen_random_uuid();
    begin
        insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
            created_at, updated_at, is_super_admin)
        values ('00000000-0000-0000-0000-000000000000', user_id, 'authenticated', 'authenticated', email, crypt(password, gen_salt('bf', 4)), now(),
            '{\"provider\": \"email\", \"providers\": [\"email\"]}', jsonb_build_object('full_name', split_part(email, '@', 1)), now(), now(), false);
        insert into auth.identities (id, user_id, identity_data, provider, provider_id, last_sign_in_at, created_at, updated_at)
        values (gen_random_uuid(), user_id, format('{\"sub\": \"%s\", \"email\": \"%s\"}', user_id, email)::jsonb, 'email', user_id::text, now(), now(), now());
        return user_id;
    end $$;
    select public.create_user('ada@example.com', 'a password'), public.create_user('alan@example.com', 'a password');
    update auth.users set email_confirmed_at = now(), confirmation_token = '' where email = 'ada@example.com'";

#[tokio::test]
async fn seeds_of_three_starters_run_as_they_are() {
    for (name, seed, people, identities) in
        [("loop", LOOP, 10, 10), ("dumped", DUMPED, 2, 1), ("function", FUNCTION, 2, 2)]
    {
        case!(name);
        let bed = Bed::shared(name).await;
        bed.admin.batch_execute("create schema extensions; create extension pgcrypto with schema extensions; set search_path = public, extensions").await.unwrap();
        bed.admin.batch_execute(seed).await.unwrap();
        let counted =
            "select (select count(*) from auth.users), (select count(*) from auth.identities where email is not null)";
        assert_eq!(lines(&bed.admin, counted).await.unwrap(), [format!("{people}|{identities}")]);
        // People sign in beside them, and who was seeded can be looked at.
        let alice = bed.sign_in(ALICE).await;
        assert!(alice.is_new_user);
        let shown = "select auth.as_user(id, 'pg_monitor') ->> 'email' from auth.users where email like '%example%' order by email limit 1";
        bed.admin.batch_execute("begin").await.unwrap();
        assert!(text(&bed.admin, shown).await.unwrap().is_some_and(|email| email.contains("example")));
        bed.admin.batch_execute("rollback").await.unwrap();
        if name == "function" {
            assert_eq!(
                text(&bed.admin, "select count(*) from profiles where email is not null").await.unwrap().as_deref(),
                Some("3")
            );
        }
    }
}
