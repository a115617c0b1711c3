//! Each state that a restore can come to: no root key, another one, one that is gone. Each has its error and its finding, and one call leads
//! out of it: `auth.abandon_sealed_data`. Then people sign in again, and are who they were.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, refresh, sign_in, start};
use workos_end_to_end::check::check;
use workos_end_to_end::root_keys::{START, configure, with_root_key_files};
use workos_end_to_end::sql::{lines, refusal, refused, text};
use workos_end_to_end::{Bed, Session};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

const ABANDON: &str = "select auth.abandon_sealed_data()";
const PEOPLE: &str =
    "select 'u', id::text, email from auth.users union all select 'i', id::text, provider_id from auth.identities
    union all select 'm', organization_id, user_id::text from auth.organization_memberships
    union all select 'o', id, '' from auth.organizations union all select 'r', pattern, '' from auth.redirect_urls
    union all select 'n', id::text, '' from auth.installation order by 1, 2, 3";

/// The one finding about the root key: what it says.
async fn finding(client: &Client) -> String {
    let mut found = check(client).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    let found = found.remove(0);
    assert_eq!((&*found.severity, &*found.object), ("error", "workos_auth.root_key_file"), "{found:?}");
    assert!(found.finding.ends_with('.'), "{found:?}");
    found.finding + " " + &found.remedy
}

async fn configure_again(bed: &Bed<'_>, client: &Client) {
    let sql = "select auth.configure_workos(client_id => $1, redirect_uri => $2, client_secret => $3, api_url => $4)";
    client.execute(sql, &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET, &bed.workos.url()]).await.unwrap();
}

/// What everything that signs or opens says, the error's hint, and what `auth.check()` says.
async fn is_said(bed: &Bed<'_>, client: &Client, session: &Session, name: &str) -> String {
    let before = bed.contents().await;
    let again = "select auth.configure_workos(client_id, redirect_uri, client_secret => 'k', api_url => api_url) from auth.providers";
    for call in [
        START,
        again,
        "select auth.rotate_signing_key()",
        "select auth.add_signing_key()",
        "select auth.require_ready()",
    ] {
        let refusal = refused(client.batch_execute(call).await, name);
        assert!(refusal.hint.contains("auth.abandon_sealed_data()"), "{call}: {refusal}");
    }
    refused(refresh(client, &session.refresh_token).await, name);
    assert_eq!(bed.contents().await, before, "{name}: something changed");
    // Reading needs no root key.
    client.query("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
    finding(client).await
}

/// The way out, from wherever it leads. People are who they were, and what they had of tokens is worth nothing.
async fn leads_out(bed: &Bed<'_>, client: &Client, session: &Session, key: impl AsyncFnOnce()) {
    let people = lines(client, PEOPLE).await.unwrap();
    let sessions = bed.count("select count(*) from auth.sessions").await;
    let answer: Value = client.query_one(ABANDON, &[]).await.unwrap().get(0);
    let provider = json!({ "client_id": CLIENT_ID, "redirect_uri": REDIRECT_URI, "api_url": bed.workos.url() });
    assert_eq!(answer, json!({ "provider": provider, "sessions": sessions, "sign_ins": 1, "signing_keys": 1 }));
    assert_eq!(lines(client, PEOPLE).await.unwrap(), people);
    let audit = "select payload from auth.audit_log_entries where action = 'sealed_data_abandoned' order by created_at desc limit 1";
    assert_eq!(client.query_one(audit, &[]).await.unwrap().get::<_, Value>(0), answer);
    assert_eq!(check(client).await, []);
    refused(client.batch_execute(START).await, "provider_not_configured");
    refused(client.batch_execute("select auth.require_ready()").await, "provider_not_configured");
    key().await;

    let client = &bed.superuser().await;
    configure_again(bed, client).await;
    let again = sign_in(client, ALICE).await;
    assert_eq!((again.user_id, again.is_new_user), (session.user_id, false));
    refused(refresh(client, &session.refresh_token).await, "refresh_token_not_found");
    refused(client.query("select auth.verify_token($1)", &[&session.access_token]).await, "bad_jwt_key");
    refresh(client, &again.refresh_token).await.unwrap();
    client.query("select auth.verify_token($1)", &[&again.access_token]).await.unwrap();
    assert_eq!(lines(client, PEOPLE).await.unwrap(), people);
    assert_eq!(check(client).await, []);
    client.batch_execute("select auth.require_ready()").await.unwrap();
}

#[tokio::test]
async fn no_root_key_beside_sealed_data() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "without").await;
    let alice = bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    start(&bed.admin, ANNA).await;
    let client = with_root_key_files(&bed, &[]).await;
    let said = is_said(&bed, &client, &alice, "root_key_required").await;
    assert!(said.contains("no root key is configured") && said.contains("auth.abandon_sealed_data()"), "{said}");
    let hint = refused(client.batch_execute(START).await, "root_key_required").hint;
    // What is next is said too: there is no step that leads into another error.
    assert!(hint.contains("set up with") && hint.contains("auth.create_root_key"), "{hint}");
    leads_out(&bed, &client, &alice, async || {
        let key = bed.new_root_key("second.key").await;
        with_root_key_files(&bed, &[&key]).await;
    })
    .await;
}

#[tokio::test]
async fn another_root_key_beside_sealed_data() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "another").await;
    let alice = bed.sign_in(ALICE).await;
    start(&bed.admin, ANNA).await;
    let other = bed.new_root_key("other.key").await;
    let client = with_root_key_files(&bed, &[&other]).await;
    let said = is_said(&bed, &client, &alice, "root_key_mismatch").await;
    assert!(said.contains("did not seal") && said.contains("auth.abandon_sealed_data()"), "{said}");
    // The key that is there is the one that is taken.
    leads_out(&bed, &client, &alice, async || {}).await;
}

#[tokio::test]
async fn a_root_key_that_is_gone_from_a_running_server() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "gone").await;
    let mut alice = bed.sign_in(ALICE).await;
    let (key, aside) = (bed.root_key(), bed.key_path("aside.key"));
    bed.shell(&format!("mv {key} {aside}")).await;
    // Whoever has opened what it needs goes on; the finding tells it in that connection too.
    alice = refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    sign_in(&bed.admin, BOB).await;
    let client = bed.superuser().await;
    for client in [&bed.admin, &client] {
        refused(client.batch_execute("select auth.require_ready()").await, "root_key_not_found");
        let said = finding(client).await;
        assert!(said.contains("is not there") && said.contains(&key), "{said}");
    }
    let said = is_said(&bed, &client, &alice, "root_key_not_found").await;
    assert!(said.contains("auth.abandon_sealed_data()"), "{said}");

    // An administrator who is no superuser learns what it is, and not where.
    let dba = bed.role("dba", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{dba}')")).await.unwrap();
    let dba = bed.connect(&dba).await;
    let said = finding(&dba).await;
    assert!(said.contains("is not there") && !said.contains(&key), "{said}");
    assert!(dba.batch_execute(ABANDON).await.is_err());
    bed.admin.batch_execute("grant execute on function auth.abandon_sealed_data() to public").await.unwrap();
    refused(dba.batch_execute(ABANDON).await, "insufficient_privilege");
    bed.admin.batch_execute("revoke execute on function auth.abandon_sealed_data() from public").await.unwrap();

    // It is back: nothing was lost.
    bed.shell(&format!("mv {aside} {key}")).await;
    assert_eq!(check(&client).await, []);
    client.batch_execute("select auth.require_ready()").await.unwrap();
    alice = refresh(&client, &alice.refresh_token).await.unwrap();

    // It is gone for good. The connections that have opened everything are no way around it.
    bed.shell(&format!("rm {key}")).await;
    start(&bed.admin, ANNA).await;
    let client = bed.superuser().await;
    leads_out(&bed, &client, &alice, async || {
        bed.admin.execute("select auth.create_root_key($1)", &[&key]).await.unwrap();
    })
    .await;
    sign_in(&bed.admin, BOB).await;
}

#[tokio::test]
async fn the_way_out_is_one_transaction() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "undone").await;
    let alice = bed.sign_in(ALICE).await;
    let before = bed.contents().await;
    bed.admin.batch_execute("begin").await.unwrap();
    bed.admin.batch_execute(ABANDON).await.unwrap();
    bed.admin.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.contents().await, before);
    refresh(&bed.superuser().await, &alice.refresh_token).await.unwrap();

    // A refresh under way is waited for, and then its session is ended as all are; the next one finds nothing.
    let (slow, ending) = (bed.superuser().await, bed.superuser().await);
    let bob = bed.sign_in(BOB).await;
    slow.batch_execute("begin").await.unwrap();
    let bob = refresh(&slow, &bob.refresh_token).await.unwrap();
    let commit = async {
        bed.until_waiting(1).await;
        slow.batch_execute("commit").await.unwrap();
    };
    let (ended, ()) = tokio::join!(ending.batch_execute(ABANDON), commit);
    ended.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    refused(refresh(&slow, &bob.refresh_token).await, "refresh_token_not_found");
    // Nothing is left to abandon.
    let nothing = json!({ "provider": null, "sessions": 0, "sign_ins": 0, "signing_keys": 0 });
    assert_eq!(ending.query_one(ABANDON, &[]).await.unwrap().get::<_, Value>(0), nothing);
    assert_eq!(check(&ending).await, []);
}

/// A dump beside another root key, as it comes to whoever restores it.
#[tokio::test]
async fn a_copy_whose_root_key_is_lost_becomes_an_installation_of_its_own() {
    let home = Cluster::start().unwrap();
    let bed = Bed::new(&home, "restored").await;
    let alice = bed.sign_in(ALICE).await;
    home.create_database("restored_copy").await.unwrap();
    let file = home.root_key_path().with_file_name("restored.dump");
    let dump =
        home.command("pg_dump").args(["--format=custom", "--dbname=restored", "--file"]).arg(&file).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let restore =
        home.command("pg_restore").args(["--exit-on-error", "--dbname=restored_copy"]).arg(&file).output().unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let other = bed.new_root_key("other.key").await;
    configure(&home, "root_key_file", &other).await;
    let copy = home.connect("restored_copy", SUPERUSER).await.unwrap();
    refused(copy.batch_execute(START).await, "installation_is_a_copy");
    refused(copy.batch_execute("select auth.become_new_installation()").await, "root_key_mismatch");
    copy.batch_execute(ABANDON).await.unwrap();
    copy.batch_execute("select auth.become_new_installation()").await.unwrap();
    configure_again(&bed, &copy).await;
    assert_eq!(sign_in(&copy, ALICE).await.user_id, alice.user_id);
    assert_eq!(check(&copy).await, []);
    // The original is as it was.
    refresh(&with_root_key_files(&bed, &[&bed.root_key()]).await, &alice.refresh_token).await.unwrap();
}

/// A standby needs no root key, and says nothing of one that is not there. One that is named there must be the right one.
#[tokio::test]
async fn a_standby_tells_of_the_key_that_it_names() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "standby_keys").await;
    bed.sign_in(ALICE).await;
    let other = bed.new_root_key("other.key").await;
    let standby = primary.start_standby(&["workos_auth.root_key_file = ''"]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let there = async || standby.connect("standby_keys", SUPERUSER).await.unwrap();
    assert_eq!(check(&there().await).await, []);
    configure(&standby, "root_key_file", &other).await;
    let said = finding(&there().await).await;
    assert!(said.contains("did not seal"), "{said}");
    configure(&standby, "root_key_file", &bed.root_key()).await;
    assert_eq!(check(&there().await).await, []);
    let refusal = refusal(there().await.batch_execute(ABANDON).await);
    assert_eq!(refusal.sqlstate, "25006", "{refusal}");
    assert_eq!(text(&bed.admin, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("1"));
}
