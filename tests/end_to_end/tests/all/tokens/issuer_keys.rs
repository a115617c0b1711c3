//! Whom the database trusts, and with which keys: who may say so, how keys come, and what is refused.

use serde_json::{Value, json};
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::set_session;
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, KeyServer, OtherIssuer, accept, now};
use workos_end_to_end::sql::{connect_with_notices, lines, refused, refused_as, text};

const ISSUER: &str = "https://api.example.com";

#[tokio::test]
async fn keys_are_fetched_when_somebody_asks_for_it() {
    let bed = Bed::shared("fetched").await;
    let (old, new) = (OtherIssuer::new(ISSUER, Algorithm::Es256), OtherIssuer::new(ISSUER, Algorithm::Rs256));
    let server = KeyServer::start(&old.jwks()).await;
    let trust = "select auth.trust_issuer($1, 'authkit', jwks_uri => $2, client_id => $3)";
    for name in [ISSUER, "https://api.example.com/"] {
        bed.admin.execute(trust, &[&name, &server.uri, &AUTHKIT_CLIENT]).await.unwrap();
    }
    let backend = bed.backend().await;
    let token = old.token("ann", json!({}));
    refused(accept(&backend, &token).await, "bad_jwt_key");
    assert_eq!(server.asked(), 0, "a reader asked");
    // Both issuers by one request.
    assert_eq!(text(&bed.admin, "select auth.refresh_issuer_keys()").await.unwrap().as_deref(), Some("2"));
    assert_eq!(server.asked(), 1);
    accept(&backend, &token).await.unwrap();
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    set_session(&app, &token, false).await.unwrap();

    // Whatever comes instead of keys, those that are known stay.
    let refresh = format!("select auth.refresh_issuer_keys('{ISSUER}')");
    for (what, status, body, name) in [
        ("not there", "404 Not Found", "{}".to_owned(), "issuer_keys_not_fetched"),
        ("elsewhere", "302 Found", String::new(), "issuer_keys_not_fetched"),
        ("trouble", "500 Internal Server Error", old.jwks().to_string(), "issuer_keys_not_fetched"),
        ("a page", "200 OK", "<html>".into(), "jwks_invalid"),
        ("nothing", "200 OK", String::new(), "jwks_invalid"),
        ("no keys", "200 OK", json!({ "keys": [] }).to_string(), "jwks_invalid"),
        ("1 MB", "200 OK", json!({ "keys": ["A".repeat(1 << 20)] }).to_string(), "issuer_keys_not_fetched"),
        ("300 kB", "200 OK", json!({ "keys": ["A".repeat(300_000)] }).to_string(), "jwks_invalid"),
        (
            "a secret",
            "200 OK",
            json!({ "keys": [{ "kty": "oct", "kid": "x", "k": "c2VjcmV0" }] }).to_string(),
            "jwks_invalid",
        ),
    ] {
        server.answers(status, &body);
        let refusal = refused(bed.admin.batch_execute(&refresh).await, name);
        assert!(!refusal.detail.is_empty() && !refusal.to_string().contains("c2Vj"), "{what}: {refusal}");
        assert!(text(&app, "select auth.uid()").await.unwrap().is_some(), "{what}");
    }
    // Of several, one that fails is told of, and keeps the others from nothing.
    server.answers("500 Internal Server Error", "");
    let other = KeyServer::start(&new.jwks()).await;
    bed.admin.execute(trust, &[&"https://other.example.com", &other.uri, &AUTHKIT_CLIENT]).await.unwrap();
    let (admin, notices) =
        connect_with_notices(&bed.cluster.config(&bed.database, workos_testbed::cluster::SUPERUSER)).await.unwrap();
    assert_eq!(text(&admin, "select auth.refresh_issuer_keys()").await.unwrap().as_deref(), Some("1"));
    let warnings = notices.take_warnings();
    assert!(warnings.iter().any(|warning| warning.detail.starts_with("https://api.example.com")), "{warnings:?}");
    refused(
        bed.admin.batch_execute("select auth.refresh_issuer_keys('https://nobody.example.com')").await,
        "validation_failed",
    );

    // A key that is published no more verifies no more.
    server.answers("200 OK", &new.jwks().to_string());
    bed.admin.batch_execute(&refresh).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "bad_jwt_key");
    accept(&backend, &new.token("ann", json!({}))).await.unwrap();
    let keys = format!(
        "select kid = '{}', algorithm, status from auth.issuer_keys where issuer = '{ISSUER}' order by status",
        new.key.kid()
    );
    assert_eq!(lines(&bed.admin, &keys).await.unwrap(), ["t|RS256|active", "f|ES256|retired"]);
    let audit = format!(
        "select action, payload -> 'added', payload -> 'retired' from auth.audit_log_entries where action = 'issuer_keys_changed' and payload ->> 'issuer' = '{ISSUER}' order by created_at"
    );
    let kids = (old.key.kid(), new.key.kid());
    assert_eq!(
        lines(&bed.admin, &audit).await.unwrap(),
        [
            format!("issuer_keys_changed|[\"{}\"]|[]", kids.0),
            format!("issuer_keys_changed|[\"{}\"]|[\"{}\"]", kids.1, kids.0)
        ]
    );
    // And one that comes back does.
    bed.admin.execute("select auth.set_issuer_keys($1, $2)", &[&ISSUER, &old.jwks()]).await.unwrap();
    set_session(&app, &token, false).await.unwrap();
    // Keys of another place are another's word.
    bed.admin.execute(trust, &[&ISSUER, &other.uri, &AUTHKIT_CLIENT]).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "bad_jwt_key");
    drop(bed);
}

#[tokio::test]
async fn who_may_say_whom_the_database_trusts() {
    let bed = Bed::shared("rights").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    let (operator, nobody) = (bed.role("operator", "").await, bed.role("nobody", "").await);
    bed.admin.batch_execute(&format!("select auth.grant_admin('{operator}')")).await.unwrap();
    let (operator, nobody) = (bed.connect(&operator).await, bed.connect(&nobody).await);
    for call in [
        "auth.trust_issuer('https://a', 'oidc', jwks => '{}', audience => 'a')",
        "auth.trust_workos()",
        "auth.distrust_issuer('https://a')",
        "auth.set_issuer_keys('https://a', '{}')",
        "auth.refresh_issuer_keys()",
        "auth.accept_token('x')",
        "auth.revoke_session('https://a', 'x')",
    ] {
        refused_as(nobody.batch_execute(&format!("select {call}")).await, "42501");
    }
    for table in ["trusted_issuers", "issuer_keys", "ended_sessions"] {
        refused_as(nobody.batch_execute(&format!("select * from auth.{table}")).await, "42501");
        operator.batch_execute(&format!("select * from auth.{table}")).await.unwrap();
        refused_as(operator.batch_execute(&format!("delete from auth.{table}")).await, "42501");
    }
    // Where the database asks is a superuser's to say; whose keys are taken, and WorkOS, an administrator's.
    let elsewhere = "select auth.trust_issuer('https://a.example.com', 'oidc', jwks_uri => 'https://169.254.169.254/', audience => 'a')";
    refused(operator.batch_execute(elsewhere).await, "insufficient_privilege");
    let trust = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    operator.execute(trust, &[&ISSUER, &issuer.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    operator.batch_execute("select auth.trust_workos()").await.unwrap();
    let rows = lines(&operator, "select issuer ~ '/user_management/', kind, jwks_uri ~ '/sso/jwks/client_', client_id is not null from auth.trusted_issuers where jwks_uri is not null order by issuer").await.unwrap();
    assert_eq!(rows, ["f|authkit|t|t", "t|authkit|t|t"]);
    // The simulator has no AuthKit, and says so.
    refused(operator.batch_execute("select auth.refresh_issuer_keys()").await, "issuer_keys_not_fetched");
    let audit =
        lines(&bed.admin, "select distinct action from auth.audit_log_entries where action like 'issuer%' order by 1")
            .await
            .unwrap();
    assert_eq!(audit, ["issuer_keys_changed", "issuer_trusted"]);
    operator.execute("select auth.distrust_issuer($1)", &[&ISSUER]).await.unwrap();
    let gone = "select count(*) from auth.issuer_keys";
    assert_eq!(text(&operator, gone).await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn bad_arguments_change_nothing() {
    let bed = Bed::shared("arguments").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    let own = text(&bed.admin, "select 'urn:uuid:' || id from auth.installation").await.unwrap().unwrap();
    let before = bed.contents().await;
    let good =
        json!({ "issuer": ISSUER, "kind": "authkit", "jwks": issuer.jwks(), "client_id": "client_x", "claims": {} });
    for (what, changes, name) in [
        ("no issuer", json!({ "issuer": null }), "null_value"),
        ("no kind", json!({ "kind": null }), "null_value"),
        ("no claims", json!({ "claims": null }), "null_value"),
        ("an empty issuer", json!({ "issuer": "" }), "validation_failed"),
        ("no URI", json!({ "issuer": "example" }), "validation_failed"),
        ("ourselves", json!({ "issuer": own }), "validation_failed"),
        ("another kind", json!({ "kind": "saml" }), "validation_failed"),
        ("no client", json!({ "client_id": null }), "validation_failed"),
        ("nothing to tell applications apart by", json!({ "kind": "oidc", "client_id": null }), "validation_failed"),
        ("no audience", json!({ "kind": "workos_auth" }), "validation_failed"),
        ("no keys", json!({ "jwks": null }), "validation_failed"),
        ("a file", json!({ "jwks_uri": "file:///etc/passwd" }), "validation_failed"),
        ("no TLS", json!({ "jwks_uri": "http://example.com/" }), "validation_failed"),
        ("a password", json!({ "jwks_uri": "https://u:p@example.com/" }), "validation_failed"),
        ("a role that sessions may not have", json!({ "database_role": "postgres" }), "role_not_allowed"),
        ("an unknown member", json!({ "claims": { "database_role": "x" } }), "validation_failed"),
        ("a list", json!({ "claims": [] }), "validation_failed"),
        ("no key set", json!({ "jwks": {} }), "jwks_invalid"),
        (
            "a private key",
            json!({ "jwks": { "keys": [{ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "d": "c2VjcmV0", "kid": "x" }] } }),
            "jwks_invalid",
        ),
        ("many keys", json!({ "jwks": { "keys": vec![json!({}); 10_000] } }), "jwks_invalid"),
    ] {
        let mut arguments = good.clone();
        for (member, value) in changes.as_object().unwrap() {
            arguments[member] = value.clone();
        }
        let text = |name: &str| arguments[name].as_str().map(str::to_owned);
        let json = |name: &str| Some(&arguments[name]).filter(|value| !value.is_null()).cloned();
        let sql = "select auth.trust_issuer($1, $2, jwks_uri => $3, jwks => $4, audience => $5, client_id => $6, database_role => $7, claims => $8)";
        let result = bed
            .admin
            .execute(
                sql,
                &[
                    &text("issuer"),
                    &text("kind"),
                    &text("jwks_uri"),
                    &json("jwks"),
                    &text("audience"),
                    &text("client_id"),
                    &text("database_role"),
                    &json("claims"),
                ],
            )
            .await;
        assert!(result.is_err(), "{what}");
        let refusal = refused(result, name);
        assert!(!refusal.detail.is_empty() && !refusal.to_string().contains("c2Vj"), "{what}: {refusal}");
        assert_eq!(bed.contents().await, before, "{what}");
    }
    for call in [
        "auth.set_issuer_keys('https://nobody.example.com', '{\"keys\": []}')",
        "auth.set_issuer_keys('https://nobody.example.com', null)",
        "auth.set_issuer_keys(null, '{}')",
        "auth.distrust_issuer(null)",
        "auth.revoke_session('https://nobody.example.com', 'x')",
        "auth.revoke_session(null, 'x')",
        "auth.revoke_session('https://nobody.example.com', null)",
        "auth.accept_token(null)",
        "auth.accept_token('x')",
        "auth.has_feature(null)",
        "auth.recently_authenticated(null)",
    ] {
        assert!(bed.admin.query(&format!("select {call}"), &[]).await.is_err(), "{call}");
    }
    let unknown =
        bed.admin.execute("select auth.set_issuer_keys('https://nobody.example.com', $1)", &[&issuer.jwks()]).await;
    refused(unknown, "validation_failed");
    assert_eq!(bed.contents().await, before);
}

/// Another installation of this extension, an OpenID provider, and machines: each with its own words.
#[tokio::test]
async fn issuers_of_all_kinds_have_people_here() {
    let bed = Bed::shared("kinds").await;
    let backend = bed.backend().await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    let time = |name: &'static str, value: Value| {
        let mut claims = json!({ "iss": name, "iat": now(), "exp": now() + 60 });
        claims.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        claims
    };
    let (session, person) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    for (kind, name, arguments, claims, seen) in [
        (
            "workos_auth",
            "urn:uuid:8c1f0a4e-0000-4000-8000-000000000001",
            "audience => 'authenticated'",
            json!({ "sub": person, "session_id": session, "aud": "authenticated", "org_id": "org_theirs", "org_roles": ["admin"], "role": "authenticated", "auth_time": now() }),
            format!("{person}|{session}|org_theirs|t|f|t"),
        ),
        (
            "oidc",
            "https://login.example.com/tenant/v2.0",
            r#"client_id => 'app', claims => '{"organization": "tid", "roles": ["realm_access", "roles"]}'"#,
            json!({ "sub": "2482", "aud": "app", "tid": "tenant-1", "realm_access": { "roles": ["admin"] }, "sid": session }),
            format!("2482|{session}|tenant-1|t|f|f"),
        ),
        (
            "authkit_m2m",
            "https://authkit.example.com",
            "audience => 'api'",
            json!({ "sub": "client_01M2M", "aud": "api", "org_id": "org_acme", "scope": "todos:read todos:write" }),
            "client_01M2M|NULL|org_acme|f|t|f".to_owned(),
        ),
    ] {
        let issuer = OtherIssuer::new(name, Algorithm::Es256);
        let sql = format!("select auth.trust_issuer($1, $2, jwks => $3, {arguments})");
        bed.admin
            .execute(&sql, &[&name, &kind, &issuer.jwks()])
            .await
            .unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        let token = issuer.sign(&time(name, claims));
        accept(&backend, &token).await.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
        set_session(&app, &token, false).await.unwrap();
        let readers = "select auth.subject(), auth.session_id(), auth.organization_id(), auth.has_role('admin'), auth.has_permission('todos:read'), auth.recently_authenticated('1 month')";
        assert_eq!(lines(&app, readers).await.unwrap(), [seen], "{kind}");
    }
}

/// A database that opens no sessions of its own needs neither WorkOS nor a root key.
#[tokio::test]
async fn a_database_without_workos_takes_tokens_of_others() {
    let bed = Bed::shared("without_workos").await;
    let name = format!("{}_bare", bed.database);
    bed.cluster.create_database(&name).await.unwrap();
    let admin = bed.cluster.connect(&name, workos_testbed::cluster::SUPERUSER).await.unwrap();
    admin.batch_execute("create extension workos_auth; set workos_auth.rls_guard = off").await.unwrap();
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Rs256);
    let trust = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    admin.execute(trust, &[&issuer.name, &issuer.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    let token = issuer.token("ann", json!({}));
    let ann = accept(&admin, &token).await.unwrap();
    set_session(&admin, &token, false).await.unwrap();
    assert_eq!(text(&admin, "select auth.uid()").await.unwrap(), Some(ann.to_string()));
    refused(admin.batch_execute("select auth.trust_workos()").await, "provider_not_configured");
}

/// Issuers and their keys go into a dump, whatever order it brings them in.
#[tokio::test]
async fn issuers_are_restored() {
    let bed = Bed::shared("dumped").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    issuer.is_trusted_by(&bed).await;
    let dumped = "select array_agg(c::regclass::text order by c::regclass::text) from pg_extension, unnest(extconfig) c
        where extname = 'workos_auth' and c::regclass::text ~ 'issuer|ended'";
    assert_eq!(
        text(&bed.admin, dumped).await.unwrap().as_deref(),
        Some("{auth.ended_sessions,auth.issuer_keys,auth.trusted_issuers}")
    );
    // As pg_restore brings rows: the keys first.
    let file = std::env::temp_dir().join(format!("{}-{}", bed.database, uuid::Uuid::new_v4()));
    let file = file.display();
    for statement in [
        format!("copy auth.issuer_keys to '{file}'"),
        "create temp table issuers as select * from auth.trusted_issuers".to_owned(),
        "truncate auth.trusted_issuers cascade".to_owned(),
        "set row_security = off".to_owned(),
        format!("copy auth.issuer_keys from '{file}'"),
        "insert into auth.trusted_issuers select * from issuers".to_owned(),
    ] {
        bed.admin.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    std::fs::remove_file(file.to_string()).unwrap();
    accept(&bed.backend().await, &issuer.token("ann", json!({}))).await.unwrap();
}
