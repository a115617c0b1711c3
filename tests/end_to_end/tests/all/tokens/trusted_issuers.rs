//! Tokens of trusted issuers: whom readers see, and which tokens are refused.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, OtherIssuer, accept, now};
use workos_end_to_end::mint::encode;
use workos_end_to_end::sql::{lines, refused, refused_as, text};

const ISSUER: &str = "https://api.example.com/user_management/client_01AUTHKIT";

/// Whom readers see.
async fn seen(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = "select auth.uid() is not null, auth.issuer(), auth.subject(), auth.role(), auth.email(), auth.session_id(), auth.organization_id(),
        auth.connection_id(), auth.has_role('admin'), auth.has_role('service_role'), auth.has_role('admin', 'org_acme'), auth.has_permission('todos:read'),
        auth.in_group('admin'), auth.has_feature('beta'), auth.has_feature('gamma'), auth.recently_authenticated('5 minutes'),
        auth.recently_authenticated('10 seconds'), auth.jwt() ->> 'role'";
    lines(client, sql).await
}

#[tokio::test]
async fn the_person_of_a_trusted_token_is_known_after_the_first_time() {
    let bed = Bed::shared("first_time").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Rs256);
    let (backend, role) = (bed.backend().await, bed.role("app", "").await);
    let app = bed.connect(&role).await;
    let token = issuer.token("ann", json!({ "email": "Ann@Acme.com", "email_verified": true, "name": "Ann" }));
    refused(set_session(&app, &token, false).await, "bad_jwt_key");

    issuer.is_trusted_by(&bed).await;
    let before = bed.contents().await;
    let refusal = refused(set_session(&app, &token, false).await, "person_not_accepted");
    assert!(refusal.hint.contains("auth.accept_token"), "{refusal}");
    refused(app.query("select auth.verify_token($1)", &[&token]).await, "person_not_accepted");
    refused_as(app.query("select auth.accept_token($1)", &[&token]).await, "42501");
    assert_eq!(bed.contents().await, before);

    let ann = accept(&backend, &token).await.unwrap();
    let known = bed.contents().await;
    assert_ne!(known, before);
    // Known is known: nothing is written, whichever token of hers it is.
    assert_eq!(accept(&backend, &token).await.unwrap(), ann);
    let other = issuer.token("ann", json!({ "sid": "session_other", "roles": ["member"] }));
    assert_eq!(accept(&backend, &other).await.unwrap(), ann);
    assert_eq!(bed.contents().await, known);

    set_session(&app, &token, false).await.unwrap();
    let line =
        format!("t|{ISSUER}|user_ann|authenticated|ann@acme.com|NULL|org_acme|NULL|t|f|t|t|f|t|f|t|f|service_role");
    assert_eq!(seen(&app).await.unwrap(), [line]);
    assert_eq!(text(&app, "select auth.uid()").await.unwrap(), Some(ann.to_string()));
    assert_eq!(text(&app, "select auth.get_user() ->> 'email'").await.unwrap().as_deref(), Some("ann@acme.com"));
    let identities = "select provider, provider_id, organization_id, email from auth.identities";
    assert_eq!(lines(&bed.admin, identities).await.unwrap(), [format!("{ISSUER}|user_ann|NULL|ann@acme.com")]);
    let members = "select organization_id, role, roles, permissions from auth.organization_memberships";
    assert_eq!(
        lines(&bed.admin, members).await.unwrap(),
        ["org_acme|NULL|{}|{}"],
        "what a token says counts for that token"
    );
    let audit = "select action, user_id is not null, payload ->> 'provider_id' from auth.audit_log_entries where action in ('user_signedup', 'token_accepted') order by action";
    assert_eq!(lines(&bed.admin, audit).await.unwrap(), ["token_accepted|t|user_ann", "user_signedup|t|user_ann"]);
    // What needs a session of this database says so.
    refused(app.query("select auth.link_identity($1, 'org_acme')", &[&token]).await, "no_authorization");
    refused(app.query("select auth.unlink_identity($1, gen_random_uuid())", &[&token]).await, "no_authorization");
    refused(app.query("select auth.sign_out($1, 'others')", &[&token]).await, "validation_failed");
    assert!(app.query("select * from auth.my_sessions($1)", &[&token]).await.unwrap().is_empty());
    app.query("select auth.update_user($1, '{\"a\": 1}')", &[&token]).await.unwrap();
}

/// An address is what a customer's identity provider says of its own people: no token of another issuer leads into their accounts.
#[tokio::test]
async fn nobody_joins_an_account_that_is_there() {
    let bed = Bed::shared("joins").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    issuer.is_trusted_by(&bed).await;
    let (backend, alice) = (bed.backend().await, bed.sign_in(ALICE).await);
    let claims = json!({ "email": "alice@acme.com", "email_verified": true });
    let other = accept(&backend, &issuer.token("alice", claims.clone())).await.unwrap();
    assert_ne!(other, alice.user_id);
    let email = format!("select email from auth.users where id = '{other}'");
    assert_eq!(text(&bed.admin, &email).await.unwrap(), None);
    // Nor past a ban of the address, nor where sign-ups are switched off.
    bed.admin.batch_execute("set workos_auth.allow_signup = off").await.unwrap();
    refused(accept(&bed.admin, &issuer.token("bob", json!({}))).await, "signup_disabled");
    bed.admin.batch_execute("reset workos_auth.allow_signup").await.unwrap();
    let carl = accept(
        &backend,
        &issuer.token("carl", json!({ "org_id": null, "email": "carl@example.com", "email_verified": true })),
    )
    .await
    .unwrap();
    bed.admin.execute("select auth.ban_user($1)", &[&carl]).await.unwrap();
    let again = json!({ "org_id": null, "email": "carl@example.com", "email_verified": true });
    refused(accept(&backend, &issuer.token("carl2", again)).await, "user_banned");
    // A person of another organization is one here too, once the backend has said so.
    let token = issuer.token("alice", json!({ "org_id": "org_globex" }));
    refused(backend.query("select auth.verify_token($1)", &[&token]).await, "person_not_accepted");
    assert_eq!(accept(&backend, &token).await.unwrap(), other);
    // Two at once are one.
    let (one, two) = (bed.backend().await, bed.backend().await);
    let token = issuer.token("twin", json!({}));
    let (first, second) = tokio::join!(accept(&one, &token), accept(&two, &token));
    assert_eq!(first.unwrap(), second.unwrap());
    // An administrator makes two accounts one, and the token is the other's then.
    bed.admin.batch_execute("set workos_auth.link_across_organizations = on").await.unwrap();
    bed.admin.execute("select auth.merge_users($1, $2)", &[&other, &alice.user_id]).await.unwrap();
    let row = backend
        .query_one(
            "select auth.verify_token($1) ->> 'sub', auth.accept_token($1)",
            &[&issuer.token("alice", json!({}))],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, String>(0), row.get(1)), ("user_alice".to_owned(), alice.user_id));
}

/// Neither way round does an issuer's word on an address lead past a ban, into an account, or to the address itself.
#[tokio::test]
async fn an_address_leads_nobody_past_an_organizations_own_word() {
    let bed = Bed::shared("addresses").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    issuer.is_trusted_by(&bed).await;
    let (backend, alice) = (bed.backend().await, bed.sign_in(ALICE).await);
    let of = |email: &str| json!({ "email": email, "email_verified": true });
    // Banned in the organization that the token names, and with another organization's token nobody's ban.
    bed.admin.execute("select auth.ban_user($1)", &[&alice.user_id]).await.unwrap();
    let before = bed.contents().await;
    refused(accept(&backend, &issuer.token("alice", of(ALICE.email))).await, "user_banned");
    assert_eq!(bed.contents().await, before);
    let mut elsewhere = of(ALICE.email);
    elsewhere["org_id"] = json!("org_globex");
    accept(&backend, &issuer.token("alice_of_globex", elsewhere)).await.unwrap();

    // The mode in which an organization takes in those who have none, where it owns the domain.
    bed.admin
        .batch_execute(
            "insert into auth.organization_domains (organization_id, domain) values ('org_globex', 'globex.com')",
        )
        .await
        .unwrap();
    bed.set("workos_auth.account_linking", "email").await;
    let mut nowhere = of(BOB.email);
    nowhere["org_id"] = Value::Null;
    let squatter = accept(&backend, &issuer.token("squatter", nowhere)).await.unwrap();
    let bob = bed.sign_in(BOB).await;
    assert_ne!(bob.user_id, squatter);

    // What the setting says of customers' addresses is said of an issuer's people in their organization.
    bed.set("workos_auth.trust_email_domains", "off").await;
    let backend = bed.backend().await;
    let mut fresh = of("fresh@acme.com");
    let fresh_user = accept(&backend, &issuer.token("fresh", fresh.clone())).await.unwrap();
    fresh["org_id"] = Value::Null;
    let free = accept(&backend, &issuer.token("free", fresh)).await.unwrap();
    let holders = "select id::text from auth.users where email = 'fresh@acme.com'";
    assert_eq!(lines(&bed.admin, holders).await.unwrap(), [free.to_string()]);
    assert_ne!(fresh_user, free);
}

#[tokio::test]
async fn other_tokens_are_refused() {
    let bed = Bed::shared("refused").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Rs256);
    let same_key =
        OtherIssuer { name: "https://other.example.com".into(), key: OtherIssuer::new("", Algorithm::Es256).key };
    issuer.is_trusted_by(&bed).await;
    same_key.is_trusted_by(&bed).await;
    let (backend, role) = (bed.backend().await, bed.role("app", "").await);
    let app = bed.connect(&role).await;
    let good = issuer.token("ann", json!({}));
    let ann = accept(&backend, &good).await.unwrap();
    let before = bed.contents().await;

    let claims = |changes: Value| issuer.claims("ann", changes);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let payload = good.split('.').nth(1).unwrap();
    let with_header = |header: Value| format!("{}.{payload}.{signature}", encode(header.to_string()));
    let kid = issuer.key.kid();
    let own = bed.sign_in(ALICE).await;
    let before = match bed.contents().await {
        after if after == before => before,
        after => after,
    };
    let own_key = OtherIssuer::new(ISSUER, Algorithm::Es256);
    for (what, token, name) in [
        ("no signature", format!("{signed}."), "bad_jwt_signature"),
        ("alg none", with_header(json!({ "alg": "none", "kid": kid })), "bad_jwt_algorithm"),
        ("HS256", with_header(json!({ "alg": "HS256", "kid": kid })), "bad_jwt_algorithm"),
        ("PS256", with_header(json!({ "alg": "PS256", "kid": kid })), "bad_jwt_algorithm"),
        (
            "a key of its own",
            with_header(json!({ "alg": "RS256", "kid": kid, "jwk": issuer.key.public_jwk() })),
            "bad_jwt",
        ),
        ("no kid", with_header(json!({ "alg": "RS256" })), "bad_jwt"),
        ("an unknown kid", with_header(json!({ "alg": "RS256", "kid": "x" })), "bad_jwt_key"),
        ("another's key", same_key.sign(&claims(json!({}))), "bad_jwt_key"),
        ("the name of another", issuer.token("ann", json!({ "iss": same_key.name })), "bad_jwt_key"),
        ("a key that nobody trusts", own_key.token("ann", json!({})), "bad_jwt_key"),
        ("a slash at the end", issuer.token("ann", json!({ "iss": format!("{ISSUER}/") })), "bad_jwt_key"),
        ("no issuer", issuer.token("ann", json!({ "iss": null })), "bad_jwt_key"),
        ("another client", issuer.token("ann", json!({ "client_id": "client_02" })), "bad_jwt_audience"),
        ("an agent", issuer.token("ann", json!({ "sub_profile": "agent" })), "wrong_token_kind"),
        ("a widget", issuer.token("ann", json!({ "sub_type": "widget" })), "wrong_token_kind"),
        (
            "a machine",
            issuer.token("ann", json!({ "sub": "client_01", "sid": null, "auth_time": null })),
            "wrong_token_kind",
        ),
        ("expired", issuer.token("ann", json!({ "exp": now() })), "bad_jwt_expired"),
        ("of the future", issuer.token("ann", json!({ "iat": now() + 60 })), "bad_jwt_not_yet_valid"),
        ("signed in in the future", issuer.token("ann", json!({ "auth_time": now() + 60 })), "bad_jwt_not_yet_valid"),
        ("a stranger", issuer.token("bea", json!({})), "person_not_accepted"),
        ("an organization of others", issuer.token("ann", json!({ "org_id": "org_globex" })), "person_not_accepted"),
    ] {
        for call in ["auth.set_session($1, false)", "auth.verify_token($1)", "auth.get_user($1)", "auth.sign_out($1)"] {
            // Such tokens may end their session, or show an account.
            let is_less = matches!((name, call), ("bad_jwt_expired", "auth.sign_out($1)"));
            let looks =
                what == "an organization of others" && !call.contains("session($1, false)") && !call.contains("verify");
            if is_less || looks {
                continue;
            }
            let result = app.query(&format!("select {call}"), &[&token]).await;
            assert!(result.is_err(), "{what}: {call}");
            let refusal = refused(result, name);
            assert!(
                !refusal.to_string().contains(&signature[..20]) && !refusal.to_string().contains("user_ann"),
                "{what}: {refusal}"
            );
        }
        set_session(&app, &good, false).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(text(&app, "select auth.uid()").await.unwrap(), Some(ann.to_string()), "{what}");
    }
    assert_eq!(bed.contents().await, before);
    // A token of our own under a trusted issuer's name, and the other way round.
    app.query("select auth.verify_token($1)", &[&own.access_token]).await.unwrap();
    let forged = issuer.sign(&json!({ "iss": own.claims["iss"], "sub": own.user_id, "session_id": own.session_id, "aud": "authenticated", "iat": now(), "exp": now() + 60 }));
    refused(app.query("select auth.verify_token($1)", &[&forged]).await, "bad_jwt_key");
}

/// Nobody makes the database read its tables by tokens that name keys at random, and the log is told once.
#[tokio::test]
async fn a_storm_of_unknown_keys_costs_no_scan() {
    let bed = Bed::shared("storm").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    issuer.is_trusted_by(&bed).await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    let payload = encode(issuer.claims("ann", json!({})).to_string());
    let signature = encode([1; 64]);
    app.batch_execute("begin").await.unwrap();
    let scans = "select pg_stat_get_xact_numscans('auth.issuer_keys'::regclass) + pg_stat_get_xact_numscans('auth.trusted_issuers'::regclass)
        + pg_stat_get_xact_numscans('auth.issuer_keys_pkey'::regclass) + pg_stat_get_xact_numscans('auth.trusted_issuers_pkey'::regclass)
        + pg_stat_get_xact_numscans('auth.signing_keys'::regclass)";
    let mut counted = Vec::new();
    for n in 0..200 {
        let header = encode(json!({ "alg": "ES256", "kid": format!("{n}-{}", uuid::Uuid::new_v4()) }).to_string());
        let call = format!("savepoint s; select auth.verify_token('{header}.{payload}.{signature}')");
        refused(app.batch_execute(&call).await, "bad_jwt_key");
        app.batch_execute("rollback to s").await.unwrap();
        if n == 0 || n == 199 {
            counted.push(text(&app, scans).await.unwrap());
        }
    }
    assert_eq!(counted[0], counted[1]);
    app.batch_execute("rollback").await.unwrap();
    let log = bed.log();
    let noted = log.lines().filter(|line| line.contains("names a key that is not known here")).count();
    assert_eq!(noted, 1, "{log}");
}

/// What a token calls a role is none of the database's.
#[tokio::test]
async fn postgrest_takes_on_the_role_of_the_issuers_row() {
    let bed = Bed::shared("role").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
    let (web, people, others) =
        (bed.role("web", "noinherit").await, bed.role("people", "").await, bed.role("others", "").await);
    bed.admin.batch_execute(&format!("grant {people} to {web}; create table notes (who text default current_user); grant all on notes to {people}")).await.unwrap();
    let trust = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3, database_role => $4)";
    let refusal = bed.admin.execute(trust, &[&issuer.name, &issuer.jwks(), &AUTHKIT_CLIENT, &people]).await;
    refused(refusal, "role_not_allowed");
    bed.admin
        .batch_execute(&format!(
            "alter database {} set workos_auth.allowed_roles = 'authenticated, {people}, {others}'",
            bed.database
        ))
        .await
        .unwrap();
    let admin = bed.superuser().await;
    admin.execute(trust, &[&issuer.name, &issuer.jwks(), &AUTHKIT_CLIENT, &people]).await.unwrap();
    let backend = bed.backend().await;
    let token = issuer.token("ann", json!({ "role": "postgres" }));
    accept(&backend, &token).await.unwrap();
    let headers = json!({ "authorization": format!("Bearer {token}") }).to_string();
    let client = bed.connect(&web).await;
    let request = |who: &'static str| {
        let (client, headers) = (&client, &headers);
        async move {
            client.batch_execute("begin").await?;
            client.query_one("select set_config('request.headers', $1, true)", &[headers]).await?;
            let result = match client.query_one("select auth.use_request_token()", &[]).await {
                Ok(_) => lines(client, who).await,
                Err(error) => Err(error),
            };
            client.batch_execute("rollback").await?;
            result
        }
    };
    let who = "select current_user, auth.role(), auth.subject()";
    assert_eq!(request(who).await.unwrap(), [format!("{people}|{people}|user_ann")]);
    request("insert into notes default values returning 1").await.unwrap();
    // Without a role in the row there is none to take on.
    admin.execute(trust, &[&issuer.name, &issuer.jwks(), &AUTHKIT_CLIENT, &None::<String>]).await.unwrap();
    assert_eq!(request(who).await.unwrap(), [format!("{web}|authenticated|user_ann")]);
    // One that the connection may not take on is Postgres's to refuse.
    admin.execute(trust, &[&issuer.name, &issuer.jwks(), &AUTHKIT_CLIENT, &others]).await.unwrap();
    refused_as(request(who).await, "42501");
    // One that sessions may not have any more, either.
    bed.admin.batch_execute(&format!("alter database {} reset workos_auth.allowed_roles", bed.database)).await.unwrap();
    let fresh = bed.connect(&web).await;
    refused(fresh.query("select auth.verify_token($1)", &[&token]).await, "role_not_allowed");
}

#[tokio::test]
async fn row_level_security_tells_people_of_two_issuers_apart() {
    let bed = Bed::shared("rls").await;
    let one = OtherIssuer::new("https://one.example.com", Algorithm::Es256);
    let two = OtherIssuer::new("https://two.example.com", Algorithm::Rs256);
    let (backend, role) = (bed.backend().await, bed.role("app", "").await);
    let mut tokens = Vec::new();
    for issuer in [&one, &two] {
        issuer.is_trusted_by(&bed).await;
        // The same person's id, and the same session's, are other people's at the other issuer.
        let token = issuer.token("same", json!({}));
        let id = accept(&backend, &token).await.unwrap();
        tokens.push((token, id));
    }
    assert_ne!(tokens[0].1, tokens[1].1);
    bed.admin
        .batch_execute(&format!(
            "create table notes (owner uuid references auth.users (id) on delete cascade, body text); alter table notes enable row level security;
             create policy own on notes using (owner = auth.uid() and auth.has_role('admin', 'org_acme')); grant select on notes to {role};
             insert into notes select user_id, provider from auth.identities"
        ))
        .await
        .unwrap();
    let app = bed.connect(&role).await;
    assert!(lines(&app, "select body from notes").await.unwrap().is_empty());
    for ((token, _), issuer) in tokens.iter().zip([&one, &two]) {
        app.batch_execute("begin").await.unwrap();
        set_session(&app, token, true).await.unwrap();
        assert_eq!(lines(&app, "select body from notes").await.unwrap(), std::slice::from_ref(&issuer.name));
        app.batch_execute("commit").await.unwrap();
    }
    // In a parallel worker too.
    set_session(&app, &tokens[0].0, false).await.unwrap();
    app.batch_execute("set force_parallel_mode = on").await.ok();
    app.batch_execute("set debug_parallel_query = on").await.ok();
    assert_eq!(
        lines(&app, "select body, auth.issuer() from notes").await.unwrap(),
        ["https://one.example.com|https://one.example.com"]
    );
}

/// An issuer that says no address: what an administrator does to the identity afterwards is its own, also in the audit log.
#[tokio::test]
async fn an_identity_without_an_address_is_moved_as_any_other() {
    let bed = Bed::shared("moved").await;
    let issuer = OtherIssuer::new(ISSUER, Algorithm::Rs256);
    issuer.is_trusted_by(&bed).await;
    let ann = accept(&bed.backend().await, &issuer.token("ann", json!({ "org_id": null }))).await.unwrap();
    bed.admin
        .batch_execute("insert into auth.organizations (id) values ('org_globex') on conflict do nothing")
        .await
        .unwrap();
    let sql = "select auth.move_identity(id, 'org_globex') from auth.identities where user_id = $1";
    bed.admin.execute(sql, &[&ann]).await.unwrap();
    let moved = "select i.organization_id, a.payload ->> 'provider', a.payload ->> 'provider_id'
        from auth.identities as i, auth.audit_log_entries as a where a.action = 'identity_moved'";
    assert_eq!(lines(&bed.admin, moved).await.unwrap(), [format!("org_globex|{ISSUER}|user_ann")]);
}
