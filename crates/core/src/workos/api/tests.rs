#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

const KEY: &str = "sk_test_a-key-that-nobody-sees";

fn with<T>(api_url: &str, f: impl FnOnce(&Api) -> T) -> T {
    f(&Api { api_url, key: &ClientSecret::new(KEY.to_owned()) })
}

fn api<T>(f: impl FnOnce(&Api) -> T) -> T {
    with("https://api.workos.com", f)
}

fn answer(status: u16, body: &[u8]) -> HttpAnswer<'_> {
    HttpAnswer { status, request_id: Some("req_1"), retry_after: None, body }
}

fn organization() -> Value {
    json!({
        "object": "organization", "id": "org_1", "name": "Acme", "external_id": "customer-7", "metadata": {}, "domains": [
            {"object": "organization_domain", "id": "org_domain_1", "organization_id": "org_1", "domain": "Acme.com",
             "state": "pending", "verification_strategy": "dns", "verification_token": "m5Oztg3j"},
            {"object": "organization_domain", "id": "org_domain_2", "organization_id": "org_1", "domain": "acme.org",
             "state": "verified", "verification_strategy": "manual"},
        ],
        "created_at": "2026-01-15T12:00:00.000Z", "updated_at": "2026-01-15T12:00:00.000Z",
    })
}

fn read(body: &Value) -> Result<Organization> {
    api(|api| api.organization(&answer(200, body.to_string().as_bytes()), "org_1"))
}

#[test]
fn every_part_of_a_path_is_one() {
    for (external_id, path) in [
        ("customer-7", "customer-7"),
        ("../organizations", "..%2Forganizations"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("%2e%2e", "%252e%252e"),
        ("a\\..\\b", "a%5C..%5Cb"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("...", "..."),
    ] {
        let request = api(|api| api.find_organization(external_id)).unwrap();
        assert_eq!(request.url, format!("https://api.workos.com/organizations/external_id/{path}"));
        assert_eq!(request.body, None);
    }
    // Behind a prefix too, as behind a proxy.
    let request = with("http://127.0.0.1:4100/workos/", |api| api.get_organization("org_1")).unwrap();
    assert_eq!(request.url, "http://127.0.0.1:4100/workos/organizations/org_1");
}

#[test]
fn what_workos_is_asked() {
    let body = |request: Result<ApiRequest>| crate::json::parse(&request.unwrap().body.unwrap()).unwrap();
    let wanted = NewOrganization { name: "Acme \"1\"".into(), external_id: None, domains: Vec::new() };
    assert_eq!(api(|api| body(api.create_organization(&wanted))), json!({ "name": "Acme \"1\"" }));
    let wanted = NewOrganization { external_id: Some("customer-7".into()), domains: vec!["acme.com".into()], ..wanted };
    assert_eq!(
        api(|api| body(api.create_organization(&wanted))),
        json!({"name": "Acme \"1\"", "external_id": "customer-7", "domain_data": [{"domain": "acme.com", "state": "pending"}]})
    );
    assert_eq!(
        api(|api| body(api.portal_link("org_1", "sso", None, Some("https://app.example.com/done")))),
        json!({"organization": "org_1", "intent": "sso", "success_url": "https://app.example.com/done"})
    );
    let invitation = api(|api| api.invite_contact("org_1", "itc_1", &["sso", "directory_sync"])).unwrap();
    assert_eq!(invitation.url, "https://api.workos.com/organizations/org_1/it_contacts/itc_1/invite");
    assert_eq!(invitation.body.unwrap(), r#"{"intents":["sso","directory_sync"]}"#);
}

#[test]
fn an_organization_is_read_with_its_domains() {
    let found = read(&organization()).unwrap();
    assert_eq!((found.id.as_str(), found.external_id.as_deref()), ("org_1", Some("customer-7")));
    let pending = found.domain("acme.com").unwrap();
    assert_eq!(pending.record().unwrap(), "verification_token=m5Oztg3j");
    assert!(!pending.has_failed());
    assert_eq!(found.domain("acme.org").unwrap().record(), None);
    assert!(found.domain("acme.net").is_none());
    // WorkOS adds members, and leaves out what is empty.
    assert!(read(&json!({"id": "org_1", "new": [1]})).unwrap().domains.is_empty());

    for (member, value) in [
        ("id", json!("")),
        ("id", json!("org_1\u{0}")),
        ("id", json!(1)),
        ("id", json!("../x")),
        ("domains", json!({})),
        ("id", json!("org_2")),
        ("domains", json!([{"id": "d", "domain": "a.com", "state": "a\u{0}"}])),
        ("domains", json!([{"id": "d", "domain": "a.com", "state": KEY}])),
        ("domains", json!([{"id": "..", "domain": "a.com", "state": "pending"}])),
        ("domains", json!([{"id": "", "domain": "a.com", "state": "pending"}])),
        ("domains", json!([{"id": "d", "domain": "a.com", "state": "pending", "verification_token": "a\u{0}"}])),
        ("domains", json!([{"id": "d", "domain": "a.com", "state": "pending", "verification_token": "a b"}])),
    ] {
        let mut bad = organization();
        bad[member] = value.clone();
        let error = read(&bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed, "{member}: {value}");
        assert!(error.detail().unwrap().contains("(X-Request-ID req_1)"), "{error:?}");
    }
}

#[test]
fn what_was_looked_up_is_what_was_found() {
    let body = organization().to_string();
    let found = |status, external_id: &str| api(|api| api.found(&answer(status, body.as_bytes()), external_id));
    assert_eq!(found(200, "customer-7").unwrap().unwrap().id, "org_1");
    assert!(found(404, "customer-7").unwrap().is_none());
    assert_eq!(found(200, "customer-8").unwrap_err().code(), ErrorCode::WorkosAnswerMalformed);
    assert_eq!(found(500, "customer-7").unwrap_err().code(), ErrorCode::WorkosUnavailable);
    assert_eq!(found(401, "customer-7").unwrap_err().code(), ErrorCode::WorkosInvalidClient);
}

#[test]
fn what_differs_is_said() {
    let found = read(&organization()).unwrap();
    let wanted = |name: &str, domains: &[&str]| NewOrganization {
        name: name.into(),
        external_id: None,
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
    };
    let difference = |name, domains| found.difference(&wanted(name, domains));
    assert_eq!(difference("Acme", &["acme.com", "acme.org"]), None);
    assert_eq!(difference("Acme", &[]), None);
    assert_eq!(difference("ACME", &[]).unwrap(), "Its name is another.");
    assert_eq!(difference("Acme", &["acme.net", "acme.com"]).unwrap(), "It lacks the domains acme.net.");
    let both = "Its name is another, and it lacks the domains acme.net, acme.io.";
    assert_eq!(difference("Ac", &["acme.net", "acme.io"]).unwrap(), both);
}

#[test]
fn a_link_is_https() {
    let link = |api_url, link: &str| {
        let body = json!({ "link": link }).to_string();
        with(api_url, |api| api.link(&answer(201, body.as_bytes())))
    };
    const WORKOS: &str = "https://api.workos.com";
    let good = "https://id.workos.com/portal/launch?secret=aBc#x";
    assert_eq!(link(WORKOS, good).unwrap().expose(), good);
    let of_this_machine = "http://127.0.0.1:4100/portal/launch?secret=aBc";
    assert_eq!(link("http://127.0.0.1:4100", of_this_machine).unwrap().expose(), of_this_machine);
    for (api_url, bad) in [
        (WORKOS, of_this_machine),
        (WORKOS, "http://id.workos.com/"),
        ("http://127.0.0.1:4100", "http://id.workos.com/"),
        (WORKOS, "javascript:alert(1)"),
        (WORKOS, "https://id.workos.com/\u{0}secretsecret"),
        (WORKOS, "https://user@id.workos.com/secretsecret"),
        (WORKOS, "https://id.workos.com/\u{202e}secretsecret"),
        (WORKOS, &format!("https://id.workos.com/{}", "a".repeat(8192))),
        (WORKOS, ""),
    ] {
        let error = link(api_url, bad).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed, "{bad}");
        assert_eq!(error.detail(), Some("The link is no https URL (X-Request-ID req_1)."), "{bad}");
    }
}

#[test]
fn no_error_shows_a_link_or_the_key() {
    let secret = "https://id.workos.com/portal/launch?secret=aBcDeFgHiJk";
    for body in [
        json!({"link": [secret]}).to_string(),
        json!({"link": {secret: 1}}).to_string(),
        format!("{{\"link\": \"{secret}"),
        format!("{{\"link\": \"{secret}\", \"link\": \"{secret}\"}}"),
        secret.to_owned(),
    ] {
        let error = api(|api| api.link(&answer(201, body.as_bytes())).map(drop)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed, "{body}");
        assert!(!error.detail().unwrap().contains("secret"), "{error:?}");
    }
    let echoed = json!({"message": format!("no key {KEY}"), "code": "unauthorized"}).to_string();
    let error = api(|api| api.done(&answer(401, echoed.as_bytes()))).unwrap_err();
    assert_eq!(error.code(), ErrorCode::WorkosInvalidClient);
    assert!(!error.detail().unwrap().contains("nobody"), "{error:?}");
}

#[test]
fn contacts_are_a_list() {
    let contact = json!({"object": "it_contact", "id": "itc_1", "email": "It@Acme.com"});
    let list =
        json!({"object": "list", "data": [contact], "list_metadata": {"before": null, "after": null}}).to_string();
    let read = api(|api| api.contacts(&answer(200, list.as_bytes()))).unwrap();
    assert_eq!((read[0].id.as_str(), read[0].email.as_str()), ("itc_1", "It@Acme.com"));
    assert!(api(|api| api.contact(&answer(201, contact.to_string().as_bytes()), "it@acme.com")).is_ok());
    // It becomes a part of a path.
    let bad = json!({"id": "..", "email": "it@acme.com"}).to_string();
    assert_eq!(
        api(|api| api.contact(&answer(201, bad.as_bytes()), "it@acme.com")).unwrap_err().code(),
        ErrorCode::WorkosAnswerMalformed
    );
}

/// An answer about something else would be taken for one about what was asked.
#[test]
fn answers_are_about_what_was_asked() {
    let refused = |error: Error| {
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed);
        assert!(error.detail().unwrap().contains("is not the one asked for"), "{error:?}");
    };
    let organization = organization().to_string();
    let wanted = |external_id: Option<&str>| NewOrganization {
        name: "Acme".into(),
        external_id: external_id.map(str::to_owned),
        domains: Vec::new(),
    };
    let created = |external_id| api(|api| api.created(&answer(201, organization.as_bytes()), &wanted(external_id)));
    assert_eq!(created(Some("customer-7")).unwrap().id, "org_1");
    assert_eq!(created(None).unwrap().id, "org_1");
    refused(created(Some("customer-8")).unwrap_err());

    let domain = |of: Value, name: &str| {
        let body = json!({"id": "d", "organization_id": of, "domain": name, "state": "verified"}).to_string();
        api(|api| api.domain(&answer(201, body.as_bytes()), "org_1", "acme.com"))
    };
    assert!(domain(json!("org_1"), "Acme.com").is_ok() && domain(json!(null), "acme.com").is_ok());
    refused(domain(json!("org_2"), "acme.com").unwrap_err());
    refused(domain(json!("org_1"), "evil.com").unwrap_err());

    let contact = json!({"id": "itc_1", "email": "eve@acme.com"}).to_string();
    refused(api(|api| api.contact(&answer(201, contact.as_bytes()), "it@acme.com")).unwrap_err());
}

#[test]
fn a_session_that_workos_does_not_know_has_ended() {
    let request = api(|api| api.revoke_session("session_1")).unwrap();
    assert_eq!(request.url, "https://api.workos.com/user_management/sessions/revoke");
    assert_eq!(request.body.as_deref(), Some(r#"{"session_id":"session_1"}"#));
}
