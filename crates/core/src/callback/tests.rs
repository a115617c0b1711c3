#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;
use url::Url;

use super::*;
use crate::workos::{self, HttpAnswer};

fn code(text: &str) -> AuthorizationCode {
    workos::check_code(text).unwrap()
}

#[test]
fn our_own_codes_are_told_from_workos_s() {
    let own = generate_code().unwrap();
    assert_eq!(own.expose().len(), CODE_PREFIX.len() + CODE_LENGTH);
    assert_eq!(own_code_hash(&code(own.expose())).unwrap(), Some(pkce::sha256(own.expose())));
    assert_ne!(generate_code().unwrap().expose(), own.expose());
    assert_eq!(format!("{own:?}"), "OneTimeCode([redacted])");
    for workos in ["01E2RJ4C05B52KKZ8FSRDAP23J", "sso_code_01M8", "wac", "WAC_x", "xwac_"] {
        assert_eq!(own_code_hash(&code(workos)).unwrap(), None, "{workos}");
    }
    let (short, long) = (&own.expose()[..46], format!("{}A", own.expose()));
    for neither in ["wac_", short, &long, &format!("{short}+"), &format!("{short}=")] {
        let error = own_code_hash(&code(neither)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::AuthorizationCodeInvalid, "{neither}");
    }
}

fn answer(profile: &serde_json::Value, token: Option<&str>) -> TokenAnswer {
    let body = json!({"profile": profile, "access_token": token}).to_string();
    let answer = HttpAnswer { status: 200, request_id: None, retry_after: None, body: body.as_bytes() };
    workos::parse_token_answer(&answer, &[]).unwrap()
}

#[test]
fn what_is_kept_comes_back() {
    let full = json!({
        "id": "prof_1", "organization_id": "org_1", "connection_id": "conn_1", "connection_type": "OktaSAML", "idp_id": "00u1",
        "email": "ü\u{20000}@acme.example", "name": "\"quoted\" \\ \u{7f}", "groups": ["a", "b,c"], "roles": [{"slug": "admin"}],
        "custom_attributes": {"n": 12_345_678_901_234_567_890_u64, "deep": [{"x": null}], "1e400": 1.5e300},
    });
    let bare = json!({"id": "p", "connection_id": "c", "connection_type": "t", "email": "a@b"});
    for profile in [&full, &bare] {
        for token in [None, Some("eyJ.\"\\\u{1}.x")] {
            let answer = answer(profile, token);
            let back = kept(&keep(&answer).unwrap()).unwrap();
            assert_eq!(back.profile, answer.profile);
            assert_eq!(back.access_token.as_ref().map(ProviderToken::expose), token);
        }
    }
    let with_session =
        TokenAnswer { refresh_token: Some(AuthkitRefreshToken::new("r\"\\1".into())), ..answer(&bare, None) };
    let back = kept(&keep(&with_session).unwrap()).unwrap();
    assert_eq!(back.refresh_token.as_ref().map(AuthkitRefreshToken::expose), Some("r\"\\1"));
    // As an older library kept it.
    let two = serde_json::to_vec(&("t", &with_session.profile)).unwrap();
    let back = kept(&two).unwrap();
    assert_eq!(
        (back.access_token.as_ref().map(ProviderToken::expose), back.refresh_token.is_none()),
        (Some("t"), true)
    );
    for broken in [&b""[..], b"null", b"{}", b"[null]", b"[1, {}]", b"\xff"] {
        assert_eq!(kept(broken).unwrap_err().code(), ErrorCode::SealBroken);
    }
}

#[test]
fn a_code_is_merged_into_the_query() {
    let own = OneTimeCode::new("wac_x".into());
    for (url, wanted) in [
        ("https://a.example", "https://a.example?code=wac_x"),
        ("https://a.example/", "https://a.example/?code=wac_x"),
        ("https://a.example/cb?", "https://a.example/cb?code=wac_x"),
        ("https://a.example/cb?x=1&y=%20+&x=2", "https://a.example/cb?x=1&y=%20+&x=2&code=wac_x"),
        // One that stood there would be taken for ours.
        ("https://a.example/cb?code=evil&x&c%6fde=evil&codex=1", "https://a.example/cb?x&codex=1&code=wac_x"),
        ("https://a.example/cb#/route?code=1", "https://a.example/cb?code=wac_x#/route?code=1"),
        ("https://a.example/cb?sb_flow_id=f1", "https://a.example/cb?sb_flow_id=f1&code=wac_x"),
        ("https://a.example/ü?ß#é", "https://a.example/%C3%BC?%C3%9F&code=wac_x#%C3%A9"),
        ("com.example.app:/oauth", "com.example.app:/oauth?code=wac_x"),
        ("myapp://callback", "myapp://callback?code=wac_x"),
    ] {
        assert_eq!(with_code(url, &own), wanted);
    }
}

#[test]
fn errors_are_encoded_as_supabase_does() {
    let refusal = CallbackRefusal::of_workos("access_denied", Some("No: the 100% \"user\" said *no*~"));
    assert_eq!(
        refusal.in_query_and_fragment("https://a.example/cb?x=1&error=old&error_code=old#top"),
        "https://a.example/cb?x=1&error=access_denied&error_code=access_denied&error_description=No%3A+the+100%25+%22user%22+said+%2Ano%2A~\
         #error=access_denied&error_code=access_denied&error_description=No%253A+the+100%2525+%2522user%2522+said+%252Ano%252A~&sb="
    );
    assert_eq!(
        CallbackRefusal::of_workos("access_denied", None).in_query_and_fragment("https://a.example/"),
        "https://a.example/?error=access_denied&error_code=access_denied&error_description=#error=access_denied&error_code=access_denied&sb="
    );
    assert_eq!(
        CallbackRefusal::from(ErrorCode::BadOauthState).in_query("https://a.example/home?x=1#y"),
        "https://a.example/home?x=1&error=invalid_request&error_code=bad_oauth_state&\
         error_description=no+sign-in+is+waiting+for+this+state#y"
    );
}

#[test]
fn workos_s_errors_are_handed_on_and_no_other() {
    for known in WORKOS_ERRORS {
        let refusal = CallbackRefusal::of_workos(known, None);
        assert_eq!((refusal.error.as_str(), refusal.error_code.as_str()), (known, known));
    }
    for unknown in ["", "Access_denied", "access_denied ", "invalid_grant", "<script>", "\r\n", "error\u{0}"] {
        let refusal = CallbackRefusal::of_workos(unknown, None);
        assert_eq!(
            (refusal.error.as_str(), refusal.error_code.as_str()),
            ("server_error", "server_error"),
            "{unknown:?}"
        );
    }
    let hostile = "a\r\nSet-Cookie: x=1\t\u{0}\u{7f}\u{85}\u{2028}\u{202e}b";
    assert_eq!(CallbackRefusal::of_workos("server_error", Some(hostile)).description, "aSet-Cookie: x=1b");
    let long = CallbackRefusal::of_workos("server_error", Some(&"é".repeat(1_000_000)));
    assert_eq!(long.description, "é".repeat(300));
}

#[test]
fn our_errors_by_status_and_without_what_is_nobody_s_business() {
    for (code, error, name) in [
        (ErrorCode::SignupDisabled, "access_denied", "signup_disabled"),
        (ErrorCode::UserBanned, "access_denied", "user_banned"),
        (ErrorCode::OrganizationMismatch, "access_denied", "organization_mismatch"),
        (ErrorCode::ImplicitNotAllowed, "access_denied", "implicit_not_allowed"),
        (ErrorCode::BadOauthCallback, "invalid_request", "bad_oauth_callback"),
        (ErrorCode::FlowStateAlreadyUsed, "invalid_request", "flow_state_already_used"),
        (ErrorCode::WorkosInvalidGrant, "invalid_request", "workos_invalid_grant"),
        (ErrorCode::MultipleAccounts, "server_error", "multiple_accounts"),
        (ErrorCode::TokenTooLarge, "server_error", "token_too_large"),
        (ErrorCode::ProviderChanged, "server_error", "provider_changed"),
        (ErrorCode::WorkosUnavailable, "server_error", "workos_unavailable"),
        (ErrorCode::WorkosUnreachable, "temporarily_unavailable", "workos_unreachable"),
        (ErrorCode::WorkosTimeout, "temporarily_unavailable", "workos_timeout"),
        (ErrorCode::TooManyRequests, "temporarily_unavailable", "over_request_rate_limit"),
        (ErrorCode::ProviderDisabled, "temporarily_unavailable", "provider_disabled"),
        (ErrorCode::RootKeyUnreadable, "server_error", "unexpected_failure"),
        (ErrorCode::SealBroken, "server_error", "unexpected_failure"),
        (ErrorCode::Unexpected, "server_error", "unexpected_failure"),
    ] {
        let refusal = CallbackRefusal::from(&Error::with_detail(code, "secret/path"));
        assert_eq!((refusal.error.as_str(), refusal.error_code.as_str()), (error, name));
        assert!(!refusal.in_query_and_fragment("https://a.example").contains("secret"), "{name}");
    }
}

#[test]
fn the_words_of_a_hook_that_refuses_are_for_the_browser() {
    let told = |detail| CallbackRefusal::from(&Error::with_detail(ErrorCode::HookRefused, detail)).description;
    assert_eq!(told("HTTP 403: Your trial\r\n is over: pay"), "Your trial is over: pay");
    assert_eq!(told("something else"), ErrorCode::HookRefused.message());
    let other = CallbackRefusal::from(&Error::with_detail(ErrorCode::HookFailed, "HTTP 403: secret"));
    assert_eq!(other.description, ErrorCode::HookFailed.message());
}

#[test]
fn tokens_stand_in_the_fragment_and_nowhere_else() {
    let tokens = FragmentTokens {
        access_token: "a.b-c_d",
        expires_at: 1_780_000_000,
        expires_in: 3600,
        provider_token: Some("p+/=&x=1"),
        refresh_token: Some("r"),
    };
    assert_eq!(
        with_tokens("https://a.example/cb?x=1#/route", &tokens),
        "https://a.example/cb?x=1#access_token=a.b-c_d&expires_at=1780000000&expires_in=3600&provider_token=p%2B%2F%3D%26x%3D1\
         &refresh_token=r&sb=&token_type=bearer"
    );
    let bare = FragmentTokens { provider_token: None, refresh_token: None, ..tokens };
    assert_eq!(
        with_tokens("https://a.example/ü", &bare),
        "https://a.example/%C3%BC#access_token=a.b-c_d&expires_at=1780000000&expires_in=3600&sb=&token_type=bearer"
    );
}

proptest! {
    /// Whatever WorkOS, or whoever forges its redirect, says: the browser goes where it was to go, in one header line.
    #[test]
    fn no_text_changes_the_address(error in any::<String>(), description in any::<String>(), query in "[a-z=&%#?/]{0,20}") {
        let before = format!("https://app.example.com/cb?{query}");
        let refusal = CallbackRefusal::of_workos(&error, Some(&description));
        for url in [refusal.in_query(&before), refusal.in_query_and_fragment(&before)] {
            prop_assert!(url.bytes().all(|b| b.is_ascii_graphic()), "{}", url);
            let parsed = Url::parse(&url).unwrap();
            prop_assert_eq!((parsed.scheme(), parsed.host_str(), parsed.path()), ("https", Some("app.example.com"), "/cb"));
            let told: Vec<String> =
                parsed.query_pairs().filter(|(name, _)| name == "error").map(|(_, value)| value.into_owned()).collect();
            prop_assert_eq!(told, [refusal.error.clone()]);
        }
    }

    #[test]
    fn other_parameters_stay_as_they_are(query in "[a-z0-9=&%+]{0,30}") {
        let url = with_code(&format!("https://a.example/?{query}"), &OneTimeCode::new("wac_1".into()));
        let pairs = |query: &str| form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "code")
            .map(|(name, value)| (name.into_owned(), value.into_owned())).collect::<Vec<_>>();
        let after = Url::parse(&url).unwrap();
        prop_assert_eq!(pairs(after.query().unwrap()), pairs(&query));
        let codes: Vec<_> = after.query_pairs().filter(|(name, _)| name == "code").collect();
        prop_assert_eq!(codes.len(), 1);
    }
}
