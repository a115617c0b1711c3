//! What is no e-mail address, and what is no id of WorkOS, gets nowhere: neither into a row nor into a claim.

use serde_json::json;
use workos_end_to_end::bed::{ALICE, Bed, Pending, exchange, sign_in, start};
use workos_end_to_end::brokered::{callback, come_back, come_back_implicitly};
use workos_end_to_end::made::administrator;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_simulator::{Fault, FaultKind};

/// A policy that reads the domain of each of these would read another one than people, or than a mail server.
const NO_ADDRESSES: [&str; 12] = [
    "mallory@acme.test@evil.test",
    "\"mallory@acme.test\"@evil.test",
    "<mallory@acme.test>",
    "a,b@acme.test",
    "Mallory <mallory@acme.test",
    "mallory@[127.0.0.1]",
    "mal lory@acme.test",
    "mallory@acme..test",
    "mallory@acme.test\u{200b}",
    "\u{202e}mallory@acme.test",
    "mallory@acme.test\r\n",
    "mallory",
];

const NO_IDS: [&str; 7] = [" ", "\t", "org acme", "org_acme ", "org_acme\n", "org_\u{200b}acme", "org'acme"];

fn patch(member: &str, value: &str) -> Fault {
    Fault::token(FaultKind::ProfileOverrides { patch: json!({ member: value }) }).times(1)
}

const APP: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";

#[tokio::test]
async fn nobody_signs_in_with_what_is_no_address() {
    let (bed, app) = Bed::brokered("no_address").await;
    let people = "select 'user', id::text, email from auth.users union all select 'identity', id::text, email from auth.identities
        union all select 'session', id::text, email from auth.sessions order by 1, 2";
    for known in [false, true] {
        if known {
            sign_in(&app, ALICE).await;
        }
        let before = lines(&bed.admin, people).await.unwrap();
        for email in NO_ADDRESSES {
            bed.simulator().set_fault(patch("email", email)).unwrap();
            let pending = start(&app, ALICE).await;
            let refusal = refused(exchange(&app, &pending).await, "workos_profile_incomplete");
            assert!(refusal.detail.contains("email is not an e-mail address: it "), "{email:?}: {refusal}");
            assert!(!refusal.to_string().contains("mallory"), "{email:?}: {refusal}");

            bed.simulator().set_fault(patch("email", email)).unwrap();
            let pending = come_back(&app, APP, ALICE.email).await;
            let landing = callback(&app, &pending).await.unwrap();
            landing.is_refused("http://localhost:3000/app", "workos_profile_incomplete");

            bed.simulator().set_fault(patch("email", email)).unwrap();
            let pending = come_back_implicitly(&app, APP, ALICE.email).await;
            let landing = callback(&app, &pending).await.unwrap();
            landing.is_refused("http://localhost:3000/app", "workos_profile_incomplete");
            assert_eq!(lines(&bed.admin, people).await.unwrap(), before, "{email:?} left something behind");
        }
    }
    let log = bed.log();
    assert!(!log.contains("mallory@acme"), "the log shows an address that is none");
}

#[tokio::test]
async fn nobody_links_what_is_no_address() {
    let bed = Bed::shared("no_address_linked").await;
    let app = bed.backend().await;
    let session = sign_in(&app, ALICE).await;
    for email in NO_ADDRESSES {
        let sql = "select url, state, code_verifier from auth.link_identity($1, provider => 'GoogleOAuth')";
        let row = app.query_one(sql, &[&session.access_token]).await.unwrap();
        let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let code = workos_testbed::browser_sign_in(&url, Some("gina@gmail.com")).await.unwrap().code;
        bed.simulator().set_fault(patch("email", email)).unwrap();
        refused(exchange(&app, &Pending { url, code, verifier, state }).await, "workos_profile_incomplete");
    }
    assert_eq!(bed.count("select count(*) from auth.identities").await, 1);
}

#[tokio::test]
async fn blanks_around_an_address_are_not_part_of_it() {
    let bed = Bed::shared("blanks").await;
    let app = bed.backend().await;
    let first = sign_in(&app, ALICE).await;
    for email in ["alice@acme.com ", "  Alice@ACME.com", "\talice@acme.com \t"] {
        bed.simulator().set_fault(patch("email", email)).unwrap();
        let session =
            exchange(&app, &start(&app, ALICE).await).await.unwrap_or_else(|error| panic!("{email:?}: {error:?}"));
        assert_eq!((session.user_id, &*session.email), (first.user_id, "alice@acme.com"), "{email:?}");
        assert_eq!(session.claims["email"], "alice@acme.com", "{email:?}");
    }
    assert_eq!(lines(&bed.admin, "select email from auth.identities").await.unwrap(), ["alice@acme.com"]);
}

#[tokio::test]
async fn nobody_is_made_with_what_is_no_address() {
    let bed = Bed::shared("no_address_made").await;
    let admin = administrator(&bed).await;
    for email in NO_ADDRESSES {
        let refusal = refused(admin.query_one("select auth.create_user($1)", &[&email]).await, "validation_failed");
        assert!(refusal.detail.contains("email") && !refusal.to_string().contains("mallory"), "{email:?}: {refusal}");
    }
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
    admin.query_one("select auth.create_user($1)", &[&" Ann@Initech.com "]).await.unwrap();
    assert_eq!(text(&bed.admin, "select email from auth.users").await.unwrap().as_deref(), Some("ann@initech.com"));
    refused(admin.query_one("select auth.create_user($1)", &[&"ann@initech.com\t"]).await, "email_exists");
}

#[tokio::test]
async fn an_organization_vouches_for_domains_alone() {
    let bed = Bed::shared("domains").await;
    let admin = administrator(&bed).await;
    bed.admin.batch_execute("insert into auth.organizations (id) values ('org_acme')").await.unwrap();
    let insert = "insert into auth.organization_domains (organization_id, domain) values ('org_acme', $1)";
    for bad in [
        "@acme.test",
        "ann@acme.test",
        " acme.test",
        "acme.test.",
        "*.acme.test",
        "acme test",
        "acme.test\u{200b}",
        ".",
        "https://acme.test",
    ] {
        let refusal = refused(admin.execute(insert, &[&bad]).await, "validation_failed");
        assert!(refusal.detail.contains("domain"), "{bad:?}: {refusal}");
    }
    for bad in ["", "ACME.test"] {
        assert!(admin.execute(insert, &[&bad]).await.is_err(), "{bad:?}");
    }
    for good in ["acme.test", "sub.acme-widgets.test", "bücher.example"] {
        admin.execute(insert, &[&good]).await.unwrap_or_else(|error| panic!("{good}: {error:?}"));
    }
    let update = "update auth.organization_domains set domain = 'a@b' where domain = 'acme.test'";
    refused(bed.admin.batch_execute(update).await, "validation_failed");
}

/// What was stored before there were rules is compared as before; it only leads nowhere new.
#[tokio::test]
async fn stored_addresses_that_are_none_hurt_nobody() {
    let bed = Bed::shared("stored").await;
    let app = bed.backend().await;
    let first = sign_in(&app, ALICE).await;
    for stored in NO_ADDRESSES {
        let sql = "update auth.users set email = $1 where id = $2";
        bed.admin.execute(sql, &[&stored, &first.user_id]).await.unwrap();
        let sql = "update auth.identities set identity_data = identity_data || jsonb_build_object('email', $1::text)";
        bed.admin.execute(sql, &[&stored]).await.unwrap();
        let refreshed = workos_end_to_end::bed::refresh(&app, &sign_in(&app, ALICE).await.refresh_token).await;
        let session = refreshed.unwrap_or_else(|error| panic!("{stored:?}: {error:?}"));
        // The identity says another address now, and the account's follows.
        assert_eq!(
            (session.user_id, session.claims["email"].as_str()),
            (first.user_id, Some(ALICE.email)),
            "{stored:?}"
        );
        bed.admin.query_one("select auth.get_user($1)", &[&session.access_token]).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_id_of_workos_is_asked_for_by_nobody() {
    let bed = Bed::shared("no_ids").await;
    let app = bed.backend().await;
    let admin = administrator(&bed).await;
    let long = "o".repeat(10_000);
    for bad in NO_IDS.into_iter().chain(["", &long]) {
        for argument in ["organization", "connection", "provider"] {
            let sql = format!("select auth.start_sign_in({argument} => $1)");
            let refusal = refused(app.query_one(&sql, &[&bad]).await, "validation_failed");
            assert!(refusal.detail.contains(argument), "{bad:?}: {refusal}");
        }
        let made = admin.query_one("select auth.create_user('ann@initech.com', $1)", &[&bad]).await;
        refused(made, "validation_failed");
        // Where nothing is made, there is nothing of that name.
        let revoked = admin.query_one("select auth.revoke_organization($1)", &[&bad]).await.unwrap();
        assert_eq!(revoked.get::<_, i64>(0), 0, "{bad:?}");
    }
    assert_eq!(bed.count("select count(*) from auth.organizations").await, 0);
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn nobody_signs_in_with_what_is_no_id_of_workos() {
    let bed = Bed::shared("no_profile_ids").await;
    let app = bed.backend().await;
    let long = "o".repeat(10_000);
    for member in ["id", "organization_id", "connection_id"] {
        for bad in NO_IDS.into_iter().chain([&*long]) {
            bed.simulator().set_fault(patch(member, bad)).unwrap();
            // Google's people are of any organization, or none.
            let pending = start(&app, workos_end_to_end::bed::GINA).await;
            let refusal = refused_as_answer(exchange(&app, &pending).await);
            assert!(refusal.contains(member) && !refusal.contains("acme"), "{member} {bad:?}: {refusal}");
        }
    }
    for table in ["users", "identities", "sessions", "organizations"] {
        assert_eq!(bed.count(&format!("select count(*) from auth.{table}")).await, 0, "{table}");
    }
}

/// WA310 or WA312, as text.
#[track_caller]
fn refused_as_answer<T>(result: Result<T, tokio_postgres::Error>) -> String {
    let Err(error) = result else { panic!("it was not refused") };
    let sqlstate = error.code().map(|code| code.code().to_owned()).unwrap_or_default();
    match sqlstate.as_str() {
        "WA312" | "WA319" => refused_as(Err::<(), _>(error), &sqlstate).to_string(),
        other => panic!("{other}: {error:?}"),
    }
}
