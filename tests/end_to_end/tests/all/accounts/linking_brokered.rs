//! Links of callers that keep their own verifier, as a gateway's clients do, and links whose callback we take.

use workos_auth_core::pkce::CodeVerifier;
use workos_end_to_end::accounts::{Accounts, GOOGLE};
use workos_end_to_end::bed::{Pending, exchange};
use workos_end_to_end::brokered::{SITE_URL, parameter};
use workos_end_to_end::links::{Person, profiles};
use workos_end_to_end::sql::{refused, refused_as};
use workos_testbed::browser_sign_in;

/// A link by a verifier of the caller's own, as far as WorkOS's redirect.
async fn starts(ann: &Person<'_>, id: &str, email: &str) -> Pending {
    ann.at.put(id, GOOGLE, email, id);
    let verifier = CodeVerifier::generate().unwrap();
    let sql = "select url, state, code_verifier from auth.link_identity($1, connection => $2, code_challenge => $3)";
    let challenge = verifier.challenge();
    let row = ann.client.query_one(sql, &[&ann.session.access_token, &GOOGLE, &challenge.value()]).await.unwrap();
    let url: String = row.get(0);
    assert_eq!(row.get::<_, Option<String>>(2), None, "the verifier is the caller's");
    let callback = browser_sign_in(&url, Some(email)).await.unwrap();
    assert_eq!(callback.state, row.get::<_, String>(1));
    Pending { url, code: callback.code, verifier: verifier.expose().to_owned(), state: callback.state }
}

#[tokio::test]
async fn a_link_is_finished_by_the_callers_own_verifier() {
    let at = Accounts::new("own_verifier", &[]).await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let pending = starts(&ann, "prof_2", "a.lee@initech.com").await;
    let other = Pending { verifier: "a".repeat(43), ..pending.clone() };
    refused(exchange(&at.app, &other).await, "bad_code_verifier");
    assert_eq!(exchange(&at.app, &pending).await.unwrap().user_id, ann.session.user_id);
    assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1", "prof_2"]);

    for (further, sqlstate) in [
        ("connection => 'conn_1', code_challenge => 'short'", "WA005"),
        ("'org_1', code_challenge => repeat('a', 43), code_challenge_method => 'plain'", "WA006"),
        ("'org_1', code_challenge => repeat('a', 43), code_challenge_method => null", "22004"),
    ] {
        refused_as(ann.client.batch_execute(&ann.call("link_identity", further)).await, sqlstate);
    }
}

#[tokio::test]
async fn a_link_whose_callback_we_take_is_finished_in_the_account_that_began_it() {
    let at = Accounts::new("link_brokered", &[]).await;
    at.bed.set("workos_auth.site_url", SITE_URL).await;
    // Settings of a database are read when a connection begins.
    let app = at.bed.backend().await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let pending = starts(&ann, "prof_2", "a.lee@initech.com").await;
    let callback = async |pending: &Pending| {
        let row = app.query_one("select auth.handle_callback($1, $2)", &[&pending.code, &pending.state]).await.unwrap();
        Pending { code: parameter(row.get(0), "code"), ..pending.clone() }
    };
    let kept = callback(&pending).await;
    assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1"], "nothing is written before the verifier");
    assert_eq!(exchange(&app, &kept).await.unwrap().user_id, ann.session.user_id);
    assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1", "prof_2"]);

    // The session that began it ends meanwhile.
    let kept = callback(&starts(&ann, "prof_3", "ann.lee@initech.com").await).await;
    at.bed.admin.execute("select auth.revoke_sessions($1)", &[&ann.session.user_id]).await.unwrap();
    refused(exchange(&app, &kept).await, "link_session_not_found");
    assert_eq!(profiles(&at, ann.session.user_id).await, ["prof_1", "prof_2"]);
}
