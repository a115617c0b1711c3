#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::authorize::Selector;
use crate::secret::{AuthkitRefreshToken, ClientSecret, PendingToken};
use crate::workos::{check_answer, wants_json};

const CODE: &str = "01JCODE9ZZZZZZZZZZZZZZZZZZ";
const ADDRESS: &str = "ann@acme.com";

fn claims() -> Value {
    json!({"iss": "https://api.workos.com/user_management/client_1", "sub": "user_ann", "sid": "session_1", "jti": "j", "org_id": "org_acme",
        "role": "admin", "roles": ["admin", "billing"], "permissions": ["todos:write"], "client_id": "client_1", "auth_time": 1000,
        "iat": 2000, "exp": 2300})
}

fn token(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2ln", part(&json!({"alg": "RS256", "kid": "k"})), part(claims))
}

fn answer(claims: &Value) -> Value {
    json!({"user": {"object": "user", "id": "user_ann", "email": "Ann@Acme.com", "email_verified": true, "name": null, "first_name": "Ann",
            "last_name": "Lee", "metadata": {}},
        "organization_id": "org_acme", "access_token": token(claims), "refresh_token": "r", "authentication_method": "Password"})
}

fn read(body: &Value) -> Result<TokenAnswer> {
    let body = body.to_string();
    let answer = HttpAnswer { status: 200, request_id: Some("req_1"), retry_after: None, body: body.as_bytes() };
    parse_answer(&answer, "client_1", &[CODE])
}

/// The answer with some of the token's claims replaced; null removes one.
fn with_claims(patch: &Value) -> Result<TokenAnswer> {
    let mut claims = claims();
    for (name, value) in patch.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    read(&answer(&claims))
}

fn with(patch: &Value) -> Result<TokenAnswer> {
    let mut answer = answer(&claims());
    for (name, value) in patch.as_object().unwrap() {
        answer[name] = value.clone();
    }
    read(&answer)
}

#[test]
fn a_full_answer() {
    let TokenAnswer { profile, access_token, refresh_token, .. } = read(&answer(&claims())).unwrap();
    assert_eq!((profile.id.as_str(), profile.email.as_str()), ("user_ann", "Ann@Acme.com"));
    assert_eq!((profile.organization_id.as_deref(), profile.connection_id.as_deref()), (Some("org_acme"), None));
    assert_eq!(
        (profile.role.as_deref(), profile.roles.clone()),
        (Some("admin"), vec!["admin".into(), "billing".into()])
    );
    assert_eq!(profile.permissions.as_deref(), Some(&["todos:write".to_owned()][..]));
    assert_eq!((profile.first_name.as_deref(), profile.name.as_deref()), (Some("Ann"), None));
    let session = profile.authkit.clone().unwrap();
    assert_eq!((session.id.as_str(), session.auth_time, session.email_verified), ("session_1", Some(1000), true));
    assert_eq!((session.amr_method(), session.is_sso(), session.impersonator), ("password", false, None));
    // WorkOS's own token is a session there, and stays with us.
    assert!(access_token.is_none());
    assert_eq!(refresh_token.as_ref().map(AuthkitRefreshToken::expose), Some("r"));
    let kept: Profile = crate::json::read(&serde_json::to_vec(&profile).unwrap()).unwrap();
    assert_eq!(kept, profile);
}

#[test]
fn the_emulators_answer_and_that_of_somebody_without_an_organization() {
    let emulated = json!({"sub": "user_ann", "sid": "session_1", "aud": "client_1", "iss": "http://localhost:4100"});
    let mut body = answer(&emulated);
    body["organization_id"] = Value::Null;
    body["authentication_method"] = json!("Odd one");
    let profile = read(&body).unwrap().profile;
    let session = profile.authkit.unwrap();
    assert_eq!((profile.organization_id, session.auth_time, session.method), (None, None, None));
    assert_eq!((profile.role, profile.roles, profile.permissions), (None, vec![], Some(vec![])));
}

#[test]
fn how_somebody_signed_in() {
    for (method, amr, is_sso) in [
        ("SSO", "oauth", true),
        ("GoogleOAuth", "oauth", false),
        ("Password", "password", false),
        ("MagicAuth", "otp", false),
        ("Passkey", "webauthn", false),
        ("sso", "oauth", false),
    ] {
        let session = with(&json!({"authentication_method": method})).unwrap().profile.authkit.unwrap();
        assert_eq!((session.amr_method(), session.is_sso()), (amr, is_sso), "{method}");
    }
}

#[test]
fn who_acts_as_somebody_is_named_wherever_it_stands() {
    let impersonator = |answer: Result<TokenAnswer>| answer.unwrap().profile.authkit.unwrap().impersonator.unwrap();
    let named = impersonator(with(&json!({"impersonator": {"email": "sue@example.com", "reason": " case 7\n"}})));
    assert_eq!((named.email.as_str(), named.reason.as_deref()), ("sue@example.com", Some("case 7")));
    assert_eq!(impersonator(with_claims(&json!({"act": {"sub": "sue@example.com"}}))).email, "sue@example.com");
    for refused in [
        with(&json!({"impersonator": {"reason": "x"}})),
        with(&json!({"impersonator": "sue@example.com"})),
        with_claims(&json!({"act": {}})),
        with_claims(&json!({"act": "sue@example.com"})),
        with_claims(&json!({"act": {"sub": "sue\u{7}"}})),
        // Who acts is not told, or two are.
        with(&json!({"authentication_method": "Impersonation"})),
        {
            let mut body = answer(
                &json!({"sub": "user_ann", "sid": "session_1", "org_id": "org_acme", "act": {"sub": "bob@example.com"}}),
            );
            body["impersonator"] = json!({"email": "sue@example.com"});
            read(&body)
        },
    ] {
        assert_eq!(refused.unwrap_err().code(), ErrorCode::WorkosAnswerMalformed);
    }
}

#[test]
fn an_answer_that_contradicts_itself_signs_nobody_in() {
    for (what, refused) in [
        ("another person's token", with_claims(&json!({"sub": "user_bob"}))),
        ("no person's token", with_claims(&json!({"sub": "client_1"}))),
        ("another organization's token", with_claims(&json!({"org_id": "org_globex"}))),
        ("a token of no organization", with_claims(&json!({"org_id": null}))),
        ("an answer of no organization", with(&json!({"organization_id": null}))),
        ("an organization that is none", with(&json!({"organization_id": 7}))),
        ("another client's token", with_claims(&json!({"client_id": "client_2"}))),
        ("no session", with_claims(&json!({"sid": null}))),
        ("an empty session", with_claims(&json!({"sid": ""}))),
        ("a client that is no text", with_claims(&json!({"client_id": ["client_1"]}))),
        ("a kind that is no text", with_claims(&json!({"sub_profile": ["agent"]}))),
        ("an agent's token", with_claims(&json!({"sub_profile": "agent"}))),
        ("a widget's token", with_claims(&json!({"sub_type": "widget"}))),
        ("roles that are none", with_claims(&json!({"roles": "admin"}))),
        ("no token", with(&json!({"access_token": null}))),
        ("a token that is none", with(&json!({"access_token": "opaque"}))),
        ("no user", with(&json!({"user": null}))),
    ] {
        let error = refused.expect_err(what);
        assert_eq!(error.code(), ErrorCode::WorkosAnswerMalformed, "{what}");
        assert!(error.detail().unwrap().contains("req_1"), "{what}: {error:?}");
    }
    assert!(with_claims(&json!({"sub_profile": "user", "client_id": null})).is_ok());
    let nameless = with(&json!({"user": {"id": "user_ann"}})).unwrap_err();
    assert_eq!(nameless.code(), ErrorCode::WorkosProfileIncomplete);
    // Nobody's word but true makes an address the person's.
    for unverified in [json!(false), json!("true"), json!(null), json!(1)] {
        let user = json!({"id": "user_ann", "email": ADDRESS, "email_verified": unverified});
        assert!(!with(&json!({"user": user})).unwrap().profile.has_verified_email(), "{user}");
    }
}

#[test]
fn what_was_asked_for_is_what_came() {
    let profile = read(&answer(&claims())).unwrap().profile;
    let asked = |organization| Selector::new(organization, None, Some("authkit")).unwrap();
    assert!(check_answer(&asked(None), &profile).is_ok() && check_answer(&asked(Some("org_acme")), &profile).is_ok());
    assert_eq!(check_answer(&asked(Some("org_globex")), &profile).unwrap_err().code(), ErrorCode::OrganizationMismatch);
    let google = Selector::new(None, None, Some("GoogleOAuth")).unwrap();
    assert_eq!(check_answer(&google, &profile).unwrap_err().code(), ErrorCode::ProviderMismatch);
    let of_sso = Profile { authkit: None, ..profile };
    assert_eq!(check_answer(&asked(None), &of_sso).unwrap_err().code(), ErrorCode::ProviderMismatch);
}

/// Every refusal of `POST /user_management/authenticate` in WorkOS's OpenAPI file of 2026-08-07, in the three forms of its bodies.
#[test]
fn every_refusal_and_none_of_its_words() {
    use ErrorCode::*;
    let words = format!("The code '{CODE}' of '{ADDRESS}' has expired or is invalid.");
    let oauth = |name: &str| json!({"error": name, "error_description": words, "email": ADDRESS});
    let coded =
        |name: &str| json!({"code": name, "message": words, "email": ADDRESS, "pending_authentication_token": "p"});
    for (status, body, wanted) in [
        (400, oauth("invalid_grant"), WorkosInvalidGrant),
        (400, oauth("expired_token"), WorkosInvalidGrant),
        (400, oauth("invalid_client"), WorkosInvalidClient),
        (400, oauth("unauthorized_client"), WorkosInvalidClient),
        (400, oauth("invalid_request"), WorkosRejected),
        (400, oauth("pkce_not_supported"), WorkosRejected),
        (400, oauth("token_too_big"), WorkosRejected),
        (400, oauth("access_denied"), AuthkitRefused),
        (400, oauth("invalid_profile"), AuthkitRefused),
        (400, oauth("invalid_connection"), AuthkitRefused),
        (400, oauth("invitation_invalid"), AuthkitRefused),
        (400, oauth("invitation_cannot_be_used_for_email"), AuthkitRefused),
        (400, oauth("authentication_method_not_allowed"), AuthkitRefused),
        (400, oauth("sign_up_not_allowed"), AuthkitRefused),
        (400, oauth("organization_not_found"), AuthkitRefused),
        (400, oauth("organization_membership_not_found"), AuthkitRefused),
        (400, oauth("organization_authentication_methods_required"), SsoRequired),
        (400, oauth("sso_required"), SsoRequired),
        (400, oauth("mfa_enrollment"), AuthkitStepRequired),
        (400, oauth("extra_attributes_required"), AuthkitStepRequired),
        (400, coded("invalid_organization_id"), AuthkitRefused),
        (400, coded("user_mismatch"), AuthkitRefused),
        (400, coded("phone_number_required"), AuthkitStepRequired),
        (400, coded("verification_id_required"), AuthkitStepRequired),
        (400, coded("code_challenge_not_found"), WorkosRejected),
        (400, coded("invalid_credentials"), WorkosRejected),
        (400, json!({"message": "Must use SSO for selected organization"}), SsoRequired),
        (400, json!({"message": words}), WorkosRejected),
        (403, coded("email_verification_required"), AuthkitStepRequired),
        (403, coded("mfa_challenge"), AuthkitStepRequired),
        (403, coded("mfa_enrollment"), AuthkitStepRequired),
        (403, coded("passkey_progressive_enrollment"), AuthkitStepRequired),
        (403, coded("radar_challenge"), AuthkitStepRequired),
        (403, coded("radar_sign_up_challenge"), AuthkitStepRequired),
        (403, coded("radar_sms_sign_in_challenge"), AuthkitStepRequired),
        (403, coded("application_consent_required"), AuthkitStepRequired),
        (403, coded("organization_selection_required"), OrganizationSelectionRequired),
        (403, coded("authentication_method_not_allowed"), AuthkitRefused),
        (403, coded("email_password_auth_disabled"), AuthkitRefused),
        (403, coded("something_new"), WorkosRejected),
        (401, json!({"message": "Unauthorized"}), WorkosInvalidClient),
        (404, json!({"message": words}), WorkosNotFound),
        (422, coded("invalid_request_parameters"), WorkosUnprocessable),
        (429, coded("daily_quota_exceeded"), WorkosRateLimited),
        (429, oauth("too_many_requests"), WorkosRateLimited),
        (500, json!({"message": words}), WorkosUnavailable),
        (400, coded(ADDRESS), WorkosRejected),
        (400, json!([words]), WorkosRejected),
    ] {
        let text = body.to_string();
        let answer = HttpAnswer { status, request_id: Some("req_1"), retry_after: Some("7"), body: text.as_bytes() };
        assert!(!wants_json(&answer));
        let error = parse_answer(&answer, "client_1", &[CODE]).unwrap_err();
        assert_eq!(error.code(), wanted, "{text}");
        let said = format!("{error:?}");
        for secret in [CODE, ADDRESS, "has expired", "pending"] {
            assert!(!said.contains(secret), "{text}: {said}");
        }
        assert!(said.contains("req_1"), "{said}");
        assert_eq!(said.contains("Retry-After: 7"), status == 429, "{said}");
    }
}

#[test]
fn among_which_organizations_to_pick() {
    let organizations = json!([{"id": "org_1", "name": "One"}, {"id": "not an id"}, {"name": "none"}, {"id": "org_2"}]);
    let body =
        json!({"code": "organization_selection_required", "message": "m", "organizations": organizations}).to_string();
    let answer = HttpAnswer { status: 403, request_id: None, retry_after: None, body: body.as_bytes() };
    let error = parse_answer(&answer, "client_1", &[]).unwrap_err();
    assert_eq!(error.detail(), Some("WorkOS answered 403: organization_selection_required of org_1, org_2."));
}

/// WorkOS's question, of these members.
fn asked(status: u16, body: &Value) -> Option<Selection> {
    let body = body.to_string();
    selection(&HttpAnswer { status, request_id: None, retry_after: None, body: body.as_bytes() })
}

#[test]
fn a_question_that_can_be_answered() {
    let body = json!({"code": "organization_selection_required", "message": "Which?", "pending_authentication_token": "p_1",
        "organizations": [{"id": "org_1", "name": "One"}, {"id": 2}, {"id": "org_2"}], "user": {"id": "user_ann"}});
    let question = asked(403, &body).unwrap();
    assert_eq!((question.pending.expose(), question.organizations.join(" ")), ("p_1", "org_1 org_2".into()));
    assert_eq!(format!("{:?}", question.pending), "PendingToken([redacted])");
    let error = selection_required(question.organizations.iter().map(String::as_str));
    let said = "WorkOS answered 403: organization_selection_required of org_1, org_2.";
    assert_eq!((error.code(), error.detail()), (ErrorCode::OrganizationSelectionRequired, Some(said)));
    // Whoever belongs to many picks one of them all, and a few are named.
    let mut many = body.clone();
    many["organizations"] = (0..1001).map(|n| json!({ "id": format!("org_{n}") })).collect();
    let question = asked(403, &many).unwrap();
    assert_eq!(question.organizations.len(), 1000);
    let error = selection_required(question.organizations.iter().map(String::as_str));
    assert!(error.detail().unwrap().ends_with("org_19."), "{error:?}");

    let with = |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    for (status, body) in [
        (200, body.clone()),
        (429, body.clone()),
        (500, body.clone()),
        (403, with("code", json!("mfa_challenge"))),
        (403, with("pending_authentication_token", Value::Null)),
        (403, with("pending_authentication_token", json!(""))),
        (403, with("pending_authentication_token", json!("a b"))),
        (403, with("pending_authentication_token", json!("x".repeat(8193)))),
        (403, with("organizations", json!([]))),
        (403, with("organizations", json!([{"name": "One"}]))),
    ] {
        assert!(asked(status, &body).is_none(), "{status} {body}");
    }
}

#[test]
fn what_is_asked_in_place_of_a_code() {
    let read = crate::json::read::<Free>;
    let (secret, pending, token) = (
        ClientSecret::new("sk\u{1}\"1".into()),
        PendingToken::new("p_1".into()),
        AuthkitRefreshToken::new("r_1".into()),
    );
    let request =
        |grant| GrantRequest { client_id: "client_1", client_secret: &secret, grant, organization_id: "org_acme" };
    let selecting = request(Grant::Selection(&pending));
    assert_eq!(
        read(selecting.json().as_bytes()).unwrap().0,
        json!({"client_id": "client_1", "client_secret": "sk\u{1}\"1", "organization_id": "org_acme",
            "grant_type": "urn:workos:oauth:grant-type:organization-selection", "pending_authentication_token": "p_1"})
    );
    assert_eq!(selecting.secrets(), ["sk\u{1}\"1", "p_1"]);
    let switching = request(Grant::Refresh(&token));
    assert_eq!(
        read(switching.json().as_bytes()).unwrap().0,
        json!({"client_id": "client_1", "client_secret": "sk\u{1}\"1", "grant_type": "refresh_token", "refresh_token": "r_1",
            "organization_id": "org_acme"})
    );
    assert_eq!(switching.secrets(), ["sk\u{1}\"1", "r_1"]);
    let shown = format!("{switching:?}{selecting:?}");
    assert!(!shown.contains("r_1") && !shown.contains("p_1"), "{shown}");
}

#[test]
fn a_token_that_is_kept() {
    let kept = |patch: Value| with(&patch).unwrap().refresh_token.map(|token| token.expose().to_owned());
    assert_eq!(kept(json!({"refresh_token": "a.b-c"})).as_deref(), Some("a.b-c"));
    for token in [Value::Null, json!(""), json!(7), json!("a b"), json!("ä"), json!("x".repeat(8193))] {
        assert_eq!(kept(json!({ "refresh_token": token })), None);
    }
    assert_eq!(kept(json!({"impersonator": {"email": "sue@example.com"}})), None);
    assert!(with_claims(&json!({"act": {"sub": "sue@example.com"}})).unwrap().refresh_token.is_none());
}

#[test]
fn where_the_browser_ends_a_session() {
    let url = |return_to| logout_url("https://api.workos.com", "session_1", return_to);
    let page = "https://api.workos.com/user_management/sessions/logout?session_id=session_1";
    assert_eq!(url(None).unwrap(), page);
    assert_eq!(
        url(Some("http://localhost:3000/bye?a=1&b=2#end")).unwrap(),
        format!("{page}&return_to=http%3A%2F%2Flocalhost%3A3000%2Fbye%3Fa%3D1%26b%3D2%23end")
    );
    let long = format!("https://app.example.com/{}", "a".repeat(2048));
    for place in [
        "",
        "/bye",
        "//app.example.com",
        "http://app.example.com/",
        "https://a@app.example.com/",
        "https://a\nb/",
        &long,
    ] {
        assert_eq!(url(Some(place)).unwrap_err().code(), ErrorCode::InvalidArgument, "{place}");
    }
}

#[test]
fn a_session_that_is_not_there_is_over_and_nothing_else_is() {
    let revoked = |status| {
        let answer =
            HttpAnswer { status, request_id: None, retry_after: None, body: br#"{"message": "sue@example.com"}"# };
        super::revoked(&answer, &ClientSecret::new("sk_test_secret_key".into()))
    };
    for status in [200, 204] {
        assert!(revoked(status).unwrap());
    }
    for status in [400, 404, 422] {
        assert!(!revoked(status).unwrap());
    }
    for status in [302, 401, 403, 429, 500] {
        let error = revoked(status).unwrap_err();
        assert!(!error.detail().unwrap().contains("sue"), "{error:?}");
    }
}
