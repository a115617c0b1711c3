#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

const API: &str = "https://api.workos.com";

fn answer(status: u16, body: &str) -> Result<Page> {
    let answer = HttpAnswer { status, request_id: Some("req_1"), retry_after: Some("3"), body: body.as_bytes() };
    read(&answer, &ClientSecret::new("sk_test_secret_key".into()))
}

#[test]
fn a_page_is_asked_for_oldest_first_with_joined_filters() {
    let events = List { path: &["events"], filters: &[("events", "user.deleted,dsync.deleted")] };
    let url = |after| events.page(API, after, 100).unwrap().url;
    assert_eq!(url(None), format!("{API}/events?events=user.deleted%2Cdsync.deleted&order=asc&limit=100"));
    assert!(url(Some("event_1&x=y")).ends_with("&after=event_1%26x%3Dy"), "{}", url(Some("event_1&x=y")));
    let roles = List { path: &["authorization", "organizations", "org_1/../2", "roles"], filters: &[] };
    assert_eq!(roles.whole(API).unwrap().url, format!("{API}/authorization/organizations/org_1%2F..%2F2/roles"));
}

#[test]
fn a_page_is_read_and_nothing_else_is() {
    let page =
        |after: Value| json!({ "object": "list", "data": [{}], "list_metadata": { "after": after } }).to_string();
    assert_eq!(answer(200, &page(json!("event_1"))).unwrap().after.as_deref(), Some("event_1"));
    assert_eq!(answer(200, &page(Value::Null)).unwrap(), Page { items: vec![json!({})], after: None });
    assert_eq!(answer(200, r#"{"data":[]}"#).unwrap(), Page { items: Vec::new(), after: None });
    for bad in ["", "[]", "{}", r#"{"data":{}}"#, &page(json!("")), &page(json!("a b")), &page(json!("x".repeat(256)))]
    {
        let error = answer(200, bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed, "{bad}");
    }
}

#[test]
fn what_a_customer_typed_makes_no_page_unreadable() {
    let text = r#"{"data":[{"$serde_json::private::Number":"x","cut":"\ud83d"}]}"#;
    let item = Value::Object(Map::from_iter([
        ("$serde_json::private::Number".to_owned(), "x".into()),
        ("cut".to_owned(), "\u{fffd}".into()),
    ]));
    assert_eq!(answer(200, text).unwrap().items, std::slice::from_ref(&item));
    let one = HttpAnswer { status: 200, request_id: None, retry_after: None, body: text.as_bytes() };
    let whole = read_one(&one, &ClientSecret::new("sk_test_secret_key".into())).unwrap();
    assert_eq!(whole["data"], Value::Array(vec![item]));
}

#[test]
fn a_page_leads_on_or_is_the_last() {
    let page = |after: Option<&str>| Page { items: Vec::new(), after: after.map(str::to_owned) };
    for (after, from, leads_on) in [
        (None, None, true),
        (None, Some("a"), true),
        (Some("b"), Some("a"), true),
        (Some("a"), None, true),
        (Some("a"), Some("a"), false),
    ] {
        assert_eq!(page(after).leads_on(from), leads_on, "{after:?} from {from:?}");
    }
}

#[test]
fn a_refusal_has_its_name_and_shows_no_key() {
    for (status, code) in [
        (401, ErrorCode::WorkosInvalidClient),
        (404, ErrorCode::WorkosNotFound),
        (429, ErrorCode::WorkosRateLimited),
        (500, ErrorCode::WorkosUnavailable),
    ] {
        let error = answer(status, r#"{"message":"sk_test_secret_key is bad"}"#).unwrap_err();
        assert_eq!(error.code(), code);
        assert!(!error.detail().unwrap().contains("secret_key"), "{error:?}");
    }
    assert!(answer(429, "{}").unwrap_err().detail().unwrap().contains("Retry-After: 3"));
}

#[test]
fn only_workos_says_that_something_is_not_there() {
    let one = |status, body: &str| {
        let answer = HttpAnswer { status, request_id: None, retry_after: None, body: body.as_bytes() };
        read_one(&answer, &ClientSecret::new("sk_test_secret_key".into()))
    };
    assert_eq!(one(200, r#"{"id":"org_1"}"#).unwrap(), json!({ "id": "org_1" }));
    assert_eq!(one(404, r#"{"message":"Not found"}"#).unwrap_err().code(), ErrorCode::WorkosNotFound);
    for page in ["", "<html>", "{}", "[]", r#"{"message":7}"#] {
        assert_eq!(one(404, page).unwrap_err().code(), ErrorCode::WorkosAnswerMalformed, "{page}");
    }
}
