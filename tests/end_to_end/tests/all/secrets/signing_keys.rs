//! `auth.add_signing_key`: a key is published before it signs, so that whoever caches a JWK set never meets a `kid` that is not in it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, is_good, reader, refresh, set_session, sign_in};
use workos_end_to_end::sql::{lines, refused, text};
use workos_end_to_end::{Bed, Session};

const ADD: &str = "select auth.add_signing_key()";
const ROTATE: &str = "select auth.rotate_signing_key()";
const READY: &str = "select auth.require_ready()";
const JWKS: &str = "select key->>'kid' from jsonb_array_elements(auth.jwks()->'keys') key order by 1";

async fn kid(client: &Client, sql: &str) -> String {
    text(client, sql).await.unwrap().unwrap()
}

async fn status(client: &Client, kid: &str) -> String {
    let sql = format!(
        "select status || case when private_key is null then '' else ' sealed' end
            || case when activated_at is null then '' else ' activated' end from auth.signing_keys where kid = '{kid}'"
    );
    text(client, &sql).await.unwrap().unwrap()
}

/// The `kid` of the header.
fn kid_of(session: &Session) -> String {
    let header = session.access_token.split('.').next().unwrap();
    let header = String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let header: Value = workos_auth_core::json::parse(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn jwks(client: &Client) -> Vec<String> {
    lines(client, JWKS).await.unwrap()
}

fn sorted(mut kids: Vec<&str>) -> Vec<&str> {
    kids.sort_unstable();
    kids
}

#[tokio::test]
async fn a_key_is_published_before_it_signs() {
    let bed = Bed::shared("published").await;
    let app = bed.role("app", "").await;
    let alice = bed.sign_in(ALICE).await;
    let old = kid_of(&alice);
    // Connections that have the keys in their caches, and one that others outside read: it looks now and then.
    let reading = reader(&bed, &app, &alice).await;
    let working = bed.superuser().await;
    sign_in(&working, BOB).await;
    assert_eq!(jwks(&reading).await, [old.as_str()]);

    let new = kid(&bed.admin, ADD).await;
    assert_ne!(new, old);
    assert_eq!(
        (&*status(&bed.admin, &new).await, &*status(&bed.admin, &old).await),
        ("pending sealed", "active sealed activated")
    );
    // It is published at once, and signs nothing.
    let cached = jwks(&reading).await;
    assert_eq!(cached, sorted(vec![&old, &new]));
    for client in [&bed.admin, &working, &bed.superuser().await] {
        assert_eq!(kid_of(&sign_in(client, ANNA).await), old);
    }
    // Once more, in whatever connection, is the same one.
    assert_eq!(kid(&bed.superuser().await, ADD).await, new);
    assert_eq!(jwks(&reading).await, cached);
    // Nobody is told to mend anything.
    assert_eq!(lines(&bed.admin, "select finding from auth.check() where severity <> 'info'").await.unwrap(), [""; 0]);

    assert_eq!(kid(&bed.admin, ROTATE).await, new);
    assert_eq!(
        (&*status(&bed.admin, &new).await, &*status(&bed.admin, &old).await),
        ("active sealed activated", "retiring sealed activated")
    );
    // Every token that is made from now on is of a key that was in the set before.
    for client in [&bed.admin, &working, &bed.superuser().await] {
        let session = sign_in(client, ANNA).await;
        assert_eq!(kid_of(&session), new);
        assert!(cached.contains(&kid_of(&session)));
        set_session(&reading, &session.access_token, false).await.unwrap();
        is_good(&reading, &session).await;
    }
    assert_eq!(kid_of(&refresh(&working, &alice.refresh_token).await.unwrap()), new);
    set_session(&reading, &alice.access_token, false).await.unwrap();
    is_good(&reading, &alice).await;
    assert_eq!(jwks(&reading).await, cached);

    // Without a pending one, a fresh one signs at once, as it always did; so does one in the same transaction.
    let third = kid(&bed.admin, ROTATE).await;
    assert!(!cached.contains(&third));
    assert_eq!(kid_of(&sign_in(&working, ANNA).await), third);
    bed.admin.batch_execute("begin").await.unwrap();
    let fourth = kid(&bed.admin, ADD).await;
    assert_eq!(kid(&bed.admin, ROTATE).await, fourth);
    bed.admin.batch_execute("rollback").await.unwrap();
    assert_eq!(kid_of(&sign_in(&bed.admin, ANNA).await), third);

    let actions = "select action, payload->>'kid' from auth.audit_log_entries where action like 'signing_key%' order by created_at";
    let expected = [("added", &new), ("rotated", &new), ("rotated", &third)];
    let expected = expected.map(|(action, kid)| format!("signing_key_{action}|{kid}"));
    assert_eq!(lines(&bed.admin, actions).await.unwrap(), expected);
}

#[tokio::test]
async fn a_pending_key_can_be_taken_back() {
    let bed = Bed::shared("taken_back").await;
    let alice = bed.sign_in(ALICE).await;
    let (active, pending) = (kid_of(&alice), kid(&bed.admin, ADD).await);
    bed.admin.execute("select auth.retire_signing_key($1)", &[&pending]).await.unwrap();
    assert_eq!(status(&bed.admin, &pending).await, "retired");
    assert_eq!(jwks(&bed.admin).await, [active.as_str()]);
    let another = kid(&bed.admin, ADD).await;
    assert_ne!(another, pending);
    assert_eq!(kid(&bed.admin, ROTATE).await, another);
    // One that cannot be opened does not become the key that signs.
    let broken = kid(&bed.admin, ADD).await;
    bed.admin
        .execute("update auth.signing_keys set private_key = set_byte(private_key, 20, get_byte(private_key, 20) # 1) where kid = $1", &[&broken])
        .await
        .unwrap();
    let before = bed.contents().await;
    let refusal = refused(bed.superuser().await.batch_execute(ROTATE).await, "seal_broken");
    assert!(refusal.hint.contains(&format!("auth.retire_signing_key('{broken}')")), "{refusal}");
    assert_eq!(bed.contents().await, before);
    assert_eq!(kid_of(&bed.sign_in(BOB).await), another);
    // Nor one that only verifies here, whoever has put it there.
    bed.admin.execute("update auth.signing_keys set private_key = null where kid = $1", &[&broken]).await.unwrap();
    let last = kid(&bed.admin, ADD).await;
    assert_ne!(last, broken);
    assert_eq!(kid(&bed.admin, ROTATE).await, last);
}

/// The row says of which algorithm the next key is: the key that is to be replaced may be the one that broke.
#[tokio::test]
async fn a_key_that_broke_is_replaced_and_people_stay_signed_in() {
    let bed = Bed::shared("broke").await;
    kid(&bed.admin, "select auth.rotate_signing_key('RS256')").await;
    let mut alice = bed.sign_in(ALICE).await;
    for replace in [ROTATE, ADD] {
        let old = kid_of(&alice);
        let damage = "update auth.signing_keys set private_key = set_byte(private_key, 20, get_byte(private_key, 20) # 1) where kid = $1";
        bed.admin.execute(damage, &[&old]).await.unwrap();
        let client = bed.superuser().await;
        for sql in [READY, &format!("select auth.refresh_session('{}')", alice.refresh_token)] {
            let refusal = refused(client.batch_execute(sql).await, "seal_broken");
            assert!(refusal.hint.contains("select auth.rotate_signing_key()"), "{replace}: {refusal}");
        }
        let new = kid(&client, replace).await;
        assert_eq!(kid(&client, ROTATE).await == new, replace == ADD);
        client.batch_execute(READY).await.unwrap();
        let algorithm = "select algorithm from auth.signing_keys where status = 'active'";
        assert_eq!(kid(&client, algorithm).await, "RS256", "{replace}");
        client.query("select auth.verify_token($1)", &[&alice.access_token]).await.unwrap();
        alice = refresh(&client, &alice.refresh_token).await.unwrap();
        assert_ne!(kid_of(&alice), old);

        // What it sealed cannot be moved to another root key either: that says which key is in the way.
        let other = bed.new_root_key(&format!("other_{}.key", &old[..8])).await;
        let reseal = format!("select auth.reseal('{other}')");
        let refusal = refused(client.batch_execute(&reseal).await, "seal_broken");
        let retire = format!("select auth.retire_signing_key('{old}')");
        assert!(refusal.hint.contains(&retire), "{replace}: {refusal}");
        client.batch_execute(&retire).await.unwrap();
    }
}

/// What a probe says where no sign-in can succeed, though the root key is the right one.
#[tokio::test]
async fn nobody_is_ready_without_a_key_that_signs() {
    let bed = Bed::shared("not_ready").await;
    let backend = bed.backend().await;
    backend.batch_execute(READY).await.unwrap();
    let configure = |enabled: bool| {
        format!(
            "select auth.configure_workos(client_id => client_id, redirect_uri => redirect_uri, api_url => api_url, enabled => {enabled})
             from auth.providers"
        )
    };
    // Sessions go on where sign-ins are switched off.
    bed.admin.batch_execute(&configure(false)).await.unwrap();
    backend.batch_execute(READY).await.unwrap();
    bed.admin.batch_execute(&configure(true)).await.unwrap();

    for gone in ["delete from auth.signing_keys", "update auth.signing_keys set private_key = null"] {
        bed.admin.batch_execute(gone).await.unwrap();
        let refusal = refused(backend.batch_execute(READY).await, "signing_key_missing");
        assert!(refusal.hint.contains("auth.configure_workos"), "{gone}: {refusal}");
        bed.admin.batch_execute(&configure(true)).await.unwrap();
        backend.batch_execute(READY).await.unwrap_or_else(|error| panic!("{gone}: {error:?}"));
    }
    bed.sign_in(ALICE).await;
}

#[tokio::test]
async fn two_who_add_at_once_add_one() {
    let bed = Bed::shared("two_add").await;
    bed.sign_in(ALICE).await;
    let (first, second) = (bed.superuser().await, bed.superuser().await);
    first.batch_execute("begin").await.unwrap();
    let added = kid(&first, ADD).await;
    let commit = async {
        bed.until_waiting(1).await;
        first.batch_execute("commit").await.unwrap();
    };
    let (also, ()) = tokio::join!(kid(&second, ADD), commit);
    assert_eq!(also, added);
    // A rotation that waits for an addition takes it, and one for whose rollback it waits does not.
    first.batch_execute("begin").await.unwrap();
    assert_eq!(kid(&first, ROTATE).await, added);
    let roll_back = async {
        bed.until_waiting(1).await;
        first.batch_execute("rollback").await.unwrap();
    };
    let (rotated, ()) = tokio::join!(kid(&second, ROTATE), roll_back);
    assert_eq!(rotated, added);
    assert_eq!(bed.count("select count(*) from auth.signing_keys").await, 2);
    let none = "select count(*) from auth.signing_keys where status = 'pending'";
    assert_eq!(bed.count(none).await, 0);
}

#[tokio::test]
async fn administrators_add_and_nobody_else() {
    let bed = Bed::shared("who_adds").await;
    let (dba, app) = (bed.role("dba", "").await, bed.role("app", "").await);
    bed.admin.batch_execute(&format!("select auth.grant_admin('{dba}'), auth.grant_sign_in('{app}')")).await.unwrap();
    assert!(bed.connect(&app).await.batch_execute(ADD).await.is_err());
    let added = kid(&bed.connect(&dba).await, ADD).await;
    assert_eq!(status(&bed.admin, &added).await, "pending sealed");
    bed.admin.batch_execute("begin read only").await.unwrap();
    refused(bed.admin.batch_execute(ADD).await, "read_only");
    bed.admin.batch_execute("rollback").await.unwrap();
}

/// A member of a token's header, which is the first of its parts, or of its payload, which is the second.
fn member(token: &str, part: usize, name: &str) -> Value {
    let json = URL_SAFE_NO_PAD.decode(token.split('.').nth(part).unwrap()).unwrap();
    let json: Value = workos_auth_core::json::parse(std::str::from_utf8(&json).unwrap()).unwrap();
    json[name].clone()
}

#[tokio::test]
async fn a_session_goes_on_under_rs256() {
    let bed = Bed::shared("rs256").await;
    let app = bed.role("app", "").await;
    let before = bed.sign_in(ALICE).await;
    let reading = reader(&bed, &app, &before).await;
    let rs256 = kid(&bed.admin, "select auth.rotate_signing_key(algorithm => 'RS256')").await;
    // What was signed before is good, and what comes now is signed with the new key.
    is_good(&reading, &before).await;
    let after = refresh(&bed.superuser().await, &before.refresh_token).await.unwrap();
    assert_eq!((kid_of(&after), member(&after.access_token, 0, "alg")), (rs256.clone(), "RS256".into()));
    assert_eq!(after.session_id, before.session_id);
    for session in [&after, &bed.sign_in(BOB).await] {
        set_session(&reading, &session.access_token, false).await.unwrap();
        is_good(&reading, session).await;
    }
    // By the published key, a library that is not ours verifies it too.
    let jwks = text(&bed.admin, "select auth.jwks()::text").await.unwrap().unwrap();
    let jwks: jsonwebtoken::jwk::JwkSet = workos_auth_core::json::read(jwks.as_bytes()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(jwks.find(&rs256).unwrap()).unwrap();
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.validate_aud = false;
    let read = jsonwebtoken::decode::<Value>(&after.access_token, &key, &rules).unwrap();
    assert_eq!(read.claims["sub"], after.user_id.to_string());

    // A token that names the one key and the algorithm of the other is neither's.
    let (head, rest) = after.access_token.split_once('.').unwrap();
    assert_eq!(member(&after.access_token, 0, "kid"), rs256);
    let lying = String::from_utf8(URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap().replace("RS256", "ES256");
    let lying = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(lying));
    refused(set_session(&reading, &lying, false).await, "bad_jwt_algorithm");
    // The old key goes, and with it what it signed.
    bed.admin.execute("select auth.retire_signing_key($1)", &[&kid_of(&before)]).await.unwrap();
    refused(set_session(&reading, &before.access_token, false).await, "bad_jwt_key");
    set_session(&reading, &after.access_token, false).await.unwrap();
    // The next key is of the same kind, unless somebody asks for another.
    for (sql, algorithm) in [(ROTATE, "RS256"), ("select auth.rotate_signing_key('ES256')", "ES256"), (ROTATE, "ES256")]
    {
        bed.admin.batch_execute(sql).await.unwrap();
        assert_eq!(member(&bed.sign_in(ANNA).await.access_token, 0, "alg"), algorithm, "{sql}");
    }
}
