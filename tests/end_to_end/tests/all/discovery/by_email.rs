//! The organization of an e-mail address, and the sign-in that begins with the address alone.

use url::Url;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, exchange, finish};
use workos_end_to_end::sql::{lines, refused, refused_as, text};

/// Two organizations of WorkOS, and one of another issuer's, with their domains.
const DOMAINS: &str = "insert into auth.organizations (id, issuer) values ('org_acme', null), ('org_globex', null), ('org_foreign', 'https://login.example.com');
    insert into auth.organization_domains (organization_id, domain) values
        ('org_acme', 'acme.com'), ('org_acme', 'acme.de'), ('org_globex', 'globex.com'), ('org_acme', 'both.example'), ('org_globex', 'both.example'),
        ('org_foreign', 'foreign.example'), ('org_foreign', 'theirs.example'), ('org_acme', 'theirs.example')";

/// What leads to no organization, for one reason each.
const NOBODYS: [(&str, &str); 11] = [
    ("nobody@unknown.example", "nobody vouches for the domain"),
    ("alice@both.example", "two organizations do"),
    ("kim@foreign.example", "an organization of another issuer does"),
    ("kim@theirs.example", "so does one of WorkOS"),
    ("alice@sub.acme.com", "a subdomain is another domain"),
    ("alice@com", "the domain above is another one"),
    ("acme.com", "no address"),
    ("@acme.com", "no local part"),
    ("alice@globex.com@acme.com", "two signs"),
    ("alice@acme.com\n", "a control character"),
    ("", "empty"),
];

async fn bed(name: &'static str) -> Bed<'static> {
    let bed = Bed::shared(name).await;
    bed.admin.batch_execute(DOMAINS).await.unwrap();
    bed
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn an_address_leads_to_the_one_organization_that_vouches_for_its_domain() {
    let bed = bed("found").await;
    let backend = bed.backend().await;
    let find = "select auth.organization_for_email($1)";
    for (email, organization) in [
        ("alice@acme.com", "org_acme"),
        ("Alice@ACME.com", "org_acme"),
        (" whoever+it-is@acme.de\t", "org_acme"),
        ("bob@globex.com", "org_globex"),
    ] {
        let found: Option<String> = backend.query_one(find, &[&email]).await.unwrap().get(0);
        assert_eq!(found.as_deref(), Some(organization), "{email}");
    }
    for (email, why) in NOBODYS {
        let found: Option<String> = backend.query_one(find, &[&email]).await.unwrap().get(0);
        assert_eq!(found, None, "{why}");
    }
    let error = refused(backend.query(find, &[&None::<&str>]).await, "null_value");
    assert!(error.detail.contains("email"), "{error}");
    // A domain that is taken away, in the next statement.
    bed.admin.batch_execute("delete from auth.organization_domains where domain = 'acme.de'").await.unwrap();
    let again = "select auth.organization_for_email('alice@acme.de') is null";
    assert_eq!(text(&backend, again).await.unwrap().as_deref(), Some("t"));
}

/// Who has an account is nothing that the answer depends on, nor what it reads.
#[tokio::test]
async fn people_are_not_read() {
    let bed = bed("people").await;
    bed.sign_in(ALICE).await;
    let backend = bed.backend().await;
    let create = "select auth.create_user('kim@unknown.example', 'org_acme')";
    bed.admin.batch_execute(create).await.unwrap();
    let mut lock = bed.superuser().await;
    let lock = lock.transaction().await.unwrap();
    let people =
        "lock table auth.users, auth.identities, auth.organization_memberships, auth.sessions in access exclusive mode";
    lock.batch_execute(people).await.unwrap();
    backend.batch_execute("set lock_timeout = '1s'").await.unwrap();
    let found = "select concat_ws(',', auth.organization_for_email('alice@acme.com'), auth.organization_for_email('nobody@acme.com'),
        auth.organization_for_email('kim@unknown.example'))";
    assert_eq!(text(&backend, found).await.unwrap().as_deref(), Some("org_acme,org_acme"));
    let start = "select url from auth.start_sign_in_by_email('kim@unknown.example')";
    refused(backend.batch_execute(start).await, "sso_provider_not_found");
    lock.rollback().await.unwrap();
}

#[tokio::test]
async fn a_sign_in_begins_with_the_address_alone() {
    let bed = bed("begun").await;
    let backend = bed.backend().await;
    let pending = finish(&backend, "auth.start_sign_in_by_email(email => ' alice@acme.com')", None).await;
    assert_eq!(parameter(&pending.url, "organization").as_deref(), Some("org_acme"));
    assert_eq!(parameter(&pending.url, "login_hint").as_deref(), Some("alice@acme.com"));
    let session = exchange(&backend, &pending).await.unwrap();
    assert_eq!((session.email.as_str(), session.organization_id.as_deref()), (ALICE.email, Some("org_acme")));

    // The organization holds to the end: who signs in through another one is refused.
    let flow = "select organization from auth.flow_states order by created_at desc limit 1";
    let other = "auth.start_sign_in_by_email('x@globex.com', login_hint => 'bob@globex.com', domain_hint => 'globex.com', params => '{\"prompt\": \"login\"}')";
    let pending = finish(&backend, other, None).await;
    assert_eq!(text(&bed.admin, flow).await.unwrap().as_deref(), Some("org_globex"));
    for (name, value) in [("login_hint", BOB.email), ("domain_hint", "globex.com"), ("prompt", "login")] {
        assert_eq!(parameter(&pending.url, name).as_deref(), Some(value), "{name}");
    }
    exchange(&backend, &pending).await.unwrap();

    // As one call, however often its columns are named.
    let twice = "select (auth.start_sign_in_by_email('alice@acme.com')).url, (auth.start_sign_in_by_email('alice@acme.com')).state";
    let row = backend.query_one(twice, &[]).await.unwrap();
    assert_eq!(parameter(row.get(0), "state"), row.get(1));

    // For a caller that holds its own verifier.
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let own = format!("select auth.workos_authorize_url_by_email('alice@acme.com', code_challenge => '{challenge}')");
    let url = text(&backend, &own).await.unwrap().unwrap();
    assert_eq!(parameter(&url, "organization").as_deref(), Some("org_acme"));
    assert_eq!(parameter(&url, "login_hint").as_deref(), Some("alice@acme.com"));
    let flow = "select code_challenge from auth.flow_states order by created_at desc limit 1";
    assert_eq!(text(&bed.admin, flow).await.unwrap().as_deref(), Some(challenge));
    let error = refused(
        backend
            .batch_execute("select auth.workos_authorize_url_by_email('alice@acme.com', 'https://evil.example')")
            .await,
        "redirect_to_not_allowed",
    );
    assert_eq!(error.sqlstate, "WA004");
}

#[tokio::test]
async fn there_is_one_answer_whatever_the_reason() {
    let bed = bed("refused").await;
    let backend = bed.backend().await;
    let mut answers = Vec::new();
    for (email, why) in NOBODYS {
        for function in ["start_sign_in_by_email", "workos_authorize_url_by_email"] {
            let sql = format!("select auth.{function}($1)");
            let error = refused(backend.query(&sql, &[&email]).await, "sso_provider_not_found");
            assert_eq!(error.sqlstate, "WA012", "{why}");
            assert!(!error.detail.is_empty() && error.hint.contains("auth.organization_domains"), "{error}");
            answers.push((error.message, error.detail, error.hint));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    for function in ["start_sign_in_by_email", "workos_authorize_url_by_email"] {
        refused(backend.batch_execute(&format!("select auth.{function}(null)")).await, "null_value");
    }
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
    let status = "select http_status from auth.error_codes where name = 'sso_provider_not_found'";
    assert_eq!(text(&backend, status).await.unwrap().as_deref(), Some("404"));
}

#[tokio::test]
async fn whoever_signs_people_in_may_ask_and_nobody_else() {
    let bed = bed("rights").await;
    let (anybody, backend) = (bed.role("anybody", "").await, bed.backend().await);
    let anybody = bed.connect(&anybody).await;
    for call in [
        "auth.organization_for_email('alice@acme.com')",
        "auth.start_sign_in_by_email('alice@acme.com')",
        "auth.workos_authorize_url_by_email('alice@acme.com')",
    ] {
        let sql = format!("select {call}");
        refused_as(anybody.batch_execute(&sql).await, "42501");
        backend.batch_execute(&sql).await.unwrap();
    }
    // Calls of before mean what they meant.
    backend
        .batch_execute("select auth.start_sign_in('org_acme'), auth.workos_authorize_url('org_acme')")
        .await
        .unwrap();
    let one = "select count(*)::text from pg_proc where proname in ('start_sign_in', 'workos_authorize_url')";
    assert_eq!(lines(&bed.admin, one).await.unwrap(), ["2"]);
}
