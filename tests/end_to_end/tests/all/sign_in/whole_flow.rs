//! The whole flow, and what it leaves in the tables.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, SystemTime};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};
use uuid::Uuid;
use workos_end_to_end::case;
use workos_end_to_end::{ALICE, BOB, Bed, GINA, Person, exchange, profile, refused, sign_in, start_with};
use workos_simulator::{Fault, FaultKind, Profile};

/// One row of one column, as JSON.
async fn row(bed: &Bed<'_>, sql: &str) -> Value {
    let rows = bed.admin.query(&format!("select to_jsonb(found) from ({sql}) found"), &[]).await.unwrap();
    assert_eq!(rows.len(), 1, "{sql}");
    rows[0].get(0)
}

fn is_about(time: SystemTime, wanted: SystemTime) -> bool {
    let (Ok(apart) | Err(apart)) = time.duration_since(wanted).map_err(|error| error.duration());
    apart < Duration::from_secs(120)
}

#[tokio::test]
async fn a_sign_in_writes_user_identity_organization_membership_and_session() {
    let bed = Bed::shared("alice").await;
    let app = bed.backend().await;
    let pending =
        start_with(&app, "organization => 'org_acme', redirect_to => 'http://localhost:3000/todos'", ALICE.email).await;
    let sql = "select * from auth.exchange_code($1, $2, $3, ip => '2001:db8::7', user_agent => 'Browser/1.0')";
    let found = app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let session = workos_end_to_end::Session::from(&found);

    assert_eq!((session.email.as_str(), session.organization_id.as_deref()), (ALICE.email, Some("org_acme")));
    assert_eq!(session.redirect_to.as_deref(), Some("http://localhost:3000/todos"));
    assert!(session.is_new_user);
    assert!(session.provider_token.as_deref().is_some_and(|token| token.starts_with("sso_token_")));
    assert!(is_about(session.expires_at, SystemTime::now() + Duration::from_secs(3600)));

    let user = row(&bed, "select *, now() - last_sign_in_at < interval '2 min' and email_confirmed_at is not null as now from auth.users").await;
    assert_eq!(user["id"], json!(session.user_id));
    assert_eq!(
        (&user["email"], &user["role"], &user["aud"]),
        (&json!(ALICE.email), &json!("authenticated"), &json!("authenticated"))
    );
    assert_eq!((&user["is_sso_user"], &user["banned_until"], &user["now"]), (&json!(true), &Value::Null, &json!(true)));
    assert_eq!(user["raw_app_meta_data"], json!({ "provider": "workos", "providers": ["workos"] }));
    assert_eq!(user["raw_user_meta_data"]["full_name"], "Alice Admin");

    let identity = row(&bed, "select * from auth.identities").await;
    for (column, value) in [
        ("user_id", json!(session.user_id)),
        ("provider", json!("workos")),
        ("provider_id", json!("prof_alice")),
        ("organization_id", json!("org_acme")),
        ("connection_id", json!("conn_acme")),
        ("connection_type", json!("OktaSAML")),
        ("idp_id", json!("okta-alice")),
        ("email", json!(ALICE.email)),
    ] {
        assert_eq!(identity[column], value, "{column}");
    }
    assert_eq!(identity["identity_data"]["groups"], json!(["engineering", "admins"]));
    assert_eq!(identity["identity_data"]["custom_attributes"]["cost_center"], "4711");

    assert_eq!(row(&bed, "select id from auth.organizations").await, json!({ "id": "org_acme" }));
    let member = row(&bed, "select * from auth.organization_memberships").await;
    for (column, value) in [
        ("organization_id", json!("org_acme")),
        ("user_id", json!(session.user_id)),
        ("role", json!("admin")),
        ("roles", json!(["admin"])),
        ("groups", json!(["engineering", "admins"])),
        ("permissions", json!([])),
        ("custom_attributes", json!({ "department": "Engineering", "cost_center": "4711" })),
    ] {
        assert_eq!(member[column], value, "{column}");
    }

    let kept = row(&bed, "select *, octet_length(refresh_token_salt) as salt, extract(epoch from not_after - created_at) as ttl from auth.sessions").await;
    for (column, value) in [
        ("id", json!(session.session_id)),
        ("user_id", json!(session.user_id)),
        ("identity_id", identity["id"].clone()),
        ("organization_id", json!("org_acme")),
        ("connection_id", json!("conn_acme")),
        ("email", json!(ALICE.email)),
        ("aal", json!("aal1")),
        ("claims_version", json!(0)),
        ("refresh_token_counter", json!(0)),
        ("salt", json!(16)),
        ("ip", json!("2001:db8::7")),
        ("user_agent", json!("Browser/1.0")),
    ] {
        assert_eq!(kept[column], value, "{column}");
    }
    assert!((kept["ttl"].as_f64().unwrap() - 7.0 * 86400.0).abs() < 60.0, "{kept}");
    assert_eq!(kept["amr"], json!([{ "method": "oauth", "timestamp": kept["amr"][0]["timestamp"] }]));

    let audited = bed
        .admin
        .query("select action from auth.audit_log_entries where user_id = $1 order by created_at", &[&session.user_id])
        .await
        .unwrap();
    let actions: Vec<&str> = audited.iter().map(|row| row.get(0)).collect();
    assert_eq!(actions, ["user_signedup", "login"]);
    let login = row(&bed, "select * from auth.audit_log_entries where action = 'login'").await;
    assert_eq!((&login["session_id"], &login["ip"]), (&json!(session.session_id), &json!("2001:db8::7")));
    assert_eq!(login["actor"], bed.named("DATABASE_backend"));
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0, "the flow is consumed");
}

#[tokio::test]
async fn the_claims_are_those_of_the_token_and_say_who_it_is() {
    let bed = Bed::shared("claims").await;
    let app = bed.backend().await;
    let mut users = Vec::new();
    for (person, organization, connection, role, groups) in [
        (ALICE, Some("org_acme"), "conn_acme", Some("admin"), json!(["engineering", "admins"])),
        (BOB, Some("org_globex"), "conn_globex", Some("admin"), json!(["operations"])),
        (GINA, None, "conn_google", None, json!([])),
    ] {
        case!(person, organization, connection, role, groups);
        let session = sign_in(&app, person).await;
        let verified: Value =
            app.query_one("select auth.verify_token($1)", &[&session.access_token]).await.unwrap().get(0);
        assert_eq!(verified, session.claims);
        assert_eq!(session.email, person.email);
        assert_eq!(session.organization_id.as_deref(), organization);
        let claims = &session.claims;
        for (name, value) in [
            ("sub", json!(session.user_id)),
            ("session_id", json!(session.session_id)),
            ("email", json!(person.email)),
            ("aud", json!("authenticated")),
            ("role", json!("authenticated")),
            ("org_id", json!(organization)),
            ("connection_id", json!(connection)),
            ("org_role", json!(role)),
            ("groups", groups),
        ] {
            assert_eq!(claims[name], value, "{name} of {}", person.email);
        }
        let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(claims["exp"].as_u64().unwrap());
        assert_eq!(session.expires_at, expires_at);
        users.push(session.user_id);
    }
    users.sort();
    users.dedup();
    assert_eq!(users.len(), 3);
    // Whoever comes through no organization belongs to none.
    assert_eq!(bed.count("select count(*) from auth.organizations").await, 2);
    assert_eq!(bed.count("select count(*) from auth.organization_memberships").await, 2);
    let gina = row(&bed, "select u.is_sso_user, i.organization_id from auth.users u join auth.identities i on i.user_id = u.id where u.email = 'gina@gmail.com'").await;
    assert_eq!(gina, json!({ "is_sso_user": false, "organization_id": null }));
}

fn alice_with(groups: &[&str], last_name: &str, role: &str) -> Profile {
    Profile {
        first_name: Some("Alice".into()),
        last_name: Some(last_name.into()),
        role: Some(role.into()),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..profile("prof_alice", "conn_acme", ALICE.email, "okta-alice")
    }
}

#[tokio::test]
async fn a_second_sign_in_is_the_same_user_with_what_is_true_now() {
    let bed = Bed::shared("again").await;
    let app = bed.backend().await;
    bed.simulator().put_profile(alice_with(&["engineering", "admins"], "Admin", "admin")).unwrap();
    let first = sign_in(&app, ALICE).await;
    let unchanged = sign_in(&app, ALICE).await;
    assert_eq!((unchanged.user_id, unchanged.is_new_user), (first.user_id, false));
    assert_ne!(unchanged.session_id, first.session_id);
    assert_ne!(unchanged.refresh_token, first.refresh_token);
    // Nothing changed, so the first session lives on.
    app.query_one("select auth.verify_token($1)", &[&first.access_token]).await.unwrap();
    bed.admin
        .batch_execute("update auth.users set raw_user_meta_data = raw_user_meta_data || '{\"theme\": \"dark\"}'")
        .await
        .unwrap();

    bed.simulator().put_profile(alice_with(&["engineering"], "Married", "member")).unwrap();
    let changed = sign_in(&app, ALICE).await;
    assert_eq!((changed.user_id, changed.is_new_user), (first.user_id, false));
    assert_eq!((&changed.claims["groups"], &changed.claims["org_role"]), (&json!(["engineering"]), &json!("member")));
    assert_eq!(changed.claims["user_metadata"]["full_name"], "Alice Married");
    assert_eq!(changed.claims["user_metadata"]["theme"], "dark", "what others wrote stays");
    let member = row(&bed, "select role, roles, groups from auth.organization_memberships").await;
    assert_eq!(member, json!({ "role": "member", "roles": ["member"], "groups": ["engineering"] }));
    assert_eq!(bed.count("select count(*) from auth.identities").await, 1);

    for older in [&first, &unchanged] {
        refused(app.query_one("select auth.verify_token($1)", &[&older.access_token]).await, "session_stale");
    }
    app.query_one("select auth.verify_token($1)", &[&changed.access_token]).await.unwrap();
}

#[tokio::test]
async fn whatever_an_identity_provider_calls_its_groups() {
    let bed = Bed::shared("odd_groups").await;
    let app = bed.backend().await;
    let odd = [
        "a,b",
        "{x}",
        "\"q\"",
        "NULL",
        "null",
        "ä ö",
        "line\nbreak",
        "back\\slash",
        "'; drop table auth.users; --",
        "CN=Admins,OU=Groups",
    ];
    bed.simulator().put_profile(alice_with(&odd, "O'Hara \"\\\u{1F600}", "admin")).unwrap();
    let session = sign_in(&app, ALICE).await;
    assert_eq!(session.claims["groups"], json!(odd));
    assert_eq!(session.claims["user_metadata"]["full_name"], "Alice O'Hara \"\\\u{1F600}");
    workos_end_to_end::set_session(&app, &session.access_token, false).await.unwrap();
    for group in odd {
        let found = app.query_one("select auth.in_group($1, 'org_acme')", &[&group]).await.unwrap();
        assert!(found.get::<_, bool>(0), "{group}");
    }
    let found = app.query_one("select auth.in_group('a', 'org_acme')", &[]).await.unwrap();
    assert!(!found.get::<_, bool>(0));
    let kept: Vec<String> =
        bed.admin.query_one("select groups from auth.organization_memberships", &[]).await.unwrap().get(0);
    assert_eq!(kept, odd);
}

#[tokio::test]
async fn a_session_of_another_organization_stays_when_groups_change() {
    let bed = Bed::shared("elsewhere").await;
    let app = bed.backend().await;
    let bob = sign_in(&app, BOB).await;
    sign_in(&app, ALICE).await;
    bed.simulator().put_profile(alice_with(&["nothing"], "Admin", "admin")).unwrap();
    sign_in(&app, ALICE).await;
    app.query_one("select auth.verify_token($1)", &[&bob.access_token]).await.unwrap();
}

#[tokio::test]
async fn the_token_is_good_for_any_jose_library() {
    let bed = Bed::shared("jose").await;
    let app = bed.backend().await;
    let session = sign_in(&app, ALICE).await;
    let jwks: Value = app.query_one("select auth.jwks()", &[]).await.unwrap().get(0);
    assert!(!jwks.to_string().contains("\"d\""), "a private key is published: {jwks}");
    let jwks: JwkSet = serde_json::from_value(jwks).unwrap();
    let header = decode_header(&session.access_token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let key = jwks.find(header.kid.as_deref().unwrap()).expect("the key is published");

    let installation: Uuid = bed.admin.query_one("select id from auth.installation", &[]).await.unwrap().get(0);
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["authenticated"]);
    validation.set_issuer(&[format!("urn:uuid:{installation}")]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let decoded = decode::<Value>(&session.access_token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
    assert_eq!(decoded.claims, session.claims);
}

#[tokio::test]
async fn workos_is_asked_as_its_documentation_says() {
    let bed = Bed::shared("asked").await;
    let app = bed.backend().await;
    let pending = start_with(&app, ALICE.selector, ALICE.email).await;
    exchange(&app, &pending).await.unwrap();

    let requests = bed.token_requests();
    let [request] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(request.method, "POST");
    assert_eq!(request.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert!(request.query.is_empty(), "secrets do not belong into a query");
    let mut names: Vec<&str> = request.fields.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["client_id", "client_secret", "code", "code_verifier", "grant_type"]);
    assert_eq!(request.field("client_id"), Some("client_demo"));
    assert_eq!(request.field("client_secret"), Some("sk_test_demo"));
    assert_eq!(request.field("grant_type"), Some("authorization_code"));
    assert_eq!(request.field("code"), Some(pending.code.as_str()));
    let upstream = request.field("code_verifier").unwrap();
    assert_ne!(upstream, pending.verifier, "the client's verifier is not WorkOS's business");

    let seen = bed.simulator().requests();
    let authorize = seen.iter().find(|request| request.path == "/sso/authorize").unwrap();
    // Postgres computes the challenge, so that our own code is not its own witness.
    let sql = "select translate(rtrim(encode(sha256(convert_to($1, 'UTF8')), 'base64'), '='), '+/', '-_')";
    let challenge: String = bed.admin.query_one(sql, &[&upstream]).await.unwrap().get(0);
    assert_eq!(authorize.parameter("code_challenge"), Some(challenge.as_str()));
    assert_eq!(authorize.parameter("code_challenge_method"), Some("S256"));
    assert_eq!(authorize.parameter("response_type"), Some("code"));
    assert_eq!(authorize.parameter("redirect_uri"), Some("http://localhost:3000/callback"));
    assert_eq!(authorize.parameter("state"), Some(pending.state.as_str()));
}

#[tokio::test]
async fn a_server_that_reads_json_only_is_asked_again_with_the_same_code() {
    let bed = Bed::shared("json").await;
    let app = bed.backend().await;
    bed.simulator().set_fault(Fault::token(FaultKind::JsonOnly)).unwrap();
    sign_in(&app, ALICE).await;
    let requests = bed.token_requests();
    let [form, json] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(form.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    assert_eq!(json.content_type.as_deref(), Some("application/json"));
    let sorted = |fields: &[(String, String)]| {
        let mut fields = fields.to_vec();
        fields.sort();
        fields
    };
    assert_eq!(sorted(&form.fields), sorted(&json.fields));
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
}

#[tokio::test]
async fn organization_and_connection_sends_the_connection_and_checks_both() {
    let bed = Bed::shared("both").await;
    let app = bed.backend().await;
    let both = Person {
        selector: "organization => 'org_initech', connection => 'conn_initech_okta'",
        email: "ines@initech.com",
    };
    let session = sign_in(&app, both).await;
    assert_eq!(session.organization_id.as_deref(), Some("org_initech"));
    let seen = bed.simulator().requests();
    let authorize = seen.iter().find(|request| request.path == "/sso/authorize").unwrap();
    assert_eq!(authorize.parameter("connection"), Some("conn_initech_okta"));
    assert_eq!(authorize.parameter("organization"), None, "WorkOS takes one selector");

    let before = bed.count("select count(*) from auth.users").await;
    let mixed = "organization => 'org_acme', connection => 'conn_initech_okta'";
    let pending = start_with(&app, mixed, "ines@initech.com").await;
    let refusal = refused(exchange(&app, &pending).await, "organization_mismatch");
    assert!(refusal.detail.contains("org_acme") && refusal.detail.contains("org_initech"), "{refusal}");
    bed.simulator().set_fault(Fault::token(FaultKind::WrongConnection).times(1)).unwrap();
    let pending = start_with(&app, both.selector, both.email).await;
    refused(exchange(&app, &pending).await, "connection_mismatch");
    assert_eq!(bed.count("select count(*) from auth.users").await, before);
}
