//! A customer is set up in SQL: from nothing to the first sign-in, and what becomes of a call that is made again.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio_postgres::Client;
use workos_end_to_end::sql::connect_with_notices;
use workos_end_to_end::{Bed, exchange, lines, start_with, text};
use workos_simulator::{Connection, Fault, FaultKind, Profile};
use workos_testbed::workos::CLIENT_SECRET;

/// An administrator who is no superuser.
async fn administrator(bed: &Bed<'_>) -> Client {
    let role = bed.role("operator", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&role]).await.unwrap();
    bed.connect(&role).await
}

/// What WorkOS answers with the API key.
async fn at_workos(bed: &Bed<'_>, path: &str) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}{path}", bed.workos.url())).bearer_auth(CLIENT_SECRET);
    request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

async fn one(client: &Client, sql: &str) -> String {
    text(client, sql).await.unwrap().unwrap()
}

/// The methods and paths that WorkOS was asked since the last look.
fn asked(bed: &Bed<'_>) -> Vec<String> {
    let requests = bed.simulator().requests();
    bed.simulator().clear_requests();
    requests.iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[tokio::test]
async fn from_nothing_to_the_first_sign_in() {
    let bed = Bed::shared("from_nothing").await;
    let admin = administrator(&bed).await;
    let create = "select auth.workos_create_organization('Pied Piper', 'customer-7', '{Piper.example, piper.test}')";
    let id = one(&admin, create).await;
    assert!(id.starts_with("org_"), "{id}");
    assert_eq!(lines(&admin, "select id, issuer from auth.organizations").await.unwrap(), [format!("{id}|NULL")]);
    // Nobody vouches for addresses of a domain that nobody has verified.
    assert_eq!(bed.count("select count(*) from auth.organization_domains").await, 0);
    let there = at_workos(&bed, &format!("/organizations/{id}")).await;
    assert_eq!((&there["name"], &there["external_id"]), (&json!("Pied Piper"), &json!("customer-7")));
    let domains: Vec<_> =
        there["domains"].as_array().unwrap().iter().map(|one| (&one["domain"], &one["state"])).collect();
    assert_eq!(domains, [(&json!("piper.example"), &json!("pending")), (&json!("piper.test"), &json!("pending"))]);

    // The record of a domain that is there, and of another one.
    asked(&bed);
    let record = |domain: &str| format!("select * from auth.workos_add_domain('{id}', '{domain}')");
    let token = there["domains"][0]["verification_token"].as_str().unwrap();
    let known = lines(&admin, &record("PIPER.example")).await.unwrap();
    let domain_id = there["domains"][0]["id"].as_str().unwrap();
    assert_eq!(known, [format!("{domain_id}|pending|piper.example|verification_token={token}")]);
    let added = lines(&admin, &record("piper.io")).await.unwrap();
    assert_eq!(lines(&admin, &record("piper.io")).await.unwrap(), added);
    let organization = format!("GET /organizations/{id}");
    assert_eq!(asked(&bed), [&organization, &organization, "POST /organization_domains", &organization]);

    let invite = format!("select auth.workos_invite_it_contact('{id}', 'IT@Piper.example', '{{sso, dsync}}')");
    let contact = one(&admin, &invite).await;
    let contacts = at_workos(&bed, &format!("/organizations/{id}/it_contacts")).await;
    assert_eq!(contacts["data"][0]["email"], "it@piper.example");
    assert_eq!(contacts["data"][0]["id"], contact.as_str());
    let invitation = bed.simulator().requests().into_iter().find(|request| request.path.ends_with("/invite")).unwrap();
    assert_eq!(invitation.json.unwrap(), json!({ "intents": ["sso", "directory_sync"] }));

    // What the customer's administrator does in the portal.
    let connection = Connection {
        id: "conn_piper".into(),
        name: "Pied Piper".into(),
        organization: Some(id.clone()),
        connection_type: "OktaSAML".into(),
        state: Default::default(),
        status: Default::default(),
    };
    bed.simulator().put_connection(connection).unwrap();
    let richard = Profile {
        id: "prof_richard".into(),
        connection: "conn_piper".into(),
        email: "richard@piper.example".into(),
        first_name: None,
        last_name: None,
        idp_id: "richard".into(),
        role: None,
        roles: None,
        groups: Vec::new(),
        custom_attributes: Default::default(),
    };
    bed.simulator().put_profile(richard).unwrap();
    let app = bed.backend().await;
    let pending = start_with(&app, &format!("organization => '{id}'"), "richard@piper.example").await;
    assert_eq!(exchange(&app, &pending).await.unwrap().organization_id, Some(id.clone()));
    assert_eq!(lines(&admin, "select id from auth.organizations").await.unwrap(), [id.as_str()]);

    // What was done is written down.
    let sql = format!(
        "select action, payload from auth.audit_log_entries where organization_id = '{id}' and action not in ('login', 'user_signedup') order by created_at"
    );
    let entries = lines(&admin, &sql).await.unwrap();
    let domain = |name: &str| format!(r#"organization_domain_added|{{"state": "pending", "domain": "{name}"}}"#);
    assert_eq!(
        entries,
        [
            r#"organization_set_up|{"name": "Pied Piper", "created": true, "domains": ["piper.example", "piper.test"], "external_id": "customer-7"}"#,
            // A domain that was there already is only looked at.
            &domain("piper.io"),
            r#"it_contact_invited|{"email": "it@piper.example", "intents": ["sso", "directory_sync"]}"#,
        ]
    );
}

#[tokio::test]
async fn a_call_that_was_rolled_back_is_made_again() {
    let bed = Bed::shared("rolled_back").await;
    let create = "select auth.workos_create_organization('Acme', external_id => 'customer-7')";
    bed.admin.batch_execute("begin").await.unwrap();
    let id = one(&bed.admin, create).await;
    bed.admin.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.organizations").await, 0);
    assert_eq!(one(&bed.admin, create).await, id);
    // In one statement, too.
    assert_eq!(one(&bed.admin, &format!("{create} from generate_series(1, 2)")).await, id);
    assert_eq!(lines(&bed.admin, "select id from auth.organizations").await.unwrap(), [id.as_str()]);
    let posts = asked(&bed).into_iter().filter(|request| request == "POST /organizations").count();
    assert_eq!(posts, 1);
    let created = "select payload ->> 'created' from auth.audit_log_entries where action = 'organization_set_up'";
    assert_eq!(lines(&bed.admin, created).await.unwrap(), ["false", "false", "false"]);

    // Without an id of the caller's own there is nothing to look for.
    let nameless = "select auth.workos_create_organization('Acme')";
    assert_ne!(one(&bed.admin, nameless).await, one(&bed.admin, nameless).await);
}

#[tokio::test]
async fn one_that_is_there_stays_as_it_is() {
    let bed = Bed::shared("stays").await;
    let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, "postgres")).await.unwrap();
    let create = |arguments: &str| format!("select auth.workos_create_organization({arguments})");
    let id = one(&client, &create("'Acme', 'customer-7', '{acme.example}'")).await;
    let before = at_workos(&bed, &format!("/organizations/{id}")).await;
    for (arguments, difference) in [
        ("'ACME', 'customer-7'", "Its name is another."),
        ("'Acme', 'customer-7', '{acme.test, acme.example}'", "It lacks the domains acme.test."),
        ("'A', 'customer-7', '{acme.test}'", "Its name is another, and it lacks the domains acme.test."),
    ] {
        assert!(notices.take_warnings().is_empty(), "{arguments}");
        assert_eq!(one(&client, &create(arguments)).await, id, "{arguments}");
        let warnings = notices.take_warnings();
        assert_eq!(warnings.len(), 1, "{arguments}: {warnings:?}");
        assert_eq!((warnings[0].sqlstate.as_str(), &warnings[0].detail), ("01000", &format!("{id}: {difference}")));
    }
    assert_eq!(at_workos(&bed, &format!("/organizations/{id}")).await, before);
    one(&client, &create("'Acme', 'customer-7', '{Acme.Example}'")).await;
    assert!(notices.take_warnings().is_empty());
}

/// Two of the same call at once: both look, both find nothing, and WorkOS makes one.
#[tokio::test]
async fn whoever_comes_second_finds_what_the_first_has_made() {
    let bed = Bed::shared("second").await;
    let create = "select auth.workos_create_organization('Acme', 'customer-7')";
    let id = one(&bed.admin, create).await;
    let unseen = Fault::api(FaultKind::Status { code: 404, body: None }).times(1);
    bed.simulator().set_fault(unseen).unwrap();
    asked(&bed);
    assert_eq!(one(&bed.admin, create).await, id);
    let look = "GET /organizations/external_id/customer-7";
    assert_eq!(asked(&bed), [look, "POST /organizations", look]);
}

/// The caller's own ids are any text, and each is one part of a path.
#[tokio::test]
async fn an_external_id_may_be_any_text() {
    let bed = Bed::shared("any_text").await;
    let sql = "select auth.workos_create_organization('Acme', $1)";
    let mut ids = Vec::new();
    for external_id in ["../organizations", "a/b", "%2e%2e", "?x=1#y", "a b+c", "...", "..\\..\\x", "'; --", "org_acme"]
    {
        let id: String = bed.admin.query_one(sql, &[&external_id]).await.unwrap().get(0);
        assert_eq!(at_workos(&bed, &format!("/organizations/{id}")).await["external_id"], external_id);
        let again: String = bed.admin.query_one(sql, &[&external_id]).await.unwrap().get(0);
        assert_eq!(again, id, "{external_id}");
        assert!(!ids.contains(&id), "{external_id} is another's");
        ids.push(id);
    }
}

#[tokio::test]
async fn a_domain_that_has_failed_is_looked_for_again() {
    let bed = Bed::shared("failed").await;
    let id = one(&bed.admin, "select auth.workos_create_organization('Acme', domains => '{acme.example}')").await;
    let mut organization = at_workos(&bed, &format!("/organizations/{id}")).await;
    organization["domains"][0]["state"] = json!("failed");
    let failed = FaultKind::Status { code: 200, body: Some(organization.clone()) };
    bed.simulator().set_fault(Fault::api(failed).times(1)).unwrap();
    let sql = format!("select domain_id, state from auth.workos_add_domain('{id}', 'acme.example')");
    let domain = organization["domains"][0]["id"].as_str().unwrap();
    asked(&bed);
    assert_eq!(lines(&bed.admin, &sql).await.unwrap(), [format!("{domain}|pending")]);
    assert_eq!(asked(&bed)[1], format!("POST /organization_domains/{domain}/verify"));
}

#[tokio::test]
async fn a_link_is_for_one_click_and_stands_nowhere() {
    let bed = Bed::shared("link").await;
    bed.set("log_statement", "all").await;
    let admin = administrator(&bed).await;
    let sql = "select auth.workos_portal_link('org_acme', 'sso', 'https://app.example.com/settings#sso', 'https://app.example.com/done')
        from generate_series(1, 3)";
    let links = lines(&admin, sql).await.unwrap();
    let body = bed.simulator().requests().last().unwrap().json.clone().unwrap();
    assert_eq!(
        body,
        json!({"organization": "org_acme", "intent": "sso", "return_url": "https://app.example.com/settings#sso",
               "success_url": "https://app.example.com/done"})
    );
    for (at, link) in links.iter().enumerate() {
        let (page, secret) = link.split_once("?secret=").unwrap();
        assert_eq!(page, "https://id.workos.com/portal/launch");
        assert!(!links[..at].contains(link), "{link} came twice");
        let opened = at_workos(&bed, &format!("/portal/launch?secret={secret}")).await;
        assert_eq!((&opened["organization"], &opened["intent"]), (&json!("org_acme"), &json!("sso")));
        for (table, rows) in bed.contents().await {
            assert!(!rows.contains(secret), "auth.{table} shows the link");
        }
        assert!(!bed.log().contains(secret), "the log shows the link");
    }
    let entries = "select payload from auth.audit_log_entries where action = 'portal_link_created' and organization_id = 'org_acme'";
    assert_eq!(lines(&admin, entries).await.unwrap(), [r#"{"intent": "sso"}"#; 3]);
    assert!(bed.log().contains("workos_portal_link"), "the log shows no statement");
}

/// WorkOS's own SDK reads what SQL has made, as another program of the customer would.
#[tokio::test]
async fn the_sdk_reads_what_sql_has_made() {
    let bed = Bed::shared("sdk").await;
    let create = "select auth.workos_create_organization('Acme', 'customer-7', '{acme.example}')";
    let id = one(&bed.admin, create).await;
    let sql = format!("select domain_id, txt_value from auth.workos_add_domain('{id}', 'acme.test')");
    let record = lines(&bed.admin, &sql).await.unwrap();
    let contact =
        one(&bed.admin, &format!("select auth.workos_invite_it_contact('{id}', 'it@acme.example', '{{sso}}')")).await;

    let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node");
    assert!(node.join("node_modules").exists(), "WorkOS's SDK is not installed in tests/node: run make setup-tests");
    let output = Command::new("node")
        .args(["customer.js", &bed.workos.url(), CLIENT_SECRET, "customer-7"])
        .current_dir(node)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node does not start: run make setup-tests");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&read["id"], &read["name"]), (&json!(id), &json!("Acme")));
    assert_eq!(read["domains"], json!(["acme.example pending", "acme.test pending"]));
    assert_eq!(read["contacts"], json!([format!("{contact} it@acme.example")]));
    let (domain, token) = (&read["domain"], &read["token"]);
    assert_eq!(record, [format!("{}|verification_token={}", domain.as_str().unwrap(), token.as_str().unwrap())]);
}
