//! Brokered mode: `auth.handle_callback`, and the exchange of the code that it issues.

use serde_json::json;
use workos_end_to_end::bed::{ALICE, ANNA, Bed, Pending, exchange, is_good, reader, start};
use workos_end_to_end::brokered::*;
use workos_end_to_end::case;
use workos_end_to_end::sql::{refused, refused_as};
use workos_simulator::{CallbackError, Fault, FaultKind};
use workos_testbed::{Error, browser_sign_in};

const APP: &str = "http://localhost:3000/app";
const ACME: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";

#[tokio::test]
async fn a_code_of_our_own_is_exchanged_for_the_session() {
    let (bed, backend) = Bed::brokered("own_code").await;
    let to = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app?x=1&sb_flow_id=f#/route'";
    let pending = come_back(&backend, to, ALICE.email).await;
    let landing = callback(&backend, &pending).await.unwrap();
    let code = landing.code();
    assert_eq!(landing.0, format!("http://localhost:3000/app?x=1&sb_flow_id=f&code={code}#/route"));
    assert_eq!(bed.token_requests().len(), 1);
    nobody_is_there(&bed).await;

    let session = exchange_own(&backend, &code, &pending.verifier).await.unwrap();
    assert_eq!((session.email.as_str(), session.is_new_user), (ALICE.email, true));
    assert_eq!(session.redirect_to.as_deref(), Some("http://localhost:3000/app?x=1&sb_flow_id=f#/route"));
    assert!(session.provider_token.is_some());
    let app = bed.role("app", "").await;
    is_good(&reader(&bed, &app, &session).await, &session).await;
    assert_eq!(bed.token_requests().len(), 1, "WorkOS is not asked again");
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
    refused(exchange_own(&backend, &code, &pending.verifier).await, "flow_state_not_found");

    // The same person directly: one account, and WorkOS's answer means the same.
    let direct = exchange(&backend, &start(&backend, ALICE).await).await.unwrap();
    assert_eq!((direct.user_id, direct.is_new_user), (session.user_id, false));
    let names = |session: &workos_end_to_end::Session| {
        let mut names: Vec<String> = session.claims.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(&direct), names(&session));
}

#[tokio::test]
async fn without_redirect_to_the_browser_goes_to_the_site() {
    let (bed, backend) = Bed::brokered("to_the_site").await;
    let pending = come_back(&backend, "'org_acme'", ALICE.email).await;
    // Nobody knows where to send it: that is for whoever set the database up, and spends nothing.
    bed.admin.batch_execute(&bed.named("alter database DATABASE reset workos_auth.site_url")).await.unwrap();
    let homeless = bed.backend().await;
    let before = bed.contents().await;
    for (code, state) in [(Some(&*pending.code), Some(&*pending.state)), (None, None), (Some("x"), Some("unknown"))] {
        let error = refused_as(redirect(&homeless, code, state, None, None).await, "WA208");
        assert!(error.detail.contains("site_url") && error.hint.contains("site_url"), "{error}");
    }
    bed.set("workos_auth.site_url", "javascript:alert(1)").await;
    refused(callback(&bed.backend().await, &pending).await, "site_url_missing");
    assert_eq!((bed.contents().await, bed.token_requests().len()), (before, 0));

    let landing = callback(&backend, &pending).await.unwrap();
    assert_eq!(landing.place(), SITE_URL);
    let session = exchange_own(&backend, &landing.code(), &pending.verifier).await.unwrap();
    assert_eq!(session.redirect_to, None);

    // A sign-in that knows its address needs no site.
    let known = come_back(&backend, ACME, ALICE.email).await;
    bed.admin.batch_execute(&bed.named("alter database DATABASE reset workos_auth.site_url")).await.unwrap();
    assert_eq!(callback(&bed.backend().await, &known).await.unwrap().place(), APP);
}

#[tokio::test]
async fn every_documented_error_of_workos_is_handed_on_and_spends_the_state() {
    let (bed, backend) = Bed::brokered("errors").await;
    assert_eq!(CallbackError::ALL.len(), 14);
    for known in CallbackError::ALL {
        case!(known);
        let (url, state, _) = begin(&backend, ACME).await;
        let fault = FaultKind::CallbackError { code: known.code().into(), description: None };
        bed.simulator().set_fault(Fault::authorize(fault).times(1)).unwrap();
        let Error::Refused { error, description, state: returned } = browser_sign_in(&url, None).await.unwrap_err()
        else {
            panic!("{known:?} did not come back")
        };
        assert_eq!(returned.as_deref(), Some(&*state));
        let landing = redirect(&backend, None, Some(&state), Some(&error), Some(&description)).await.unwrap();
        let query = landing.query();
        assert_eq!(landing.place(), APP);
        assert_eq!((query["error"].as_str(), query["error_description"].as_str()), (known.code(), known.description()));
        assert_eq!(query["error_code"], known.code(), "{landing:?}");
        assert_eq!(landing.fragment()["error"], known.code());
        assert_eq!(landing.fragment()["sb"], "");
        redirect(&backend, Some("a-good-code"), Some(&state), None, None)
            .await
            .unwrap()
            .is_refused(SITE_URL, "bad_oauth_state");
    }
    // A code beside an error is never looked at.
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let landing =
        redirect(&backend, Some(&pending.code), Some(&pending.state), Some("oauth_failed"), None).await.unwrap();
    assert_eq!(
        landing.0,
        format!(
            "{APP}?error=oauth_failed&error_code=oauth_failed&error_description=#error=oauth_failed&error_code=oauth_failed&sb="
        )
    );
    assert_eq!(bed.token_requests().len(), 0);
    nobody_is_there(&bed).await;
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn hostile_queries_end_where_the_sign_in_was_to_end() {
    let (bed, backend) = Bed::brokered("hostile").await;
    let split = "x\r\nLocation: https://evil.example/\r\n\r\n<script>alert(1)</script>\u{202e}\u{0085}";
    let long = "é".repeat(1_000_000);
    for (error, description, wanted, told) in [
        (
            "access_denied",
            split,
            "access_denied",
            "xLocation: https://evil.example/<script>alert(1)</script>".to_owned(),
        ),
        (
            "x&code=wac_evil",
            "&code=wac_evil#access_token=x",
            "server_error",
            "&code=wac_evil#access_token=x".to_owned(),
        ),
        ("https://evil.example", long.as_str(), "server_error", "é".repeat(300)),
        ("ACCESS_DENIED", "", "server_error", String::new()),
        (&long, "//evil.example/%0d%0a", "server_error", "//evil.example/%0d%0a".to_owned()),
    ] {
        case!(error, description, wanted, told);
        let (_, state, _) = begin(&backend, ACME).await;
        let landing = redirect(&backend, None, Some(&state), Some(error), Some(description)).await.unwrap();
        assert!(landing.0.len() < 8_192 && landing.0.bytes().all(|b| b.is_ascii_graphic()), "{landing:?}");
        assert_eq!(landing.place(), APP);
        let query = landing.query();
        assert_eq!((query["error"].as_str(), &query["error_description"]), (wanted, &told));
        assert_eq!((query.len(), query["error_code"].as_str()), (3, wanted), "{landing:?}");
        assert!(!landing.fragment().contains_key("access_token"));
    }
    for code in [
        "",
        "two words",
        "caf\u{e9}",
        "a\nb",
        &"x".repeat(2049),
        &long,
        "wac_",
        &format!("wac_{}", "ü".repeat(43)),
        &format!("wac_{}", "A".repeat(43)),
    ] {
        case!(code);
        let (_, state, _) = begin(&backend, ACME).await;
        let landing = redirect(&backend, Some(code), Some(&state), None, None).await.unwrap();
        landing.is_refused(APP, if code.is_empty() { "bad_oauth_callback" } else { "authorization_code_invalid" });
        assert!(landing.0.len() < 1_000, "nothing of it comes back");
        redirect(&backend, Some("x"), Some(&state), None, None).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
    }
    assert_eq!(bed.token_requests().len(), 0);
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn a_state_that_names_no_sign_in_leads_to_the_site() {
    let (bed, backend) = Bed::brokered("no_state").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let before = bed.contents().await;
    let long = "s".repeat(1 << 20);
    let near = format!("{}x", &pending.state[..pending.state.len() - 1]);
    for (state, error_code) in [
        (None, "bad_oauth_callback"),
        (Some(""), "bad_oauth_callback"),
        (Some("unknown"), "bad_oauth_state"),
        (Some("\u{1f600}'; drop table auth.users; --"), "bad_oauth_state"),
        (Some(&*long), "bad_oauth_state"),
        (Some(&*near), "bad_oauth_state"),
        (Some(&*pending.state.to_uppercase()), "bad_oauth_state"),
    ] {
        case!(state, error_code);
        for (code, error) in [(Some(&*pending.code), None), (None, Some("access_denied")), (None, None)] {
            case!(code, error);
            let landing = redirect(&backend, code, state, error, Some("told by a stranger")).await.unwrap();
            landing.is_refused(SITE_URL, error_code);
            assert_eq!(landing.query()["error"], "invalid_request");
            assert!(!landing.0.contains('#') && !landing.0.contains("stranger"), "{landing:?}");
        }
    }
    assert_eq!((bed.contents().await, bed.token_requests().len()), (before, 0), "nothing is spent");

    // Used: told apart while the sign-in is not finished.
    let landing = callback(&backend, &pending).await.unwrap();
    callback(&backend, &pending).await.unwrap().is_refused(SITE_URL, "flow_state_already_used");
    redirect(&backend, None, Some(&pending.state), Some("access_denied"), None)
        .await
        .unwrap()
        .is_refused(SITE_URL, "flow_state_already_used");
    exchange_own(&backend, &landing.code(), &pending.verifier).await.unwrap();
    callback(&backend, &pending).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");

    // Expired, with a good code or without.
    let late = come_back(&backend, ACME, ALICE.email).await;
    bed.admin.batch_execute("update auth.flow_states set expires_at = now() - interval '1 s'").await.unwrap();
    let landing = callback(&backend, &late).await.unwrap();
    landing.is_refused(SITE_URL, "bad_oauth_state");
    assert_eq!(landing.query()["error_description"], "the state has expired");
    assert_eq!(bed.token_requests().len(), 1);
}

#[tokio::test]
async fn our_code_needs_its_own_verifier_and_workos_s_code_is_refused() {
    let (bed, backend) = Bed::brokered("whose_code").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let other = come_back(&backend, ACME, ANNA.email).await;
    let (code, other_code) =
        (callback(&backend, &pending).await.unwrap().code(), callback(&backend, &other).await.unwrap().code());
    let calls = bed.token_requests().len();
    let before = bed.contents().await;

    refused(exchange_own(&backend, &code, &other.verifier).await, "bad_code_verifier");
    refused(exchange_own(&backend, &other_code, &pending.verifier).await, "bad_code_verifier");
    refused(exchange_own(&backend, &code, "short").await, "code_verifier_invalid");
    let none = "select * from auth.exchange_code($1)";
    refused(backend.query_one(none, &[&code]).await, "code_verifier_required");
    let by_state = "select * from auth.exchange_code($1, state => $2)";
    refused(backend.query_one(by_state, &[&code, &pending.state]).await, "code_verifier_required");
    let with_state = "select * from auth.exchange_code($1, $2, $3)";
    refused(backend.query_one(with_state, &[&code, &pending.verifier, &other.state]).await, "bad_code_verifier");
    refused(backend.query_one(with_state, &[&code, &pending.verifier, &"unknown"]).await, "flow_state_not_found");
    // WorkOS's own code, and what only looks like ours.
    refused(exchange(&backend, &pending).await, "flow_state_not_found");
    refused(exchange_own(&backend, &pending.code, &pending.verifier).await, "flow_state_not_found");
    refused(backend.query_one(by_state, &[&pending.code, &pending.state]).await, "flow_state_not_found");
    for cut in ["wac_", &code[..46], &format!("{code}A"), &format!("{}*", &code[..46])] {
        refused(exchange_own(&backend, cut, &pending.verifier).await, "authorization_code_invalid");
    }
    let changed = format!("{}{}", &code[..46], if code.ends_with('A') { 'E' } else { 'A' });
    refused(exchange_own(&backend, &changed, &pending.verifier).await, "flow_state_not_found");
    assert_eq!((bed.contents().await, bed.token_requests().len()), (before, calls), "nothing is spent");

    // With its state, in case the application knows it.
    let row = backend.query_one(with_state, &[&code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!(workos_end_to_end::Session::from(&row).email, ALICE.email);
    // Ours is good for a minute.
    bed.admin.batch_execute("update auth.flow_states set expires_at = clock_timestamp()").await.unwrap();
    let error = refused(exchange_own(&backend, &other_code, &other.verifier).await, "flow_state_expired");
    assert!(error.hint.contains("60 seconds"), "{error}");
}

#[tokio::test]
async fn our_code_is_good_for_a_minute_however_long_a_sign_in_may_take() {
    let (bed, backend) = Bed::brokered("a_minute").await;
    for ttl in ["2s", "1d"] {
        bed.set("workos_auth.flow_ttl", ttl).await;
        let client = bed.backend().await;
        let pending = come_back(&client, ACME, ALICE.email).await;
        let landing = callback(&backend, &pending).await.unwrap();
        let left = "select extract(epoch from expires_at - now())::bigint from auth.flow_states";
        let left = bed.count(left).await;
        assert!((30..=60).contains(&left), "{ttl}: {left} s");
        exchange_own(&client, &landing.code(), &pending.verifier).await.unwrap();
    }
}

#[tokio::test]
async fn what_fails_at_workos_is_told_to_the_application_and_spends_the_state() {
    let (bed, backend) = Bed::brokered("faults").await;
    bed.set("workos_auth.request_timeout", "1s").await;
    let backend_with_timeout = bed.backend().await;
    let missing = FaultKind::MissingProfileFields { names: vec!["email".into()], missing: Default::default() };
    for (fault, error, error_code) in [
        (FaultKind::WrongOrganization, "access_denied", "organization_mismatch"),
        (FaultKind::Status { code: 500, body: None }, "server_error", "workos_unavailable"),
        (
            FaultKind::Status {
                code: 400,
                body: Some(json!({"error": "invalid_grant", "error_description": "secret words"})),
            },
            "invalid_request",
            "workos_invalid_grant",
        ),
        (FaultKind::Status { code: 401, body: None }, "server_error", "workos_invalid_client"),
        (FaultKind::RateLimited { retry_after: None }, "temporarily_unavailable", "workos_rate_limited"),
        (FaultKind::Hang, "temporarily_unavailable", "workos_timeout"),
        (FaultKind::Reset, "server_error", "workos_connection_lost"),
        (FaultKind::Html, "server_error", "workos_answer_malformed"),
        (FaultKind::OversizedBody { bytes: 2 << 20, chunked: true }, "server_error", "workos_answer_too_large"),
        (missing, "server_error", "workos_profile_incomplete"),
    ] {
        let pending = come_back(&backend_with_timeout, ACME, ALICE.email).await;
        bed.simulator().set_fault(Fault::token(fault.clone()).times(1)).unwrap();
        let landing = callback(&backend_with_timeout, &pending).await.unwrap();
        bed.simulator().clear_faults();
        landing.is_refused(APP, error_code);
        assert_eq!(landing.query()["error"], error, "{fault:?}");
        assert!(!landing.0.contains("words"), "{landing:?}");
        callback(&backend, &pending).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
        refused(exchange(&backend, &pending).await, "flow_state_not_found");
    }
    nobody_is_there(&bed).await;

    // On our side: nobody reaches WorkOS, too many wait, the key is gone.
    let unreachable = come_back(&backend, ACME, ALICE.email).await;
    bed.admin.batch_execute("update auth.providers set api_url = 'http://127.0.0.1:1'").await.unwrap();
    callback(&backend, &unreachable).await.unwrap().is_refused(APP, "provider_changed");
    let log = bed.log();
    assert!(
        log.contains("a sign-in failed in its callback") && log.contains("WA304 (workos_invalid_grant)"),
        "the log tells"
    );
}

#[tokio::test]
async fn a_provider_that_changes_on_the_way_is_refused() {
    let (bed, backend) = Bed::brokered("changes").await;
    let before = come_back(&backend, ACME, ALICE.email).await;
    let between = come_back(&backend, ACME, ALICE.email).await;
    let code = callback(&backend, &between).await.unwrap().code();
    let calls = bed.token_requests().len();
    bed.admin.batch_execute("update auth.providers set enabled = false").await.unwrap();
    refused(exchange_own(&backend, &code, &between.verifier).await, "provider_disabled");
    bed.admin.batch_execute("update auth.providers set enabled = true, client_id = 'client_other'").await.unwrap();
    refused(exchange_own(&backend, &code, &between.verifier).await, "provider_changed");
    callback(&backend, &before).await.unwrap().is_refused(APP, "provider_changed");
    assert_eq!(bed.token_requests().len(), calls);
    // Put back, the code is as good as before.
    bed.admin.batch_execute("update auth.providers set client_id = 'client_demo'").await.unwrap();
    exchange_own(&backend, &code, &between.verifier).await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_listed_no_more_is_not_visited() {
    let (bed, backend) = Bed::brokered("unlisted").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let refused_there = begin(&backend, ACME).await.1;
    bed.admin.batch_execute("delete from auth.redirect_urls").await.unwrap();
    let landing = callback(&backend, &pending).await.unwrap();
    landing.is_refused(SITE_URL, "redirect_to_not_allowed");
    assert!(!landing.0.contains("localhost") && !landing.0.contains('#'), "{landing:?}");
    let landing = redirect(&backend, None, Some(&refused_there), Some("access_denied"), None).await.unwrap();
    assert_eq!(landing.place(), SITE_URL);
    assert_eq!(bed.token_requests().len(), 0);
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0, "spent all the same");
}

#[tokio::test]
async fn what_is_kept_is_sealed_to_its_row_and_shows_nothing() {
    let (bed, backend) = Bed::brokered("sealed").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let code = callback(&backend, &pending).await.unwrap().code();
    let contents = format!("{:?}", bed.contents().await).to_lowercase();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for secret in [&code, &pending.code, &pending.state, &pending.verifier, ALICE.email, "prof_", "eyJ"] {
        let secret = secret.to_lowercase();
        assert!(!contents.contains(&secret) && !contents.contains(&hex(&secret)), "{secret} stands in a table");
    }
    let log = bed.log();
    assert!(!log.contains(&code) && !log.contains(&pending.code));

    // In another row, under another challenge or for another organization it does not open.
    let other = come_back(&backend, ACME, "anna@acme.com").await;
    let other_code = callback(&backend, &other).await.unwrap().code();
    let swap = format!(
        "update auth.flow_states set profile = (select profile from auth.flow_states where code_hash = sha256('{other_code}'))
         where code_hash = sha256('{code}')"
    );
    for (change, who) in [
        (swap.as_str(), &pending),
        ("update auth.flow_states set profile = profile || '\\x00'", &other),
        ("update auth.flow_states set organization = 'org_globex'", &other),
    ] {
        bed.admin.batch_execute("begin").await.unwrap();
        bed.admin.batch_execute(change).await.unwrap();
        let own = if std::ptr::eq(who, &pending) { &code } else { &other_code };
        refused(exchange_own(&bed.admin, own, &who.verifier).await, "seal_broken");
        bed.admin.batch_execute("rollback").await.unwrap();
    }
    // Nor is a code worth anything under somebody else's challenge.
    let thief = begin(&backend, ACME).await.2;
    let challenge = workos_auth_core::pkce::CodeVerifier::parse(&thief).unwrap().challenge();
    bed.admin.batch_execute("begin; delete from auth.flow_states where mode = 'direct'").await.unwrap();
    bed.admin
        .batch_execute(&format!(
            "update auth.flow_states set code_challenge = '{}' where code_hash = sha256('{code}')",
            challenge.value()
        ))
        .await
        .unwrap();
    refused(exchange_own(&bed.admin, &code, &thief).await, "seal_broken");
    bed.admin.batch_execute("rollback").await.unwrap();
    exchange_own(&backend, &code, &pending.verifier).await.unwrap();
    exchange_own(&backend, &other_code, &other.verifier).await.unwrap();
}

#[tokio::test]
async fn only_the_backend_s_role_handles_callbacks() {
    let (bed, backend) = Bed::brokered("callback_roles").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let stranger = bed.role("stranger", "").await;
    let stranger = bed.connect(&stranger).await;
    refused_as(callback(&stranger, &pending).await, "42501");
    backend.batch_execute("begin read only").await.unwrap();
    refused(callback(&backend, &pending).await, "read_only");
    backend.batch_execute("rollback").await.unwrap();
    // A sign-in that was begun for the direct mode is direct until its callback comes here.
    let direct: Pending = start(&backend, ALICE).await;
    let code = callback(&backend, &direct).await.unwrap().code();
    refused(exchange(&backend, &direct).await, "flow_state_not_found");
    exchange_own(&backend, &code, &direct.verifier).await.unwrap();
    // The columns of the answer, each with a call of its own: one sign-in.
    let code = callback(&backend, &pending).await.unwrap().code();
    let all = "select (auth.exchange_code($1, $2)).*";
    let row = backend.query_one(all, &[&code, &pending.verifier]).await.unwrap();
    assert_eq!(workos_end_to_end::Session::from(&row).email, ALICE.email);
}
