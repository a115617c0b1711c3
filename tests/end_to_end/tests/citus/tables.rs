//! The extension's own tables stay on their node, and what an administrator should know of Citus.

use tokio_postgres::Client;
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::sql::{lines, refusal, refused, text};

use crate::nodes::Nodes;

/// A table that is spread would be read by nobody: readers look at the file of the one that they know.
#[tokio::test]
async fn tables_of_the_extension_are_not_spread() {
    let nodes = Nodes::new("tables_spread").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let admin = &nodes.issuer.admin;
    let tables = "select c.oid::regclass from pg_class as c where c.relnamespace = 'auth'::regnamespace and c.relkind = 'r' order by 1";
    let tables = lines(admin, tables).await.unwrap();
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        for spread in ["create_reference_table", "citus_add_local_table_to_metadata"] {
            refusal(admin.query(&format!("select {spread}('{table}')"), &[]).await);
        }
    }
    let session = admin.query("select auth.set_session($1)", &[&alice.access_token]).await;
    refused(session, "role_bypasses_rls");
    let app = nodes.begin_as(&alice).await;
    assert_eq!(text(&app, "select auth.uid()").await.unwrap(), Some(alice.user_id.to_string()));
    assert_eq!(found(admin).await, Vec::<String>::new());
}

/// What docs/citus.md says of tables and roles of others.
#[tokio::test]
async fn what_citus_does_not_take() {
    let nodes = Nodes::new("tables_refused").await;
    let admin = &nodes.issuer.admin;
    admin.batch_execute("create table profiles (id uuid primary key references auth.users)").await.unwrap();
    for spread in ["create_distributed_table('profiles', 'id')", "create_reference_table('profiles')"] {
        refusal(admin.query(&format!("select {spread}"), &[]).await);
    }
    let subquery = "create policy subquery on notes using (owner = (select auth.uid()))";
    let error = refusal(admin.batch_execute(subquery).await);
    assert!(error.message.contains("SubLink"), "{error}");
    let nobody = format!("{}_nologin", nodes.issuer.database);
    admin.batch_execute(&format!("create role {nobody} nologin")).await.unwrap();
    admin.batch_execute(&format!("grant {nobody} to {}", nodes.app)).await.unwrap();
    admin.batch_execute(&format!("grant select on notes to {nobody}")).await.unwrap();
    let app = nodes.connect().await;
    app.batch_execute("begin").await.unwrap();
    app.batch_execute(&format!("set local role {nobody}")).await.unwrap();
    let error = refusal(app.query("select * from notes", &[]).await);
    assert!(error.message.contains("is not permitted to log in"), "{error}");
}

#[tokio::test]
async fn settings_that_keep_tokens_or_hand_none_on_are_found() {
    let nodes = Nodes::new("tables_settings").await;
    let admin = &nodes.issuer.admin;
    assert_eq!(found(admin).await, Vec::<String>::new());
    admin
        .batch_execute(
            "set citus.propagate_set_commands = 'none'; set log_statement = 'all';
             set log_min_duration_statement = 0; set pg_stat_statements.track_utility = 'on'",
        )
        .await
        .unwrap();
    let all = [
        "warning|citus.propagate_set_commands",
        "warning|log_min_duration_statement",
        "warning|log_statement",
        "warning|pg_stat_statements.track_utility",
    ];
    assert_eq!(found(admin).await, all);
}

/// What `auth.check()` says of Citus.
async fn found(admin: &Client) -> Vec<String> {
    let sql = "select severity, object from auth.check() where finding like '%Citus%' order by object";
    lines(admin, sql).await.unwrap()
}
