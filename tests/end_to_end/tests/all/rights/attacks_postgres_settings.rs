//! Settings that are not the extension's own, set by people who may set them.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::sql::{lines, refusal, refused, refused_as};

#[tokio::test]
async fn claims_of_postgrest_are_nobodys() {
    let bed = Bed::shared("postgrest").await;
    let mallory = bed.role("mallory", "").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let client = bed.connect(&mallory).await;
    let claims = bob.claims.to_string().replace('\'', "''");
    let forge = format!(
        "set request.jwt.claims = '{claims}'; set request.jwt.claim.sub = '{0}'; set request.jwt.claim.role = 'service_role';
         set request.jwt.claim.email = 'bob@globex.com'; set request.jwt = '{1}'; set request.headers = '{{\"authorization\":\"Bearer {1}\"}}';
         set role.claims = '{claims}'; set auth.uid = '{0}'; set app.user_id = '{0}'; set workos.session_token = '{1}';
         set pg_session_jwt.jwt = '{1}'; set jwt.claims.sub = '{0}'",
        bob.user_id, bob.access_token
    );
    client.batch_execute(&forge).await.unwrap();
    let read = "select auth.uid(), auth.jwt(), auth.role(), auth.email(), auth.session_id(), auth.organization_id(), auth.has_role('admin')";
    // auth.role() is the database role where nobody is signed in, and no setting of anybody's.
    assert_eq!(lines(&client, read).await.unwrap(), [format!("NULL|NULL|{mallory}|NULL|NULL|NULL|NULL")]);
    refused(client.batch_execute("select auth.get_user()").await, "no_authorization");
    set_session(&client, &alice.access_token, false).await.unwrap();
    client.batch_execute(&forge).await.unwrap();
    let who = "select auth.uid(), auth.email(), auth.jwt()->>'sub'";
    assert_eq!(lines(&client, who).await.unwrap(), [format!("{0}|alice@acme.com|{0}", alice.user_id)]);
    bed.admin.query_one("select auth.verify_token($1)", &[&bob.access_token]).await.unwrap();
}

/// Settings that everybody may set, each to everything else it can be: a reader answers rightly or not at all.
#[tokio::test]
async fn no_setting_of_postgress_shows_foreign_rows() {
    let bed = Bed::shared("postgress").await;
    let mallory = bed.role("mallory", "").await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin
        .batch_execute(&format!(
            "create table public.notes (id int primary key, owner uuid, organization text);
             insert into public.notes select i, case when i % 10 = 0 then '{0}' else gen_random_uuid() end, 'org_acme'
                 from generate_series(1, 2000) i;
             create index on public.notes (owner);
             alter table public.notes enable row level security;
             create policy owners on public.notes using (owner = auth.uid() and auth.has_role('admin', organization));
             grant select on public.notes to {mallory}; analyze public.notes",
            alice.user_id
        ))
        .await
        .unwrap();
    let all = "select name, case vartype
            when 'bool' then array['on', 'off'] when 'enum' then enumvals
            when 'string' then array['', 'evil', 'C', 'UTC', 'public', 'pg_temp, public']
            else array[min_val, max_val, boot_val] end
        from pg_settings where context = 'user' order by 1";
    let (mut tried, mut served) = (0, 0);
    for row in bed.admin.query(all, &[]).await.unwrap() {
        let (name, values): (&str, Vec<String>) = (row.get(0), row.get(1));
        for value in values {
            let client = bed.connect(&mallory).await;
            set_session(&client, &alice.access_token, false).await.unwrap();
            // Not every value is one, and some end what comes after them.
            if client.batch_execute(&format!("set \"{name}\" = '{value}'")).await.is_err() {
                continue;
            }
            tried += 1;
            let rows = "select count(*), count(*) filter (where id % 10 = 0), min(auth.uid()::text) from public.notes";
            if let Ok(rows) = lines(&client, rows).await {
                served += 1;
                assert_eq!(rows, [format!("200|200|{}", alice.user_id)], "{name} = {value}");
            }
        }
    }
    assert!(tried > 300 && served > tried * 9 / 10, "{served} of {tried}");
    let client = bed.connect(&mallory).await;
    set_session(&client, &alice.access_token, false).await.unwrap();
    client.batch_execute("set row_security = off").await.unwrap();
    refused_as(client.batch_execute("select * from public.notes").await, "42501");
    for statement in [
        "set session_replication_role = replica",
        "set role postgres",
        "set session authorization postgres",
        "set role workos_auth_owner",
        "set is_superuser = on",
        "load 'workos_auth'",
        "set session_preload_libraries = ''",
        "set log_statement = 'all'",
    ] {
        let refusal = refusal(client.batch_execute(statement).await);
        assert!(["42501", "55P02"].contains(&&*refusal.sqlstate), "{statement}: {refusal}");
    }
}
