//! `auth.find_user`: administrators find people by address.

use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, BOB, Bed};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused, refused_as};

#[tokio::test]
async fn people_are_found_by_any_of_their_addresses_however_it_is_written() {
    let bed = Bed::shared("found").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let admin = bed.role("dba", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&admin]).await.unwrap();
    let client = bed.connect(&admin).await;
    // Bob's account has another address now; his identity keeps the one that his identity provider says.
    bed.admin
        .execute("update auth.users set email = 'Robert@Globex.com' where id = $1", &[&bob.user_id])
        .await
        .unwrap();
    for (arguments, expected) in [
        ("'alice@acme.com'", Some(alice.user_id)),
        ("'ALICE@Acme.com'", Some(alice.user_id)),
        ("'bob@globex.com'", Some(bob.user_id)),
        ("'robert@globex.com'", Some(bob.user_id)),
        ("'alice@acme.com', 'org_acme'", Some(alice.user_id)),
        ("'alice@acme.com', 'org_globex'", None),
        ("'nobody@acme.com'", None),
        ("'alice@acme.co_'", None),
        ("''", None),
    ] {
        case!(arguments);
        let rows = client.query(&format!("select user_id from auth.find_user({arguments})"), &[]).await.unwrap();
        let found: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
    let row = client.query_one("select * from auth.find_user('alice@acme.com')", &[]).await.unwrap();
    let identity = "select id from auth.identities where provider_id = 'prof_alice'";
    let identity: Uuid = bed.admin.query_one(identity, &[]).await.unwrap().get(0);
    assert_eq!(row.get::<_, Vec<Uuid>>("identity_ids"), [identity]);
    assert_eq!(row.get::<_, Vec<String>>("identity_emails"), [ALICE.email]);
    assert_eq!(row.get::<_, Vec<String>>("organization_ids"), ["org_acme"]);
    assert_eq!(row.get::<_, Option<String>>("email").as_deref(), Some(ALICE.email));
    let same = "select f.banned_until is null, f.deleted_at is null, f.last_sign_in_at = u.last_sign_in_at, f.created_at = u.created_at
        from auth.find_user('alice@acme.com') as f join auth.users as u on u.id = f.user_id";
    assert_eq!(lines(&bed.admin, same).await.unwrap(), ["t|t|t|t"]);

    // What is found is what an administrator does something to.
    let ban = "select auth.ban_user(user_id) from auth.find_user('bob@globex.com', 'org_globex')";
    assert_eq!(client.query_one(ban, &[]).await.unwrap().get::<_, i64>(0), 1);
    let banned = "select banned_until = 'infinity' from auth.find_user('bob@globex.com')";
    assert!(client.query_one(banned, &[]).await.unwrap().get::<_, bool>(0));

    // Several people of one address, the oldest first.
    bed.admin
        .batch_execute(&format!(
            "update auth.users set created_at = '2020-01-01' where id = '{}';
             update auth.identities set identity_data = identity_data || '{{\"email\": \"alice@acme.com\"}}' where user_id = '{}'",
            bob.user_id, bob.user_id
        ))
        .await
        .unwrap();
    let rows = client.query("select user_id from auth.find_user('alice@acme.com')", &[]).await.unwrap();
    let found: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, [bob.user_id, alice.user_id]);

    refused(client.batch_execute("select auth.find_user(null)").await, "null_value");
    let backend = bed.backend().await;
    refused_as(backend.batch_execute("select auth.find_user('alice@acme.com')").await, "42501");
}

#[tokio::test]
async fn a_person_among_many_is_found_by_index() {
    let bed = Bed::shared("many").await;
    bed.admin
        .batch_execute(
            "insert into auth.organizations (id) values ('org_acme');
             insert into auth.users (id, email) select md5(n::text)::uuid, 'P' || n || '@acme.com' from generate_series(1, 5000) as n;
             insert into auth.identities (user_id, provider, provider_id, organization_id, identity_data)
             select md5(n::text)::uuid, 'workos', 'prof_' || n, 'org_acme', jsonb_build_object('email', 'p' || n || '@acme.com') from generate_series(1, 5000) as n;
             analyze auth.users, auth.identities",
        )
        .await
        .unwrap();
    let client = bed.superuser().await;
    client.batch_execute("begin").await.unwrap();
    for n in 1..=20 {
        let sql = format!("select user_id = md5('{n}')::uuid from auth.find_user('p{n}@ACME.com', 'org_acme')");
        assert!(client.query_one(&sql, &[]).await.unwrap().get::<_, bool>(0), "{n}");
    }
    // Of this transaction.
    let read = "select relname, seq_scan, idx_scan > 0 from pg_stat_xact_user_tables
        where schemaname = 'auth' and relname in ('users', 'identities') order by relname";
    assert_eq!(lines(&client, read).await.unwrap(), ["identities|0|t", "users|0|t"]);
    client.batch_execute("rollback").await.unwrap();
}
