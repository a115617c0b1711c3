//! Sign-ins that `auth.handle_callback` finishes itself, and those that an identity provider began.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, Bed, Pending, set_session};
use workos_end_to_end::brokered::*;
use workos_end_to_end::case;
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_testbed::browser_sign_in;

const APP: &str = "http://localhost:3000/app";
const ACME: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";

async fn uid(bed: &Bed<'_>, tokens: &BTreeMap<String, String>) -> String {
    let client = bed.connect(&bed.named("DATABASE_app")).await;
    set_session(&client, &tokens["access_token"], false).await.unwrap();
    text(&client, "select auth.uid()").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_sign_in_without_a_challenge_ends_with_tokens_in_the_fragment() {
    let (bed, backend) = Bed::brokered("fragment").await;
    bed.role("app", "").await;
    let to = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app?x=1#/route'";
    let pending = come_back_implicitly(&backend, to, ALICE.email).await;
    let landing = callback(&backend, &pending).await.unwrap();
    assert!(landing.0.starts_with("http://localhost:3000/app?x=1#access_token="), "{landing:?}");
    let tokens = landing.fragment();
    let names: Vec<&str> = tokens.keys().map(String::as_str).collect();
    // As Supabase Auth sorts them.
    assert_eq!(
        names,
        ["access_token", "expires_at", "expires_in", "provider_token", "refresh_token", "sb", "token_type"]
    );
    assert_eq!(
        (tokens["sb"].as_str(), tokens["token_type"].as_str(), tokens["expires_in"].as_str()),
        ("", "bearer", "3600")
    );
    let claims = bed.admin.query_one("select auth.verify_token($1)", &[&tokens["access_token"]]).await.unwrap();
    let claims: Value = claims.get(0);
    assert_eq!(claims["exp"].to_string(), tokens["expires_at"]);
    assert_eq!(uid(&bed, &tokens).await, claims["sub"].as_str().unwrap());
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries where action = 'login'").await, 1);
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
    callback(&backend, &pending).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
    assert_eq!(bed.token_requests().len(), 1);
}

#[tokio::test]
async fn nobody_else_finishes_a_sign_in_with_a_challenge() {
    let (bed, backend) = Bed::brokered("challenged").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let landing = callback(&backend, &pending).await.unwrap();
    landing.code();
    assert!(landing.fragment().is_empty());
    nobody_is_there(&bed).await;
}

#[tokio::test]
async fn in_another_browser_nobody_is_signed_in_and_workos_is_not_asked() {
    let (bed, backend) = Bed::brokered("another_browser").await;
    let landing = async |pending: &Pending, is_bound: Option<bool>| {
        let sql = "select auth.handle_callback($1, $2, is_bound => $3)";
        Landing(backend.query_one(sql, &[&pending.code, &pending.state, &is_bound]).await.unwrap().get(0))
    };
    for is_bound in [Some(false), None] {
        case!(is_bound);
        let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
        let refused = landing(&pending, is_bound).await;
        let query = refused.query();
        assert_eq!(
            (refused.place(), query["error"].as_str(), query["error_description"].as_str()),
            (APP, "access_denied", "this browser did not begin the sign-in")
        );
        assert!(!refused.0.contains("token") && !query.contains_key("code"), "{refused:?}");
        // It is over, also for the browser that began it.
        landing(&pending, Some(true)).await.is_refused(SITE_URL, "bad_oauth_state");
    }
    nobody_is_there(&bed).await;
    assert_eq!(bed.token_requests().len(), 0);
    // Where there is a challenge, the verifier tells.
    let challenged = come_back(&backend, ACME, ALICE.email).await;
    landing(&challenged, Some(false)).await.code();
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    assert!(landing(&pending, Some(true)).await.fragment().contains_key("access_token"));
}

#[tokio::test]
async fn it_takes_the_setting_and_a_listed_address() {
    let (bed, backend) = Bed::brokered("implicit_rules").await;
    // The site's own origin alone is no list, nor is no address at all.
    let unlisted =
        come_back_implicitly(&backend, "'org_acme', redirect_to => 'https://site.example/in'", ALICE.email).await;
    callback(&backend, &unlisted).await.unwrap().is_refused("https://site.example/in", "implicit_not_allowed");
    let nowhere = come_back_implicitly(&backend, "'org_acme'", ALICE.email).await;
    callback(&backend, &nowhere).await.unwrap().is_refused(SITE_URL, "implicit_not_allowed");
    for (setting, value) in [("allow_implicit", "off"), ("require_code_challenge", "on")] {
        case!(setting, value);
        let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
        bed.set(&format!("workos_auth.{setting}"), value).await;
        let strict = bed.backend().await;
        let landing = callback(&strict, &pending).await.unwrap();
        landing.is_refused(APP, "implicit_not_allowed");
        assert_eq!(landing.query()["error"], "access_denied");
        callback(&backend, &pending).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
        // With a challenge, the same callback goes through.
        let pkce = come_back(&strict, ACME, ALICE.email).await;
        callback(&strict, &pkce).await.unwrap().code();
        bed.admin
            .batch_execute(&bed.named(&format!("alter database DATABASE reset workos_auth.{setting}")))
            .await
            .unwrap();
    }
    assert_eq!(bed.token_requests().len(), 2, "WorkOS is not asked for what will be refused");
    nobody_is_there(&bed).await;
    // Listed, the site is as good as any.
    bed.admin
        .batch_execute("insert into auth.redirect_urls (pattern) values ('https://site.example/home')")
        .await
        .unwrap();
    let home = come_back_implicitly(&backend, "'org_acme'", ALICE.email).await;
    let landing = callback(&backend, &home).await.unwrap();
    assert!(landing.0.starts_with("https://site.example/home#access_token="), "{landing:?}");
    // The setting is not everybody's.
    refused_as(backend.batch_execute("set workos_auth.allow_implicit = on").await, "42501");
    refused_as(backend.batch_execute("set workos_auth.idp_initiated = 'restart'").await, "42501");
}

/// Makes every new user fail with what the function body raises.
async fn sabotage(bed: &Bed<'_>, body: &str) {
    let sql = format!(
        "create or replace function public.sabotage() returns trigger language plpgsql as $$ begin {body} return new; end $$;
         create or replace trigger sabotage after insert on auth.sessions for each row execute function public.sabotage()"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

async fn is_usable(client: &Client) {
    assert_eq!(text(client, "select 1").await.unwrap().as_deref(), Some("1"));
}

#[tokio::test]
async fn what_fails_while_it_is_written_leaves_nothing_behind() {
    let (bed, backend) = Bed::brokered("half").await;
    bed.admin.batch_execute("create table public.work (what text); grant all on public.work to public").await.unwrap();
    for body in [
        "raise exception 'a secret of somebody''s';",
        "raise exception 'x' using errcode = 'PT401';",
        "raise exception 'x' using errcode = 'WA509';",
        "raise exception 'x' using errcode = 'XX000';",
        "insert into auth.users (id) values (new.user_id);",
        "perform 1 / 0;",
    ] {
        case!(body);
        sabotage(&bed, body).await;
        for (begin, commit) in
            [("", ""), ("begin; insert into work values ('kept')", "insert into work values ('after'); commit")]
        {
            bed.admin.batch_execute("delete from work").await.unwrap();
            let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
            backend.batch_execute(begin).await.unwrap();
            let landing = callback(&backend, &pending).await.unwrap();
            landing.is_refused(APP, "unexpected_failure");
            assert_eq!(landing.query()["error"], "server_error", "{body}");
            assert!(!landing.0.contains("somebody"), "{landing:?}");
            backend.batch_execute(commit).await.unwrap();
            is_usable(&backend).await;
            nobody_is_there(&bed).await;
            assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0, "the state is spent");
            assert_eq!(bed.count("select count(*) from work").await, if begin.is_empty() { 0 } else { 2 }, "{body}");
        }
    }
    // The next error of the connection has its own SQLSTATE.
    assert_eq!(sqlstate(&backend, "select 1 / 0").await, "22012");
    assert_eq!(sqlstate(&backend, "select auth.exchange_code(null)").await, "22004");
    let log = bed.log();
    assert!(log.contains("Postgres raised ERRCODE_RAISE_EXCEPTION"), "the log tells why");

    // What asks to run the transaction again, and what ends the call, is raised; and then nothing is spent.
    for (body, wanted) in [
        ("raise exception 'x' using errcode = '40001';", "40001"),
        ("raise exception 'x' using errcode = '40P01';", "40P01"),
        ("raise exception 'x' using errcode = '53200';", "53200"),
        ("raise exception 'x' using errcode = '57014';", "57014"),
        ("raise exception 'x' using errcode = 'XX001';", "XX001"),
    ] {
        case!(body, wanted);
        sabotage(&bed, body).await;
        let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
        let error = refused_as(callback(&backend, &pending).await, wanted);
        assert_eq!(error.message, "x", "{body}");
        is_usable(&backend).await;
        nobody_is_there(&bed).await;
        assert_eq!(bed.count("select count(*) from auth.flow_states").await, 1);
        // The state is still there; WorkOS's code is spent.
        callback(&backend, &pending).await.unwrap().is_refused(APP, "workos_invalid_grant");
    }
}

#[tokio::test]
async fn a_cancel_while_it_is_written_is_a_cancel() {
    let (bed, backend) = Bed::brokered("cancelled").await;
    sabotage(&bed, "perform pg_sleep(60);").await;
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    let before = bed.contents().await;
    let cancel = backend.cancel_token();
    let (outcome, ()) = tokio::join!(callback(&backend, &pending), async {
        let sleeps =
            "exists (select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database())";
        bed.until(sleeps).await;
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    });
    refused_as(outcome, "57014");
    assert_eq!(bed.contents().await, before);
    is_usable(&backend).await;
}

#[tokio::test]
async fn who_may_not_come_in_is_told_so_in_the_url() {
    let (bed, backend) = Bed::brokered("denied").await;
    bed.set("workos_auth.allow_signup", "off").await;
    let closed = bed.backend().await;
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    let landing = callback(&closed, &pending).await.unwrap();
    landing.is_refused(APP, "signup_disabled");
    assert_eq!(landing.query()["error"], "access_denied");
    nobody_is_there(&bed).await;
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    callback(&backend, &pending).await.unwrap();
    bed.admin.batch_execute("update auth.users set banned_until = 'infinity'").await.unwrap();
    let sessions = bed.count("select count(*) from auth.sessions").await;
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    callback(&backend, &pending).await.unwrap().is_refused(APP, "user_banned");
    assert_eq!(bed.count("select count(*) from auth.sessions").await, sessions);
}

#[tokio::test]
async fn a_sign_in_that_the_identity_provider_began_is_refused() {
    let (bed, backend) = Bed::brokered("unsolicited").await;
    bed.admin
        .batch_execute("insert into auth.redirect_urls (pattern) values ('https://site.example/**')")
        .await
        .unwrap();
    // A good code of somebody else's browser.
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let before = bed.contents().await;
    for state in [None, Some("")] {
        for (code, error) in [(Some(&*pending.code), None), (None, Some("idp_initiated_sso_disabled"))] {
            let landing = redirect(&backend, code, state, error, None).await.unwrap();
            landing.is_refused(SITE_URL, "bad_oauth_callback");
            assert!(landing.query()["error_description"].contains("begin it at the application"), "{landing:?}");
        }
    }
    let named = "select auth.handle_callback(null, null, 'idp_initiated_sso_disabled', connection => 'conn_acme')";
    assert!(text(&backend, named).await.unwrap().unwrap().contains("bad_oauth_callback"));
    assert_eq!((bed.contents().await, bed.token_requests().len()), (before, 0));
}

#[tokio::test]
async fn or_restarted_where_workos_names_the_connection() {
    let (bed, _) = Bed::brokered("restarted").await;
    bed.role("app", "").await;
    bed.set("workos_auth.idp_initiated", "restart").await;
    let restarting = bed.backend().await;
    let named = "select auth.handle_callback(null, null, 'idp_initiated_sso_disabled', connection => 'conn_acme', organization => 'org_acme')";
    // The restarted sign-in ends at the site without a challenge: that must be allowed.
    assert!(text(&restarting, named).await.unwrap().unwrap().contains("bad_oauth_callback"));
    bed.admin
        .batch_execute("insert into auth.redirect_urls (pattern) values ('https://site.example/**')")
        .await
        .unwrap();
    for setting in ["allow_implicit = off", "require_code_challenge = on"] {
        bed.admin
            .batch_execute(&bed.named(&format!("alter database DATABASE set workos_auth.{setting}")))
            .await
            .unwrap();
        assert!(text(&bed.backend().await, named).await.unwrap().unwrap().contains("bad_oauth_callback"), "{setting}");
        let name = setting.split(' ').next().unwrap();
        bed.admin
            .batch_execute(&bed.named(&format!("alter database DATABASE reset workos_auth.{name}")))
            .await
            .unwrap();
    }
    // A code alone names nothing; an error other than WorkOS's own for this restarts nothing; nor does what is no name.
    for call in [
        "auth.handle_callback('code', null)",
        "auth.handle_callback('code', null, connection => 'conn_acme')",
        "auth.handle_callback(null, null, 'access_denied', connection => 'conn_acme')",
        "auth.handle_callback(null, 'unknown', 'idp_initiated_sso_disabled', connection => 'conn_acme')",
        "auth.handle_callback(null, null, 'idp_initiated_sso_disabled')",
        "auth.handle_callback(null, null, 'idp_initiated_sso_disabled', connection => 'conn\nacme')",
        "auth.handle_callback(null, null, 'idp_initiated_sso_disabled', connection => repeat('c', 1000000))",
    ] {
        case!(call);
        let url = text(&restarting, &format!("select {call}")).await.unwrap().unwrap();
        assert!(url.starts_with(&format!("{SITE_URL}?error=invalid_request&error_code=bad_oauth_")), "{call}: {url}");
        assert!(url.len() < 500);
    }
    let flows = "select count(*) from auth.flow_states";
    assert_eq!(bed.count(flows).await, 0);

    let url = text(&restarting, named).await.unwrap().unwrap();
    assert!(url.starts_with(&bed.workos.url()) && parameter(&url, "connection") == "conn_acme", "{url}");
    let came_back = browser_sign_in(&url, Some(ALICE.email)).await.unwrap();
    let landing = redirect(&restarting, Some(&came_back.code), Some(&came_back.state), None, None).await.unwrap();
    assert!(landing.0.starts_with("https://site.example/home#access_token="), "{landing:?}");
    uid(&bed, &landing.fragment()).await;

    // Once: where it fails again, it brings a state, and is not restarted.
    let state = parameter(&text(&restarting, named).await.unwrap().unwrap(), "state");
    let landing = redirect(&restarting, None, Some(&state), Some("idp_initiated_sso_disabled"), None).await.unwrap();
    assert_eq!((landing.place(), landing.query()["error"].as_str()), (SITE_URL, "idp_initiated_sso_disabled"));
    assert_eq!(bed.count(flows).await, 0);
    refused(
        restarting.query_one("select * from auth.exchange_code('x', state => $1)", &[&state]).await,
        "flow_state_not_found",
    );
}
