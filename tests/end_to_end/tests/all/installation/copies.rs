//! A copy of a database mints nothing until somebody says which of the two it is; what is no copy goes on: a restore elsewhere, a standby
//! that takes over, pg_upgrade.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::{Client, GenericClient};
use workos_end_to_end::bed::refresh;
use workos_end_to_end::dumps::run;
use workos_end_to_end::sql::{lines, refused, text};
use workos_end_to_end::{Bed, Refusal, Session};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

mod copied;
mod moved;
mod taken_over;

/// Copies are made, taken over and dropped, and a role of the cluster's notes it: this is no other test's business.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start().unwrap());

const COPY: &str = "installation_is_a_copy";
const BECOME_NEW: &str = "select auth.become_new_installation()";
const TAKE_OVER: &str = "select auth.take_over_installation()";
const START: &str = "select auth.start_sign_in('org_acme')";
const HOME: &str = "select system_identifier, database_oid from auth.installation";
const HERE: &str =
    "select c.system_identifier, d.oid from pg_control_system() c, pg_database d where datname = current_database()";

/// `CREATE DATABASE … TEMPLATE`, which needs to be alone with the template. The superuser's connection of the bed is another one then.
async fn copy(bed: &mut Bed<'_>, name: &str) -> Client {
    let postgres = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    bed.admin = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    let end = format!(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{}' and backend_type = 'client backend'",
        bed.database
    );
    let create = format!("create database {name} template {}", bed.database);
    for attempt in 0.. {
        postgres.batch_execute(&end).await.unwrap();
        match postgres.batch_execute(&create).await {
            Ok(()) => break,
            Err(error) => assert!(attempt < 50, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bed.admin = bed.superuser().await;
    bed.cluster.connect(name, SUPERUSER).await.unwrap()
}

async fn oid(client: &Client) -> String {
    text(client, "select oid from pg_database where datname = current_database()").await.unwrap().unwrap()
}

async fn verify(client: &impl GenericClient, token: &str) -> Result<(), tokio_postgres::Error> {
    client.query_one("select auth.verify_token($1)", &[&token]).await.map(drop)
}

/// The error says where the installation lives and where this is, and what leads out.
async fn is_said_to_be_a_copy(what: &str, refusal: &Refusal, here: &Client, lives_in: &str) {
    let name = text(here, "select current_database()").await.unwrap().unwrap();
    let parts = [lives_in.to_owned(), format!("\"{name}\" (OID {})", oid(here).await)];
    assert!(parts.iter().all(|part| refusal.detail.contains(part)), "{what}: {refusal}, not {parts:?}");
    for call in ["auth.become_new_installation()", "auth.take_over_installation()"] {
        assert!(refusal.hint.contains(call), "{what}: {refusal}");
    }
}

/// Nobody is signed in here: whatever starts a sign-in, opens or refreshes a session, or makes a key is refused. Readers go on.
async fn mints_nothing(what: &str, client: &Client, session: &Session) {
    let user = session.user_id;
    let calls = [
        START.to_owned(),
        "select auth.require_ready()".to_owned(),
        "select auth.workos_authorize_url('org_acme', code_challenge => 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')".to_owned(),
        "select auth.workos_authorize_url('org_acme')".to_owned(),
        format!("select auth.create_session('{user}')"),
        format!("select auth.create_session('{user}', 'org_acme', actor => 'sam', reason => 'ticket')"),
        format!("select auth.as_user('{user}', 'pg_monitor')"),
        format!("select auth.link_identity('{}', 'org_acme')", session.access_token),
        format!("select auth.refresh_session('{}')", session.refresh_token),
        "select auth.exchange_code('code', 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 'state')".to_owned(),
        "select auth.rotate_signing_key()".to_owned(),
        "select auth.add_signing_key()".to_owned(),
        "select auth.workos_create_organization('Acme', 'customer-7')".to_owned(),
        "select auth.workos_add_domain('org_acme', 'acme.com')".to_owned(),
        "select auth.workos_invite_it_contact('org_acme', 'it@acme.com', '{sso}')".to_owned(),
        "select auth.workos_portal_link('org_acme', 'sso')".to_owned(),
        "select auth.configure_workos(client_id, redirect_uri, client_secret => 'k', api_url => api_url) from auth.providers".to_owned(),
    ];
    let before = rows(client).await;
    for call in calls {
        let result = client.batch_execute(&call).await;
        assert!(result.is_err(), "{what}: {call} went through");
        let refusal = refused(result, COPY);
        assert!(!refusal.to_string().contains(&session.refresh_token), "{what}: {call}: {refusal}");
    }
    assert_eq!(rows(client).await, before, "{what}: something changed");
}

async fn rows(client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "installation",
        "providers",
        "data_keys",
        "signing_keys",
        "sessions",
        "flow_states",
        "users",
        "audit_log_entries",
    ] {
        let sql = format!(
            "select '{table}', md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from auth.{table} t"
        );
        all.extend(lines(client, &sql).await.unwrap());
    }
    all
}

/// The session can be refreshed, and somebody can sign in.
async fn goes_on(what: &str, client: &Client, session: &mut Session) {
    *session = refresh(client, &session.refresh_token).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let opened = client.batch_execute(&format!("select auth.create_session('{}')", session.user_id)).await;
    opened.unwrap_or_else(|error| panic!("{what}: {error:?}"));
}

/// A dump of the database, for the same operating-system user.
fn dump(bed: &Bed<'_>) -> PathBuf {
    let file = bed.cluster.root_key_path().with_file_name(format!("{}.dump", bed.database));
    let mut command = bed.cluster.command("pg_dump");
    command.args(["--format=custom", "--file"]).arg(&file).arg(&bed.database);
    run(command);
    file
}

async fn restore(cluster: &Cluster, file: &PathBuf, database: &str, options: &[&str]) -> Client {
    if options.is_empty() {
        cluster.create_database(database).await.unwrap();
    }
    let mut command = cluster.command("pg_restore");
    command.args(options).args(["--exit-on-error", "--dbname", database]).arg(file);
    run(command);
    cluster.connect(database, SUPERUSER).await.unwrap()
}
