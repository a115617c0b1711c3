#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

mod profiles;

const SECRET: &str = "sk_test_a2V5XzAxSFZYWldKR0Y";
const CODE: &str = "01HVXZWJGF/+&code";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDACT: &[&str] = &[SECRET, "sso_code_01HVXZWJGFQZ", VERIFIER];

fn answer(status: u16, body: &[u8]) -> HttpAnswer<'_> {
    HttpAnswer { status, request_id: Some("req_1"), retry_after: Some("60"), body }
}

fn parse(status: u16, body: &[u8]) -> Result<TokenAnswer> {
    parse_token_answer(&answer(status, body), REDACT)
}

fn parse_json(body: &Value) -> Result<TokenAnswer> {
    parse(200, body.to_string().as_bytes())
}

/// The example of WorkOS's API reference, filled.
fn full() -> Value {
    json!({
        "token_type": "Bearer", "access_token": "eyJhbGciOi", "expires_in": 600,
        "profile": {
            "object": "profile", "id": "prof_1", "organization_id": "org_1", "connection_id": "conn_1",
            "connection_type": "OktaSAML", "idp_id": "00u1", "email": "alice@acme.example", "first_name": "Alice",
            "last_name": "Admin", "name": "Alice Admin", "role": {"slug": "admin"},
            "roles": [{"slug": "admin"}, {"slug": "billing"}], "groups": ["Engineering", "Admins"],
            "custom_attributes": {"department": "R&D"}, "raw_attributes": {},
        },
        "oauth_tokens": {"provider": "GoogleOAuth", "access_token": "ya29", "scopes": ["email"]},
    })
}

/// The full answer with one member of the profile replaced, or removed.
fn with(member: &str, value: Option<Value>) -> Value {
    let mut answer = full();
    let profile = answer["profile"].as_object_mut().unwrap();
    match value {
        Some(value) => profile.insert(member.to_owned(), value),
        None => profile.remove(member),
    };
    answer
}

fn code_of<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn the_request_in_both_encodings() {
    let verifier = CodeVerifier::parse(VERIFIER).unwrap();
    let secret = ClientSecret::new("sk_\"+&=\\é".into());
    let code = AuthorizationCode::new(CODE.into());
    let request = TokenRequest { client_id: "client_1", client_secret: &secret, code: &code, code_verifier: &verifier };
    let expected = [
        ("client_id", "client_1"),
        ("client_secret", "sk_\"+&=\\é"),
        ("grant_type", "authorization_code"),
        ("code", CODE),
        ("code_verifier", VERIFIER),
    ];
    let form = request.form();
    let sent: Vec<(String, String)> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(form.is_ascii() && form.capacity() >= form.len());
    let json: Value = serde_json::from_str(&request.json()).unwrap();
    assert_eq!(json, expected.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect::<Value>());
    assert!(!format!("{request:?}").contains("sk_") && !format!("{request:?}").contains(VERIFIER));
    assert_eq!(token_url("https://api.workos.com", false), "https://api.workos.com/sso/token");
    assert_eq!(token_url("http://[::1]:1/x/", false), "http://[::1]:1/x/sso/token");
    assert_eq!(token_url("http://[::1]:1/x/", true), "http://[::1]:1/x/user_management/authenticate");
}

#[test]
fn codes() {
    assert_eq!(check_code("sso_code_01").unwrap().expose(), "sso_code_01");
    assert!(check_code(&"a".repeat(2048)).is_ok());
    for bad in ["", " ", "a b", "a\n", "a\0", "é", "a\u{7f}", &"a".repeat(2049)] {
        assert_eq!(code_of(check_code(bad)), ErrorCode::AuthorizationCodeInvalid, "{bad:?}");
    }
}

#[test]
fn a_full_answer() {
    let answer = parse_json(&full()).unwrap();
    assert_eq!(answer.access_token.unwrap().expose(), "eyJhbGciOi");
    assert_eq!(answer.expires_in, Some(600));
    let profile = answer.profile;
    assert_eq!((profile.id.as_str(), profile.email.as_str()), ("prof_1", "alice@acme.example"));
    assert_eq!(
        (profile.connection_id.as_deref(), profile.connection_type.as_deref()),
        (Some("conn_1"), Some("OktaSAML"))
    );
    assert_eq!((profile.organization_id.as_deref(), profile.idp_id.as_deref()), (Some("org_1"), Some("00u1")));
    assert_eq!((profile.role.as_deref(), &profile.roles[..]), (Some("admin"), &["admin".into(), "billing".into()][..]));
    assert_eq!(profile.groups, ["Engineering", "Admins"]);
    assert_eq!(profile.custom_attributes.0["department"], "R&D");
    assert_eq!(profile.name.as_deref(), Some("Alice Admin"));
    let stored: Profile = serde_json::from_value(serde_json::to_value(&profile).unwrap()).unwrap();
    assert_eq!(stored, profile);
}

#[test]
fn the_emulators_answer_and_new_members() {
    let answer = parse_json(&json!({
        "profile": {"object": "profile", "id": "prof_1", "connection_id": "conn_1", "connection_type": "BrandNewSAML",
            "email": "a@b.example", "raw_attributes": {"email": "a@b.example"}, "new": [{"x": 1}], "created_at": "…"},
        "access_token": "t", "novel": {"a": [1, null]},
    }))
    .unwrap();
    assert_eq!((answer.expires_in, answer.profile.organization_id, answer.profile.idp_id), (None, None, None));
    assert_eq!(answer.profile.connection_type.as_deref(), Some("BrandNewSAML"));
    assert!(answer.profile.roles.is_empty() && answer.profile.groups.is_empty());
    // 201 is a success too, and a token is not needed to sign in.
    assert!(parse(201, json!({"profile": full()["profile"]}).to_string().as_bytes()).unwrap().access_token.is_none());
}

/// Names that `serde_json` keeps for itself are names like any other.
#[test]
fn no_member_of_an_answer_is_taken_apart() {
    for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        for value in [json!("1"), json!("[1,"), json!({"a": 1})] {
            let data: Value = [(name.to_owned(), value.clone())].into_iter().collect();
            for (member, wanted) in [
                ("custom_attributes", data.clone()),
                ("raw_attributes", json!({"deep": [data.clone()]})),
                ("anything_new", data.clone()),
            ] {
                for body in [
                    with(member, Some(wanted.clone())).to_string(),
                    with(member, Some(wanted.clone())).to_string().replace("$serde", "\\u0024serde"),
                ] {
                    let answer = parse(200, body.as_bytes()).unwrap_or_else(|error| panic!("{body}: {error:?}"));
                    let kept = crate::callback::keep(&answer).unwrap();
                    let kept = crate::callback::kept(&kept).unwrap_or_else(|error| panic!("{body}: {error:?}"));
                    for profile in [&answer.profile, &kept.profile] {
                        let read = match member {
                            "custom_attributes" => &profile.custom_attributes,
                            "raw_attributes" => &profile.raw_attributes,
                            _ => continue,
                        };
                        assert_eq!(read.0, wanted, "{body}");
                    }
                }
            }
            let mut beside = full();
            beside["oauth_tokens"] = data.clone();
            beside["expires_in"] = data;
            assert!(parse_json(&beside).is_ok(), "{beside}");
        }
    }
}

#[test]
fn what_may_be_missing() {
    for member in ["organization_id", "idp_id", "first_name", "last_name", "name"] {
        for value in [None, Some(json!(null)), Some(json!(""))] {
            let profile = parse_json(&with(member, value)).unwrap().profile;
            assert_eq!(serde_json::to_value(&profile).unwrap()[member], Value::Null);
        }
    }
    for member in ["roles", "role", "groups", "custom_attributes", "raw_attributes"] {
        for value in [None, Some(json!(null))] {
            assert!(parse_json(&with(member, value)).is_ok(), "{member}");
        }
    }
    let fallback = parse_json(&with("roles", Some(json!([])))).unwrap().profile;
    assert_eq!(fallback.roles, ["admin"]);
}

#[test]
fn what_a_sign_in_needs() {
    for member in ["id", "email", "connection_id"] {
        for value in [None, Some(json!(null)), Some(json!("")), Some(json!(1)), Some(json!(["x"])), Some(json!({}))] {
            let error = parse_json(&with(member, value)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::WorkosProfileIncomplete, "{member}");
            assert!(error.detail().unwrap().contains(member), "{error:?}");
            assert!(error.hint_text().unwrap().contains(member), "{error:?}");
        }
    }
    for member in ["id", "email", "connection_id"] {
        let error = parse_json(&with(member, Some(json!(" \t ")))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosProfileIncomplete, "{member}");
    }
    let mail = format!("{}@acme.example", "a".repeat(320));
    for email in [
        "alice",
        "@acme.example",
        "alice@",
        "@",
        "al ice@acme.example",
        "alice@acme.example@evil.example",
        "<alice@acme.example>",
        "alice,bob@acme.example",
        "alice@acme.example\u{200b}",
        "a\u{7}@acme.example",
        &mail,
    ] {
        let error = parse_json(&with("email", Some(json!(email)))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosProfileIncomplete, "{email:?}");
        let detail = error.detail().unwrap();
        assert!(detail.starts_with("The profile's email is not an e-mail address: it "), "{detail}");
        assert!(email == "@" || !detail.contains(email), "{detail}");
    }
}

#[test]
fn blanks_around_an_address_are_not_part_of_it() {
    for email in ["Alice@acme.example ", " Alice@acme.example", "\tAlice@acme.example  "] {
        let profile = parse_json(&with("email", Some(json!(email)))).unwrap().profile;
        assert_eq!(profile.email, "Alice@acme.example", "{email:?}");
    }
    let blank = parse_json(&with("idp_id", Some(json!(" ")))).unwrap().profile;
    assert_eq!(blank.idp_id, None);
}

#[test]
fn an_answer_without_a_profile_signs_nobody_in() {
    for body in [json!({}), json!({"profile": null}), json!({"access_token": "t"}), json!({"profile": {}})] {
        assert_eq!(code_of(parse_json(&body)), ErrorCode::WorkosProfileIncomplete, "{body}");
    }
}

#[test]
fn ids_that_are_none_are_refused_by_name() {
    let long = "a".repeat(256);
    for (member, value) in [
        ("organization_id", json!(1)),
        ("organization_id", json!(["org_1"])),
        ("organization_id", json!("org_1\n")),
        ("organization_id", json!(long)),
        ("organization_id", json!(" ")),
        ("organization_id", json!("org 1")),
        ("organization_id", json!("org_1\u{200b}")),
        ("organization_id", json!("org_1\u{0}")),
        ("id", json!(long)),
        ("id", json!("prof\u{1b}[2J")),
        ("id", json!("prof_1 ")),
        ("id", json!("prof'1")),
        ("id", json!("prof_\u{0}")),
        ("connection_id", json!("conn\t1")),
        ("connection_id", json!(long)),
    ] {
        let error = parse_json(&with(member, Some(value))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosProfileMalformed, "{member}");
        assert!(error.detail().unwrap().ends_with(" (X-Request-ID req_1)."), "{error:?}");
        assert!(error.hint_text().unwrap().contains(member), "{error:?}");
    }
}

#[test]
fn answers_that_are_none() {
    for body in
        [json!({"profile": []}), json!({"profile": "x"}), json!({"profile": full()["profile"], "access_token": 1})]
    {
        assert_eq!(code_of(parse_json(&body)), ErrorCode::WorkosAnswerMalformed, "{body}");
    }
    let mut nul = full();
    nul["access_token"] = json!("a\u{0}");
    assert_eq!(code_of(parse_json(&nul)), ErrorCode::WorkosAnswerMalformed);
}

#[test]
fn bodies_that_are_no_answer() {
    let whole = full().to_string();
    let array = json!([full()["profile"], "token", 600]).to_string();
    let deep = format!("{{\"profile\":{}", "[".repeat(100_000));
    for body in [
        &b""[..],
        b" ",
        b"null",
        b"\"x\"",
        b"<!doctype html><title>eyJhbGciOi</title>",
        b"{\"profile\": {\"id\": \"\xff\"}}",
        b"\xef\xbb\xbf{}",
        b"{\"access_token\": \"eyJhbGciOi",
        b"{\"access_token\": eyJhbGciOi}",
        b"{\"access_token\": \"\\ud8\"}",
        b"{\"access_token\": \"a\", \"access_token\": \"b\"}",
        b"{\"access_token\": {\"eyJhbGciOi\": 1}}",
        array.as_bytes(),
        deep.as_bytes(),
        &whole.as_bytes()[..whole.len() - 1],
        format!("{whole}x").as_bytes(),
    ] {
        let error = parse(200, body).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed, "{:?}", String::from_utf8_lossy(body));
        let detail = error.detail().unwrap();
        assert!(!detail.contains("eyJ") && detail.starts_with("WorkOS answered 200 with "), "{detail}");
    }
    let cut = parse(200, b"{\n\"access_token\": \"eyJ").unwrap_err();
    assert_eq!(
        cut.detail(),
        Some("WorkOS answered 200 with 22 bytes that cannot be read: line 2, column 20, cut off (X-Request-ID req_1).")
    );
}

#[test]
fn refusals_by_name_and_status() {
    use ErrorCode::*;
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_client","error_description":"x"}"#, WorkosInvalidClient),
        (400, r#"{"error":"unauthorized_client"}"#, WorkosInvalidClient),
        (401, r#"{"message":"Unauthorized"}"#, WorkosInvalidClient),
        (401, r#"{"error":"Unauthorized"}"#, WorkosInvalidClient),
        (403, "", WorkosInvalidClient),
        (400, r#"{"error":"invalid_grant","error_description":"x"}"#, WorkosInvalidGrant),
        (401, r#"{"error":"invalid_grant"}"#, WorkosInvalidGrant),
        (400, r#"{"message":"Invalid authorization code","code":"invalid_code"}"#, WorkosInvalidGrant),
        (400, r#"{"message":"x","code":"expired_code"}"#, WorkosInvalidGrant),
        (404, r#"{"message":"Not Found"}"#, WorkosNotFound),
        (409, r#"{"message":"x","code":"conflict"}"#, WorkosConflict),
        (400, r#"{"message":"x","code":"external_id_already_used"}"#, WorkosConflict),
        (422, r#"{"message":"x","errors":[]}"#, WorkosUnprocessable),
        (429, r#"{"error":"invalid_grant"}"#, WorkosRateLimited),
        (500, r#"{"error":"invalid_client"}"#, WorkosUnavailable),
        (502, "<html>", WorkosUnavailable),
        (599, "", WorkosUnavailable),
        (301, "", WorkosRejected),
        (302, r#"{"error":"invalid_grant"}"#, WorkosRejected),
        (400, r#"{"error":"unsupported_grant_type"}"#, WorkosRejected),
        (400, "[\"invalid_grant\"]", WorkosRejected),
        (400, r#"{"error":{"code":"invalid_grant"}}"#, WorkosRejected),
        (418, "\u{0}", WorkosRejected),
        (100, "", WorkosRejected),
        (0, "", WorkosRejected),
    ] {
        assert_eq!(code_of(parse(status, body.as_bytes())), expected, "{status} {body}");
    }
}

#[test]
fn the_detail_of_a_refusal() {
    let detail = |status, body: &str| parse(status, body.as_bytes()).unwrap_err().detail().unwrap().to_owned();
    assert_eq!(
        detail(400, r#"{"error":"invalid_grant","error_description":"The code has expired."}"#),
        "WorkOS answered 400: invalid_grant: The code has expired (X-Request-ID req_1)."
    );
    assert_eq!(
        detail(404, r#"{"message":"Not\r\n\u0000 Found\u0085"}"#),
        "WorkOS answered 404: Not Found (X-Request-ID req_1)."
    );
    let fields = r#"{"message":"Validation failed","code":"x","errors":[{"field":"name","code":"required"},{"code":"bad"},7,{"field":1}]}"#;
    assert_eq!(
        detail(422, fields),
        "WorkOS answered 422: x: Validation failed: name required, bad (X-Request-ID req_1)."
    );
    assert_eq!(detail(429, ""), "WorkOS answered 429 (X-Request-ID req_1). Retry-After: 60.");
    assert_eq!(detail(503, ""), "WorkOS answered 503 (X-Request-ID req_1).");
    let long = detail(400, &json!({"message": "é".repeat(1000)}).to_string());
    assert_eq!(long, format!("WorkOS answered 400: {}… (X-Request-ID req_1).", "é".repeat(200)));
    let bare = HttpAnswer { status: 400, request_id: None, retry_after: None, body: b"{}" };
    assert_eq!(parse_token_answer(&bare, &[]).unwrap_err().detail(), Some("WorkOS answered 400."));
}

#[test]
fn only_an_unread_body_wants_json() {
    let body = br#"{"message":"Problems parsing JSON","code":"invalid_request_body"}"#;
    assert!(wants_json(&answer(400, body)));
    assert!(!wants_json(&answer(422, body)));
    for other in [
        &b"{}"[..],
        b"",
        b"invalid_request_body",
        br#"{"code":"invalid_code"}"#,
        br#"{"message":"invalid_request_body"}"#,
    ] {
        assert!(!wants_json(&answer(400, other)));
    }
}

#[test]
fn the_answer_must_be_what_was_asked_for() {
    let profile = parse_json(&full()).unwrap().profile;
    let nobody = parse_json(&with("organization_id", None)).unwrap().profile;
    let select = |organization, connection, provider| Selector::new(organization, connection, provider).unwrap();
    for good in [
        select(Some("org_1"), None, None),
        select(None, Some("conn_1"), None),
        select(Some("org_1"), Some("conn_1"), None),
        select(None, None, Some("OktaSAML")),
    ] {
        assert_eq!(check_answer(&good, &profile), Ok(()));
    }
    for (asked, code) in [
        (select(Some("org_2"), None, None), ErrorCode::OrganizationMismatch),
        (select(Some("ORG_1"), None, None), ErrorCode::OrganizationMismatch),
        (select(Some("org_2"), Some("conn_1"), None), ErrorCode::OrganizationMismatch),
        (select(None, Some("conn_2"), None), ErrorCode::ConnectionMismatch),
        (select(Some("org_1"), Some("conn_2"), None), ErrorCode::ConnectionMismatch),
        (select(None, None, Some("GoogleOAuth")), ErrorCode::ProviderMismatch),
    ] {
        assert_eq!(code_of(check_answer(&asked, &profile)), code, "{asked:?}");
    }
    let error = check_answer(&select(Some("org_1"), None, None), &nobody).unwrap_err();
    assert_eq!(error.detail(), Some("Asked for org_1, answered with none."));
}

/// JSON of any shape, members of WorkOS's among it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("a@b.example")),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let name = prop_oneof![
            any::<String>(),
            prop::sample::select(vec![
                "profile",
                "access_token",
                "expires_in",
                "id",
                "email",
                "connection_id",
                "roles",
                "connection_type",
                "organization_id",
                "groups",
                "slug",
                "error",
                "code",
                "message"
            ])
            .prop_map(str::to_owned),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(status in any::<u16>(), body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(status, &body).is_err());
        let _ = wants_json(&answer(400, &body));
    }

    #[test]
    fn any_json_is_read_or_refused(status in prop::sample::select(vec![200_u16, 400, 401, 429, 500]), body in any_json()) {
        if let Ok(read) = parse(status, body.to_string().as_bytes()) {
            prop_assert!(status == 200 && !read.profile.id.is_empty() && read.profile.email.contains('@'));
        }
    }

    #[test]
    fn any_profile_is_read_whole_or_refused(member in prop::sample::select(vec!["id", "organization_id", "idp_id", "email",
        "name", "role", "roles", "groups", "permissions", "connection_type", "custom_attributes"]), value in any_json()) {
        if let Ok(read) = parse_json(&with(member, Some(value.clone()))) {
            prop_assert!(!serde_json::to_string(&read.profile).unwrap().contains("\\u0000"));
            if member == "organization_id" && value.is_string() && value != "" {
                prop_assert_eq!(read.profile.organization_id.map(Value::from), Some(value));
            }
        }
    }

    /// A server that echoes what it was sent, whole, in part, in another case, or cut by control characters.
    #[test]
    fn no_error_shows_a_secret(
        secret in "[A-Za-z0-9_~.+/=-]{12,60}", before in ".{0,40}", after in ".{0,260}", upper in any::<bool>(),
        cut in 0_usize..48, status in prop::sample::select(vec![200_u16, 302, 400, 401, 404, 422, 429, 500]),
        place in 0..8,
    ) {
        let start = cut.min(secret.len() - 12);
        let mut shown = secret[start..].to_owned();
        if upper { shown = shown.to_uppercase(); }
        let spliced: String = shown.chars().flat_map(|c| [c, '\u{1}']).collect();
        let text = format!("{before}{}{after}", if place % 2 == 0 { &shown } else { &spliced });
        let body = match place {
            0 | 1 => json!({"error": text, "error_description": text}),
            2 | 3 => json!({"code": text, "message": text, "errors": [{"field": text, "code": text}]}),
            4 => json!({"profile": {&text: text, "id": text}, "access_token": [text]}),
            5 => json!({"profile": {"id": {&text: 1}}}),
            _ => json!(text),
        };
        let body = body.to_string();
        let answer = HttpAnswer { status, request_id: Some(&text), retry_after: Some(&text), body: body.as_bytes() };
        let error = parse_token_answer(&answer, &[&secret]).unwrap_err();
        let detail = error.detail().unwrap().to_lowercase();
        let secret = secret.to_lowercase();
        prop_assert!(secret.as_bytes().windows(12).all(|part| !detail.as_bytes().windows(12).any(|seen| seen == part)), "{}", detail);
        prop_assert!(!detail.contains(char::is_control) && detail.chars().count() < 800);
    }
}
