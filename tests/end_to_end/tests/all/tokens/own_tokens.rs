//! Tokens that are presented to the backend that signed them.

use serde_json::{Value, json};
use workos_auth_core::token::{Algorithm, SigningKey};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, GINA, get_user_of, sign_in, start};
use workos_end_to_end::sql::refused;
use workos_end_to_end::waiting::pass;

/// The backend that signed a token need not check the signature. Everything else it has to.
#[tokio::test]
async fn the_backend_that_signed_a_token_believes_it_no_more_than_others_do() {
    let bed = Bed::shared("own_token").await;
    let backend = bed.role("backend", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_sign_in('{backend}')")).await.unwrap();
    let client = bed.connect(&backend).await;
    let by = "access_token, auth.get_user(access_token)";

    // A person who is made by the same statement is seen by it.
    let pending = start(&client, GINA).await;
    let sql = format!("select {by} from auth.exchange_code($1, $2, $3)");
    let row = client.query_one(&sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!(row.get::<_, Value>(1)["identities"][0]["email"], json!(GINA.email));
    get_user_of(&client, row.get(0)).await.unwrap();

    let session = sign_in(&client, ALICE).await;
    let refresh = format!("select {by}, refresh_token from auth.refresh_session($1)");
    let row = client.query_one(&refresh, &[&session.refresh_token]).await.unwrap();
    assert_eq!(row.get::<_, Value>(1)["id"], json!(session.user_id));
    let refresh_token: String = row.get(2);

    // A token of ours whose payload or signature was changed is none of ours.
    let token = sign_in(&client, ALICE).await.access_token;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let other: String = row.get(0);
    let other = other.split('.').nth(1).unwrap();
    for forged in [format!("{header}.{payload}.{}", "A".repeat(86)), format!("{header}.{other}.{signature}")] {
        refused(get_user_of(&client, &forged).await, "bad_jwt_signature");
    }
    get_user_of(&client, &token).await.unwrap();

    // Presented for the first time after its session ended, in this backend.
    let ended = sign_in(&client, ALICE).await;
    bed.admin.batch_execute(&format!("delete from auth.sessions where id = '{}'", ended.session_id)).await.unwrap();
    refused(get_user_of(&client, &ended.access_token).await, "session_not_found");

    // After its key was retired; and after that key's name was given to another one.
    let retired = sign_in(&client, ALICE).await;
    let sql = "select kid from auth.signing_keys where status = 'active'";
    let kid: String = bed.admin.query_one(sql, &[]).await.unwrap().get(0);
    bed.admin
        .batch_execute(&format!("select auth.rotate_signing_key(); select auth.retire_signing_key('{kid}')"))
        .await
        .unwrap();
    refused(get_user_of(&client, &retired.access_token).await, "bad_jwt_key");
    let renamed = sign_in(&client, ALICE).await;
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let sql = "update auth.signing_keys set public_key = $1 || jsonb_build_object('kid', kid) where status = 'active'";
    bed.admin.execute(sql, &[&stranger.public_jwk()]).await.unwrap();
    refused(get_user_of(&client, &renamed.access_token).await, "bad_jwt_signature");

    // After it expired, and after the issuer was given another name.
    bed.admin.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    bed.set("workos_auth.access_token_ttl", "1s").await;
    let client = bed.connect(&backend).await;
    let short = sign_in(&client, ALICE).await;
    pass(short.claims["exp"].as_i64().unwrap()).await;
    refused(get_user_of(&client, &short.access_token).await, "bad_jwt_expired");
    assert!(client.query_one(&refresh, &[&refresh_token]).await.is_ok());
}
