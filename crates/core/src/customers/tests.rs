#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn an_organization_has_a_name_and_each_domain_once() {
    let longest = "é".repeat(255);
    let made =
        new_organization(Some(&longest), Some("customer/7 %2e"), Some(&[Some("Acme.COM"), Some("acme.com")])).unwrap();
    assert_eq!(
        made,
        NewOrganization { name: longest, external_id: Some("customer/7 %2e".into()), domains: vec!["acme.com".into()] }
    );
    assert_eq!(new_organization(Some("Acme"), None, None).unwrap().domains, [""; 0]);

    let longer = "x".repeat(256);
    for (name, external_id) in [
        ("", None),
        (" ", None),
        ("a\nb", None),
        (longer.as_str(), None),
        ("Acme", Some("")),
        ("Acme", Some(" ")),
        ("Acme", Some(".")),
        ("Acme", Some("..")),
        ("Acme", Some("a\u{0}")),
        ("Acme", Some("é")),
        ("Acme", Some(&longer[..129])),
    ] {
        assert_eq!(
            code(new_organization(Some(name), external_id, None)),
            ErrorCode::InvalidArgument,
            "{name:?} {external_id:?}"
        );
    }
    assert_eq!(code(new_organization(None, None, None)), ErrorCode::NullValue);
    assert_eq!(code(new_organization(Some("Acme"), None, Some(&[Some("acme.com"), None]))), ErrorCode::NullValue);
    let many = vec![Some("acme.com"); 101];
    assert_eq!(code(new_organization(Some("Acme"), None, Some(&many))), ErrorCode::InvalidArgument);
}

#[test]
fn a_domain_has_a_dot() {
    assert_eq!(check_domain("domain", Some("Mail.Acme.COM")).unwrap(), "mail.acme.com");
    for bad in [
        "",
        "acme",
        "acme.com.",
        ".acme.com",
        "acme..com",
        "acme com",
        "@acme.com",
        "acme.com/x",
        "https://acme.com",
        "*.acme.com",
        "bücher.example",
    ] {
        assert_eq!(code(check_domain("domain", Some(bad))), ErrorCode::InvalidArgument, "{bad}");
    }
    assert_eq!(code(check_domain("domain", None)), ErrorCode::NullValue);
}

#[test]
fn an_id_of_an_organization_is_one() {
    assert_eq!(check_organization(Some("org_01ACME")).unwrap(), "org_01ACME");
    for bad in ["", "..", "org/1", "org_1?x", "org_1\n", " org_1"] {
        assert_eq!(code(check_organization(Some(bad))), ErrorCode::InvalidArgument, "{bad}");
    }
    assert_eq!(code(check_organization(None)), ErrorCode::NullValue);
}

#[test]
fn intents_are_those_of_the_portal_whoever_is_asked() {
    assert_eq!(check_intent(Some("dsync")).unwrap(), "dsync");
    assert_eq!(check_intent(Some("directory_sync")).unwrap(), "dsync");
    assert_eq!(check_intent(Some("audit_logs")).unwrap(), "audit_logs");
    let wanted = [Some("sso"), Some("dsync"), Some("directory_sync"), Some("sso")];
    assert_eq!(check_invitation(Some(&wanted)).unwrap(), ["sso", "directory_sync"]);

    for bad in ["", "SSO", "sso ", "admin"] {
        assert_eq!(code(check_intent(Some(bad))), ErrorCode::InvalidArgument, "{bad}");
        assert_eq!(code(check_invitation(Some(&[Some(bad)]))), ErrorCode::InvalidArgument, "{bad}");
    }
    let error = check_invitation(Some(&[Some("audit_logs")])).unwrap_err();
    let detail = error.detail().unwrap();
    assert!(
        detail.ends_with("it is none of sso, dsync, log_streams, domain_verification, bring_your_own_key."),
        "{detail}"
    );
    assert_eq!(code(check_invitation(Some(&[]))), ErrorCode::InvalidArgument);
    assert_eq!(code(check_invitation(Some(&[None]))), ErrorCode::NullValue);
    assert_eq!(code(check_invitation(None)), ErrorCode::NullValue);
    assert_eq!(code(check_intent(None)), ErrorCode::NullValue);
}

#[test]
fn the_way_back_is_https() {
    let longest = format!("https://app.example.com/{}", "x".repeat(2048 - 24));
    for good in [None, Some("https://app.example.com"), Some("https://app.example.com/a?b=c#/settings"), Some(&longest)]
    {
        assert!(check_way_back("return_url", good).is_ok(), "{good:?}");
    }
    let longer = format!("{longest}x");
    for bad in [
        "",
        "app.example.com",
        "http://app.example.com",
        "http://localhost:3000",
        "javascript:alert(1)",
        "https://user@app.example.com",
        "https://app.example.com/a b",
        "https://app.example.com/#a b",
        "https://app.example.com\\@evil.com",
        "https://app.example.com/\n",
        &longer,
    ] {
        assert_eq!(code(check_way_back("return_url", Some(bad))), ErrorCode::InvalidArgument, "{bad}");
    }
}

#[test]
fn no_hint_speaks_of_a_sign_in() {
    for code in ErrorCode::ALL
        .iter()
        .filter(|code| code.name().starts_with("workos_") || code.name().starts_with("https_proxy"))
    {
        // These are about profiles and codes, which nobody is asked for here.
        if matches!(
            code,
            ErrorCode::WorkosInvalidGrant | ErrorCode::WorkosProfileIncomplete | ErrorCode::WorkosProfileMalformed
        ) {
            continue;
        }
        let error = about_customers(Error::new(*code));
        let hint = error.hint_text().unwrap_or_default();
        assert!(!hint.contains("sign-in") && !hint.contains("The code"), "{}: {hint}", code.name());
        assert_eq!(error.code(), *code);
    }
}
