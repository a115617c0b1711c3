//! `/organizations`, `/organization_domains`, IT contacts and the Admin Portal.

use std::time::Duration;

use crate::common::{api, http, start};
use reqwest::Method;
use serde_json::{Value, json};
use workos_simulator::{Fault, FaultKind, Simulator};

fn create(simulator: &Simulator, body: Value) -> Value {
    let (status, organization) = api(simulator, Method::POST, "/organizations", body);
    assert_eq!(status, 201, "{organization}");
    organization
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn an_organization_is_made_found_changed_and_deleted() {
    let simulator = start();
    let made = create(
        &simulator,
        json!({
            "name": "Piper",
            "external_id": "customer-7",
            "metadata": {"plan": "gold"},
            "domain_data": [{"domain": "Piper.example", "state": "verified"}, {"domain": "piper.test", "state": "pending"}],
        }),
    );
    assert_eq!(made["domains"][0]["domain"], "piper.example");
    assert_eq!((&made["domains"][0]["state"], &made["domains"][1]["state"]), (&json!("verified"), &json!("pending")));
    assert!(made["domains"][0].get("verification_token").is_none());
    assert!(made["domains"][1]["verification_token"].is_string());
    let path = format!("/organizations/{}", text(&made["id"]));
    assert_eq!(api(&simulator, Method::GET, &path, json!(null)), (200, made.clone()));
    assert_eq!(api(&simulator, Method::GET, "/organizations/external_id/customer-7", json!(null)), (200, made.clone()));

    let change = json!({"name": "Pied Piper", "external_id": null, "metadata": {"plan": null, "seats": "5"}});
    let (status, changed) = api(&simulator, Method::PUT, &path, change);
    assert_eq!(status, 200);
    assert_eq!((&changed["name"], &changed["external_id"]), (&json!("Pied Piper"), &Value::Null));
    assert_eq!(changed["metadata"], json!({"seats": "5"}));
    assert_eq!(changed["domains"], made["domains"], "they were not named");
    let change = json!({"domain_data": [{"domain": "piper.test", "state": "verified"}]});
    let (_, changed) = api(&simulator, Method::PUT, &path, change);
    assert_eq!(changed["domains"].as_array().unwrap().len(), 1);
    assert_eq!((&changed["domains"][0]["state"], &changed["name"]), (&json!("verified"), &json!("Pied Piper")));

    assert_eq!(api(&simulator, Method::DELETE, &path, json!(null)).0, 202);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(api(&simulator, method, &path, json!(null)).0, 404);
    }
    assert_eq!(api(&simulator, Method::GET, "/organizations/external_id/customer-7", json!(null)).0, 404);
}

#[test]
fn what_is_not_as_documented_is_refused() {
    let simulator = start();
    create(&simulator, json!({"name": "First", "external_id": "taken"}));
    let many: serde_json::Map<_, _> = (0..11).map(|n| (n.to_string(), json!("x"))).collect();
    let verified = |domain: &str| json!([{"domain": domain, "state": "verified"}]);
    for (body, status, code) in [
        (json!({}), 422, "invalid_request_parameters"),
        (json!({"name": ""}), 422, "invalid_request_parameters"),
        (json!({"name": 7}), 422, "invalid_request_parameters"),
        (json!({"name": "x", "external_id": "taken"}), 400, "external_id_already_used"),
        (json!({"name": "x", "external_id": "é"}), 422, "invalid_request_parameters"),
        (json!({"name": "x", "external_id": "x".repeat(65)}), 422, "invalid_request_parameters"),
        (json!({"name": "x", "metadata": many}), 400, "invalid_metadata"),
        (json!({"name": "x", "metadata": {"k".repeat(41): "x"}}), 400, "invalid_metadata"),
        (json!({"name": "x", "metadata": {"k": "x".repeat(601)}}), 400, "invalid_metadata"),
        (json!({"name": "x", "metadata": {"k": 1}}), 400, "invalid_metadata"),
        (json!({"name": "x", "metadata": {"k": "é"}}), 400, "invalid_metadata"),
        (json!({"name": "x", "domain_data": verified("acme.com")}), 409, "domain_already_exists"),
        (json!({"name": "x", "domain_data": verified("localhost")}), 422, "invalid_request_parameters"),
        (
            json!({"name": "x", "domain_data": [{"domain": "x.example", "state": "failed"}]}),
            422,
            "invalid_request_parameters",
        ),
        (json!(["name"]), 400, "invalid_request_body"),
    ] {
        let (got, answer) = api(&simulator, Method::POST, "/organizations", body.clone());
        assert_eq!((got, &answer["code"]), (status, &json!(code)), "{body}: {answer}");
        assert!(answer["message"].is_string(), "{answer}");
    }
    let form = http().post(format!("{}/organizations", simulator.url())).bearer_auth("sk_test_demo");
    assert_eq!(form.form(&[("name", "x")]).send().unwrap().status(), 400);
    let (_, list) = api(&simulator, Method::GET, "/organizations?limit=100", json!(null));
    assert_eq!(list["data"].as_array().unwrap().len(), 7, "the seed's and the first: nothing was made on the way");
    assert_eq!(api(&simulator, Method::PUT, "/organizations/nope", json!({"name": "x"})).0, 404);
}

#[test]
fn domains_are_added_verified_anew_and_taken_away() {
    let simulator = start();
    let organization = create(&simulator, json!({"name": "Piper"}));
    let body = json!({"organization_id": organization["id"], "domain": "Piper.example"});
    let (status, domain) = api(&simulator, Method::POST, "/organization_domains", body.clone());
    assert_eq!((status, &domain["state"]), (201, &json!("pending")));
    let (status, again) = api(&simulator, Method::POST, "/organization_domains", body);
    assert_eq!((status, &again["code"]), (409, &json!("domain_already_exists")));
    let body = json!({"organization_id": organization["id"], "domain": "acme.com"});
    assert_eq!(api(&simulator, Method::POST, "/organization_domains", body).0, 409, "another one's");
    let body = json!({"organization_id": "org_nobody", "domain": "x.example"});
    assert_eq!(api(&simulator, Method::POST, "/organization_domains", body).0, 404);

    let path = format!("/organization_domains/{}", text(&domain["id"]));
    assert_eq!(api(&simulator, Method::GET, &path, json!(null)), (200, domain));
    assert_eq!(api(&simulator, Method::POST, &format!("{path}/verify"), json!(null)).0, 201);
    let verified = "/organization_domains/org_domain_acme.com/verify";
    let (status, refused) = api(&simulator, Method::POST, verified, json!(null));
    assert_eq!((status, &refused["code"]), (400, &json!("domain_already_verified")));
    assert_eq!(api(&simulator, Method::DELETE, &path, json!(null)).0, 204);
    assert_eq!(api(&simulator, Method::GET, &path, json!(null)).0, 404);
    assert_eq!(api(&simulator, Method::POST, &format!("{path}/verify"), json!(null)).0, 404);
}

#[test]
fn lists_are_filtered_and_paged() {
    let simulator = start();
    for name in ["Pa", "Pb", "Pc"] {
        create(&simulator, json!({"name": name}));
    }
    let names = |query: &str| -> (Vec<String>, Value) {
        let (status, mut list) = api(&simulator, Method::GET, &format!("/organizations?{query}"), json!(null));
        assert_eq!(status, 200, "{list}");
        let names = list["data"].as_array().unwrap().iter().map(|item| text(&item["name"]).to_owned()).collect();
        (names, list["list_metadata"].take())
    };
    assert_eq!(names("domains=acme.com,globex.com").0, ["Globex", "Acme"]);
    assert_eq!(names("domains[]=acme.com").0.len(), 9, "as WorkOS's SDKs never send it: unknown, so all");
    let (first, metadata) = names("limit=2");
    assert_eq!((first, &metadata["before"]), (vec!["Pc".to_owned(), "Pb".to_owned()], &Value::Null));
    let (second, metadata) = names(&format!("limit=3&after={}", text(&metadata["after"])));
    assert_eq!(second, ["Pa", "Empty", "Umbrella"]);
    let (before, _) = names(&format!("limit=1&before={}", text(&metadata["before"])));
    assert_eq!(before, ["Pb"]);
    let (last, metadata) = names("order=asc&limit=100");
    assert_eq!((last[0].as_str(), &metadata["after"]), ("Acme", &Value::Null));
    for wrong in ["limit=0", "limit=101", "limit=x", "order=up"] {
        let (status, answer) = api(&simulator, Method::GET, &format!("/organizations?{wrong}"), json!(null));
        assert_eq!((status, &answer["code"]), (422, &json!("invalid_request_parameters")), "{wrong}");
    }
}

#[test]
fn a_portal_link_lives_five_minutes() {
    let simulator = start();
    let ask = |body: Value| api(&simulator, Method::POST, "/portal/generate_link", body);
    let (status, answer) =
        ask(json!({"organization": "org_acme", "intent": "sso", "return_url": "https://app.example/"}));
    assert_eq!(status, 201);
    let link = text(&answer["link"]).strip_prefix("https://id.workos.com").unwrap().to_owned();
    let open = || http().get(format!("{}{link}", simulator.url())).send().unwrap();
    assert_eq!(open().json::<Value>().unwrap()["organization"], "org_acme");
    simulator.advance_clock(Duration::from_secs(299));
    assert_eq!(open().status(), 200);
    simulator.advance_clock(Duration::from_secs(2));
    assert_eq!(open().status(), 404);

    for (body, status) in [
        (json!({"intent": "sso"}), 422),
        (json!({"organization": "org_nobody", "intent": "sso"}), 404),
        (json!({"organization": "org_acme", "intent": "directory_sync"}), 422),
        (json!({"organization": "org_acme", "return_url": "http://app.example/"}), 400),
        (json!({"organization": "org_acme", "success_url": "/done"}), 400),
        (json!({"organization": "org_acme", "it_contact_emails": vec!["a@b.c"; 21]}), 422),
    ] {
        assert_eq!(ask(body.clone()).0, status, "{body}");
    }
}

#[test]
fn an_it_contact_is_invited_once() {
    let simulator = start();
    let base = "/organizations/org_acme/it_contacts";
    let post = |path: &str, body: Value| api(&simulator, Method::POST, path, body);
    let (status, contact) = post(base, json!({"email": "it@acme.com"}));
    assert_eq!((status, &contact["object"]), (201, &json!("it_contact")));
    assert_eq!(post(base, json!({"email": "IT@acme.com"})).1["code"], "it_contact_already_exists");
    assert_eq!(post(base, json!({"email": "it"})).0, 422);
    assert_eq!(post("/organizations/org_nobody/it_contacts", json!({"email": "it@acme.com"})).0, 404);
    let (_, other) = post(base, json!({"email": "it2@acme.com"}));
    let path = |contact: &Value| format!("{base}/{}", text(&contact["id"]));
    let invite =
        |contact: &Value, intents: &[&str]| post(&format!("{}/invite", path(contact)), json!({"intents": intents}));

    for wrong in [&[][..], &["dsync"]] {
        assert_eq!(invite(&contact, wrong).0, 422, "{wrong:?}");
    }
    assert_eq!(invite(&contact, &["sso", "directory_sync"]).0, 204);
    let (status, refused) = invite(&other, &["sso"]);
    assert_eq!((status, &refused["code"]), (409, &json!("it_contact_invitation_already_active")));
    assert_eq!(post(&format!("{}/revoke", path(&other)), json!(null)).0, 204, "the organization's, whoever has it");
    assert_eq!(invite(&other, &["sso"]).0, 204);
    assert_eq!(api(&simulator, Method::DELETE, &path(&other), json!(null)).0, 204);
    assert_eq!(invite(&other, &["sso"]).0, 404);
    assert_eq!(invite(&contact, &["sso"]).0, 204, "the other's invitation went with it");
    let (_, list) = api(&simulator, Method::GET, base, json!(null));
    assert_eq!(list["data"], json!([contact]));
}

#[test]
fn an_answer_that_is_lost_leaves_the_organization_behind() {
    let simulator = start();
    simulator.set_fault(Fault::api(FaultKind::Reset).times(1)).unwrap();
    let post = http().post(format!("{}/organizations", simulator.url())).bearer_auth("sk_test_demo");
    post.json(&json!({"name": "Lost", "external_id": "lost"})).send().unwrap_err();
    assert_eq!(api(&simulator, Method::GET, "/organizations/external_id/lost", json!(null)).0, 200);

    simulator.set_fault(Fault::api(FaultKind::RateLimited { retry_after: None }).times(1)).unwrap();
    assert_eq!(api(&simulator, Method::POST, "/organizations", json!({"name": "Limited"})).0, 429);
    let (_, list) = api(&simulator, Method::GET, "/organizations?search=limited", json!(null));
    assert_eq!(list["data"], json!([]));
}

#[test]
fn all_of_it_needs_a_key_and_is_written_down() {
    let simulator = start();
    for (method, path) in [
        (Method::POST, "/organizations"),
        (Method::PUT, "/organizations/org_acme"),
        (Method::DELETE, "/organizations/org_acme"),
        (Method::GET, "/organizations/external_id/x"),
        (Method::POST, "/organization_domains"),
        (Method::DELETE, "/organization_domains/org_domain_acme.com"),
        (Method::POST, "/organization_domains/org_domain_acme.com/verify"),
        (Method::POST, "/portal/generate_link"),
        (Method::GET, "/organizations/org_acme/it_contacts"),
        (Method::POST, "/organizations/org_acme/it_contacts"),
    ] {
        let request = http().request(method, format!("{}{path}", simulator.url())).bearer_auth("sk_test_wrong");
        assert_eq!(request.json(&json!({"name": "x"})).send().unwrap().status(), 401, "{path}");
    }
    let requests = simulator.requests();
    assert_eq!(requests[0].json, Some(json!({"name": "x"})));
    assert_eq!(requests[0].field("name"), Some("x"));
}
