#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn url_with(selector: &Selector, hints: (Option<&str>, Option<&str>), params: Option<&Value>) -> Result<String> {
    AuthorizeRequest {
        api_url: DEFAULT_API_URL,
        client_id: "client_1",
        redirect_uri: "https://app.example.com/callback?a=b&c",
        selector,
        state: &State::new("s".into()),
        code_challenge: &CodeChallenge::parse(CHALLENGE, "S256", false).unwrap(),
        login_hint: hints.0,
        domain_hint: hints.1,
        params,
    }
    .url()
}

fn with_params(params: &Value) -> Result<String> {
    url_with(&Selector::Provider("GoogleOAuth".into()), (None, None), Some(params))
}

/// The decoded pairs of a URL that are not ours.
fn foreign_pairs(url: &str) -> Vec<(String, String)> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().into_owned().filter(|(name, _)| !RESERVED.contains(&name.as_str())).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn code<T>(result: Result<T>) -> ErrorCode {
    result.map(|_| ()).unwrap_err().code()
}

#[test]
fn the_whole_url() {
    let url =
        url_with(&Selector::Organization("org_1".into()), (Some("a+b@x.example"), Some("x.example")), None).unwrap();
    assert_eq!(
        url,
        "https://api.workos.com/sso/authorize?client_id=client_1\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
         &domain_hint=x.example&login_hint=a%2Bb%40x.example&organization=org_1\
         &redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback%3Fa%3Db%26c&response_type=code&state=s"
    );
}

#[test]
fn exactly_one_selector_is_sent() {
    for (selector, sent) in [
        (Selector::new(Some("org_1"), None, None), ("organization", "org_1")),
        (Selector::new(None, Some("conn_1"), None), ("connection", "conn_1")),
        (Selector::new(Some("org_1"), Some("conn_1"), None), ("connection", "conn_1")),
        (Selector::new(None, None, Some("GoogleOAuth")), ("provider", "GoogleOAuth")),
    ] {
        let url = Url::parse(&url_with(&selector.unwrap(), (None, None), None).unwrap()).unwrap();
        let selectors: Vec<_> = url
            .query_pairs()
            .into_owned()
            .filter(|(name, _)| ["organization", "connection", "provider", "domain"].contains(&name.as_str()))
            .collect();
        assert_eq!(selectors, pairs(&[sent]));
    }
}

#[test]
fn selectors_keep_what_was_asked() {
    let both = Selector::new(Some("org_1"), Some("conn_1"), None).unwrap();
    assert_eq!((both.organization(), both.connection(), both.provider()), (Some("org_1"), Some("conn_1"), None));
    let provider = Selector::new(None, None, Some("GoogleOAuth")).unwrap();
    assert_eq!(
        (provider.organization(), provider.connection(), provider.provider()),
        (None, None, Some("GoogleOAuth"))
    );
}

#[test]
fn unusable_selectors_are_refused() {
    assert_eq!(code(Selector::new(None, None, None)), ErrorCode::SelectorMissing);
    for (organization, connection) in [(Some("o"), None), (None, Some("c")), (Some("o"), Some("c"))] {
        assert_eq!(code(Selector::new(organization, connection, Some("p"))), ErrorCode::SelectorConflict);
    }
    for bad in ["", " ", "org 1", "org_1\n", "\torg_1", "org\0", "org\u{a0}1", "org\u{85}", &"o".repeat(256)] {
        for (name, result) in [
            ("organization", Selector::new(Some(bad), None, None)),
            ("connection", Selector::new(Some("o"), Some(bad), None)),
            ("provider", Selector::new(None, None, Some(bad))),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument, "{bad:?}");
            assert!(error.detail().unwrap().contains(name), "{error:?}");
        }
    }
    assert!(Selector::new(Some(&"o".repeat(255)), None, None).is_ok());
}

#[test]
fn hints_are_checked() {
    let selector = Selector::Organization("org_1".into());
    for bad in ["", "a\nb", "a\0", &"a".repeat(321)] {
        for (name, hints) in [("login_hint", (Some(bad), None)), ("domain_hint", (None, Some(bad)))] {
            let error = url_with(&selector, hints, None).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidArgument);
            assert!(error.detail().unwrap().contains(name));
        }
    }
}

#[test]
fn params_are_encoded_as_the_node_sdk_does() {
    let url = with_params(&json!({
        "provider_scopes": ["email", "a b&c", true, null],
        "provider_query_params": {"prompt": "consent", "hd": "x.example", "n": 1, "none": null},
        "prompt": "login", "nonce": "é=&", "number": 1.5, "yes": true, "nothing": null, "empty": "", "none": [], "no": {},
    }))
    .unwrap();
    let expected = pairs(&[
        ("empty", ""),
        ("nonce", "é=&"),
        ("number", "1.5"),
        ("prompt", "login"),
        ("provider_query_params[hd]", "x.example"),
        ("provider_query_params[n]", "1"),
        ("provider_query_params[prompt]", "consent"),
        ("provider_scopes", "email"),
        ("provider_scopes", "a b&c"),
        ("provider_scopes", "true"),
        ("yes", "true"),
    ]);
    assert_eq!(foreign_pairs(&url), expected);
    assert!(url.contains("&provider_query_params%5Bhd%5D=x.example&"), "{url}");
    assert!(url.contains("&provider_scopes=email&provider_scopes=a+b%26c&"), "{url}");
}

#[test]
fn reserved_names_are_refused_by_name() {
    for name in RESERVED {
        for name in [name.to_owned(), name.to_uppercase()] {
            for value in [json!("x"), json!(null), json!(["x"]), json!({"x": "y"})] {
                let error = with_params(&json!({ &name: value })).unwrap_err();
                assert_eq!(error.code(), ErrorCode::ReservedParameter);
                assert!(error.detail().unwrap().contains(&name));
            }
        }
    }
}

#[test]
fn unusable_params_are_refused() {
    let many: Map<String, Value> = (0..65).map(|i| (format!("p{i}"), json!(1))).collect();
    for params in [
        json!(null),
        json!([]),
        json!("a=b"),
        json!({"a": [["x"]]}),
        json!({"a": [{"x": 1}]}),
        json!({"a": {"b": {"c": 1}}}),
        json!({"a": {"b": ["c"]}}),
        json!({"": "x"}),
        json!({"state[]": "x"}),
        json!({"organization[0]": "x"}),
        json!({"a&state": "x"}),
        json!({" state": "x"}),
        json!({"state\u{0}": "x"}),
        json!({"ſtate": "x"}),
        json!({"a": {"b]&state=[": "x"}}),
        json!({"a": vec!["x"; 65]}),
        json!({"a": "x".repeat(8192)}),
        json!({"a": "é".repeat(1400)}),
        Value::Object(many),
    ] {
        assert_eq!(code(with_params(&params)), ErrorCode::ParameterInvalid, "{params}");
    }
}

#[test]
fn api_urls() {
    for (given, normal) in [
        (DEFAULT_API_URL, DEFAULT_API_URL),
        ("https://api.workos.com/", DEFAULT_API_URL),
        ("HTTPS://API.WorkOS.com:443", DEFAULT_API_URL),
        ("https://proxy.example/workos/", "https://proxy.example/workos"),
        ("http://localhost:4100/", "http://localhost:4100"),
        ("http://127.8.0.1:4100", "http://127.8.0.1:4100"),
        ("http://[::1]:4100", "http://[::1]:4100"),
    ] {
        assert_eq!(check_api_url(given).as_deref(), Ok(normal));
    }
    for bad in [
        "",
        "api.workos.com",
        "//api.workos.com",
        "https:api.workos.com",
        "https://",
        "https:///api.workos.com",
        "http://api.workos.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://[::2]",
        "ftp://localhost",
        "file:///etc/passwd",
        "https://u@api.workos.com",
        "https://u:p@api.workos.com",
        "https://@api.workos.com",
        "https://api.workos.com?x",
        "https://api.workos.com/?",
        "https://api.workos.com#x",
        "https://api.workos.com/#",
        "https://api.workos.com\\@evil.example",
        " https://api.workos.com",
        "https://api.work\nos.com",
        "https://api.workos.com:99999",
    ] {
        assert_eq!(code(check_api_url(bad)), ErrorCode::ApiUrlInvalid, "{bad:?}");
    }
}

#[test]
fn redirect_uris() {
    for good in [
        "https://app.example.com/callback",
        "https://app.example.com/callback?tenant=1",
        "http://localhost:3000/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:3000/",
    ] {
        assert_eq!(check_redirect_uri(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "/callback",
        "http://app.example.com/callback",
        "https://u:p@app.example.com/",
        "https://app.example.com/#x",
        "myapp://callback",
        "javascript://localhost/%0aalert(1)",
        "https://app.example.com/ x",
    ] {
        assert_eq!(code(check_redirect_uri(bad)), ErrorCode::RedirectUriInvalid, "{bad:?}");
    }
}

/// JSON of any shape, names of ours among it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let name =
            prop_oneof![any::<String>(), "[a-z]{1,4}", prop::sample::select(RESERVED.to_vec()).prop_map(str::to_owned)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_url_says_exactly_what_was_given(
        base in prop::sample::select(vec!["https://api.workos.com", "http://127.0.0.1:4100/", "https://p.example/w/x/"]),
        client_id in ".{1,20}", redirect_uri in ".{1,40}", state in ".{1,40}", organization in "\\PC{1,20}",
        login in prop::option::of("\\PC{1,20}"),
        params in prop::collection::btree_map("x[a-zA-Z_.:-]{0,6}", any::<String>(), 0..8),
    ) {
        let Ok(selector) = Selector::new(Some(&organization), None, None) else { return Ok(()) };
        let json = Value::Object(params.iter().map(|(name, value)| (name.clone(), json!(value))).collect());
        let challenge = CodeChallenge::parse(CHALLENGE, "S256", false).unwrap();
        let request = AuthorizeRequest {
            api_url: base, client_id: &client_id, redirect_uri: &redirect_uri, selector: &selector,
            state: &State::new(state.clone()), code_challenge: &challenge, login_hint: login.as_deref(),
            domain_hint: None, params: Some(&json),
        };
        let url = request.url().unwrap();
        let mut expected: Vec<(String, String)> = params.into_iter().collect();
        expected.extend(login.map(|login| ("login_hint".to_owned(), login)));
        for (name, value) in [("client_id", client_id.as_str()), ("redirect_uri", &redirect_uri), ("state", &state),
            ("organization", &organization), ("response_type", "code"), ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256")] {
            expected.push((name.to_owned(), value.to_owned()));
        }
        expected.sort();
        let parsed = Url::parse(&url).unwrap();
        let mut sent: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        sent.sort();
        prop_assert_eq!(sent, expected);
        let want = format!("{}/sso/authorize?", base.trim_end_matches('/'));
        prop_assert!(url.starts_with(&want));
        prop_assert!(parsed.fragment().is_none() && parsed.username().is_empty() && url.is_ascii());
    }

    #[test]
    fn no_params_can_touch_ours(params in any_json()) {
        let Ok(url) = with_params(&params) else { return Ok(()) };
        let parsed = Url::parse(&url).unwrap();
        let ours = parsed.query_pairs().filter(|(name, _)| RESERVED.contains(&&*name.to_ascii_lowercase())).count();
        prop_assert_eq!(ours, 7);
        prop_assert!(url.len() < MAX_PARAMETER_BYTES + 1024);
    }

    #[test]
    fn a_checked_api_url_stays_as_it_is(text in prop_oneof![any::<String>(), "https?://[a-z0-9.:@%/?#\\\\-]{0,20}"]) {
        if let Ok(normal) = check_api_url(&text) {
            prop_assert_eq!(check_api_url(&normal).unwrap(), normal);
        }
    }
}

#[test]
fn authkit_is_asked_at_a_place_of_its_own() {
    let url = url_with(&Selector::AuthKit(None), (Some("ann@acme.com"), None), None).unwrap();
    assert_eq!(
        url,
        "https://api.workos.com/user_management/authorize?client_id=client_1\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
         &login_hint=ann%40acme.com&provider=authkit\
         &redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback%3Fa%3Db%26c&response_type=code&state=s"
    );
    let selector = Selector::new(Some("org_1"), None, Some("authkit")).unwrap();
    assert_eq!(
        (selector.organization(), selector.connection(), selector.provider()),
        (Some("org_1"), None, Some("authkit"))
    );
    let params = json!({"screen_hint": "sign-up", "max_age": 0, "invitation_token": "i"});
    let url = url_with(&selector, (None, None), Some(&params)).unwrap();
    for pair in
        ["&organization_id=org_1&", "&provider=authkit&", "&screen_hint=sign-up", "&max_age=0&", "&invitation_token=i&"]
    {
        assert!(url.contains(pair), "{pair}: {url}");
    }
    // Another provider stands alone, and a connection never beside AuthKit: AuthKit does not say through which one somebody came.
    assert_eq!(code(Selector::new(Some("org_1"), None, Some("GoogleOAuth"))), ErrorCode::SelectorConflict);
    assert_eq!(code(Selector::new(None, Some("conn_1"), Some("authkit"))), ErrorCode::SelectorConflict);
}

#[test]
fn what_authkit_would_pass_over_is_refused() {
    let with = |params: Value| url_with(&Selector::AuthKit(None), (None, None), Some(&params));
    for reserved in ["organization_id", "connection_id", "ORGANIZATION_ID", "provider"] {
        assert_eq!(code(with(json!({ (reserved): "x" }))), ErrorCode::ReservedParameter, "{reserved}");
    }
    for invalid in [
        json!({"screen_hint": "signup"}),
        json!({"screen_hint": ["sign-up", "sign-in"]}),
        json!({"max_age": -1}),
        json!({"max_age": 1.5}),
        json!({"max_age": "1 hour"}),
        json!({"max_age": 10_000_000_000_u64 * 10}),
        json!({"max_age": ""}),
        json!({"invitation_token": ""}),
        json!({"invitation_token": ["a", "b"]}),
    ] {
        assert_eq!(code(with(invalid.clone())), ErrorCode::ParameterInvalid, "{invalid}");
    }
    assert!(with(json!({"screen_hint": "sign-in", "max_age": 3600, "prompt": "login", "max_age2": "x"})).is_ok());
}
