//! What `auth.grant_admin` gives: enough to find everybody, and nothing that is sealed.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB};
use workos_end_to_end::check::check;
use workos_end_to_end::made::administrator;
use workos_end_to_end::sql::{lines, refused_as, text};

/// The columns that an administrator does not read. Whoever adds a column to one of these tables decides here what it is.
const HIDDEN: &[&str] = &[
    "sessions.refresh_token_key_id",
    "sessions.refresh_token_salt",
    "signing_keys.data_key_id",
    "signing_keys.private_key",
    // Unused, and for what Supabase Auth keeps secret.
    "users.confirmation_sent_at",
    "users.confirmation_token",
    "users.email_change",
    "users.email_change_confirm_status",
    "users.email_change_sent_at",
    "users.email_change_token_current",
    "users.email_change_token_new",
    "users.encrypted_password",
    "users.instance_id",
    "users.is_super_admin",
    "users.phone_change",
    "users.phone_change_sent_at",
    "users.phone_change_token",
    "users.reauthentication_sent_at",
    "users.reauthentication_token",
    "users.recovery_sent_at",
    "users.recovery_token",
];

/// The tables that an administrator reads.
const READ: &[&str] = &[
    "audit_log_entries",
    "hooks",
    "identities",
    "organization_domains",
    "organization_memberships",
    "organizations",
    "redirect_urls",
    "sessions",
    "signing_keys",
    "users",
];

/// Of each table the columns that a role may read.
async fn readable(admin: &Client, role: &str, may: bool) -> Vec<String> {
    let sql = format!(
        "select c.relname || '.' || a.attname collate \"C\" from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'auth'::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
             and c.relname = any ('{{{}}}') and has_column_privilege('{role}', c.oid, a.attnum, 'select') = {may} order by 1",
        READ.join(",")
    );
    lines(admin, &sql).await.unwrap()
}

#[tokio::test]
async fn what_the_documents_tell_administrators_runs_for_one() {
    let bed = Bed::shared("examples").await;
    let alice = bed.sign_in(ALICE).await;
    let client = administrator(&bed).await;
    for (sql, expected) in [
        ("select auth.create_user(email => 'mallory@acme.com') is not null", "t"),
        (
            "select auth.ban_user(user_id => id, until => now() + interval '7 days') from auth.users where email = 'mallory@acme.com'",
            "1",
        ),
        ("select auth.unban_user(user_id => id) from auth.users where email = 'mallory@acme.com'", "1"),
        ("select auth.rotate_signing_key() is not null", "t"),
        ("select auth.retire_signing_key(kid) from auth.signing_keys where status = 'retiring'", ""),
        (
            "insert into auth.organizations (id) values ('org_01GLOBEX') on conflict do nothing returning id",
            "org_01GLOBEX",
        ),
        (
            "insert into auth.organization_domains (organization_id, domain) values ('org_01GLOBEX', 'globex.com') returning domain",
            "globex.com",
        ),
        (
            "select count(*) from auth.audit_log_entries where user_id = (select id from auth.users where email = 'mallory@acme.com')",
            "3",
        ),
        ("select auth.delete_user(user_id => id) from auth.users where email = 'mallory@acme.com'", "1"),
        ("select email from auth.users", "alice@acme.com"),
        ("select provider_id is not null from auth.identities where email = 'alice@acme.com'", "t"),
        ("select role from auth.organization_memberships where organization_id = 'org_acme'", "admin"),
        ("select organization_id from auth.sessions where not_after > now()", "org_acme"),
        ("select status from auth.signing_keys where status = 'active'", "active"),
    ] {
        let rows = lines(&client, sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        assert_eq!(rows, [expected], "{sql}");
    }
    let sql = "select action from auth.audit_log_entries where user_id = $1 order by created_at limit 1";
    let row = client.query_one(sql, &[&alice.user_id]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "user_signedup");
}

#[tokio::test]
async fn nothing_that_is_sealed_or_makes_a_token_is_read() {
    let bed = Bed::shared("hidden").await;
    bed.sign_in(ALICE).await;
    let client = administrator(&bed).await;
    let role = bed.named("DATABASE_administrator");
    assert_eq!(readable(&bed.admin, &role, false).await, HIDDEN);
    assert!(readable(&bed.admin, &role, true).await.len() > 60);
    for column in HIDDEN {
        let (table, column) = column.split_once('.').unwrap();
        for sql in [
            format!("select {column} from auth.{table}"),
            format!("select from auth.{table} where {column} is null"),
            format!("select t from auth.{table} as t"),
            format!("table auth.{table}"),
            format!("copy auth.{table} ({column}) to stdout"),
        ] {
            refused_as(client.batch_execute(&sql).await, "42501");
        }
    }
    for table in ["authkit_tokens", "data_keys", "flow_states", "installation", "providers"] {
        refused_as(client.batch_execute(&format!("select from auth.{table}")).await, "42501");
    }
}

#[tokio::test]
async fn people_are_changed_by_functions_alone() {
    let bed = Bed::shared("changes").await;
    bed.sign_in(ALICE).await;
    let role = bed.role("writer", "in role pg_write_all_data").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&role]).await.unwrap();
    let (client, writer) = (administrator(&bed).await, bed.connect(&role).await);
    bed.admin.batch_execute(&bed.named("grant create on schema public to DATABASE_administrator")).await.unwrap();
    let before = bed.contents().await;
    for table in ["users", "identities", "sessions", "signing_keys", "organization_memberships", "audit_log_entries"] {
        for sql in [
            format!("delete from auth.{table}"),
            format!("insert into auth.{table} default values"),
            format!("truncate auth.{table}"),
            format!("select from auth.{table} for update"),
            format!("create trigger t after insert on auth.{table} execute function auth.forget_cached_rows()"),
            format!("create rule r as on insert to auth.{table} do nothing"),
        ] {
            refused_as(client.batch_execute(&sql).await, "42501");
        }
        // Whoever may write every table finds no row that is theirs to write.
        assert_eq!(writer.execute(&format!("delete from auth.{table}"), &[]).await.unwrap(), 0, "{table}");
    }
    for sql in ["update auth.organizations set id = 'org_x'", "delete from auth.organizations"] {
        refused_as(client.batch_execute(sql).await, "42501");
        assert_eq!(writer.execute(sql, &[]).await.unwrap(), 0, "{sql}");
    }
    for (table, column, kind) in
        [("sessions", "id", "uuid"), ("identities", "id", "uuid"), ("organizations", "id", "text")]
    {
        let sql = format!("create table t (r {kind} references auth.{table} ({column}))");
        refused_as(client.batch_execute(&format!("begin; {sql}")).await, "42501");
        client.batch_execute("rollback").await.unwrap();
    }
    assert_eq!(bed.contents().await, before);
}

/// A view of an administrator's shows others nothing: the policy asks who runs the query.
#[tokio::test]
async fn an_administrators_view_shows_nothing_to_others() {
    let bed = Bed::shared("views").await;
    bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    let client = administrator(&bed).await;
    let role = bed.named("DATABASE_administrator");
    bed.admin.batch_execute(&format!("grant create on schema public to {role}")).await.unwrap();
    client
        .batch_execute("create view people as select email from auth.users; grant select on people to public")
        .await
        .unwrap();
    assert_eq!(
        lines(&client, "select email from people order by 1").await.unwrap(),
        ["alice@acme.com", "bob@globex.com"]
    );
    for attributes in ["", "in role pg_read_all_data"] {
        let other = bed.role(if attributes.is_empty() { "other" } else { "auditor" }, attributes).await;
        let other = bed.connect(&other).await;
        assert_eq!(text(&other, "select count(*) from people").await.unwrap().as_deref(), Some("0"), "{attributes}");
    }
}

#[tokio::test]
async fn what_was_given_is_taken_back() {
    let bed = Bed::shared("taken_back").await;
    let client = administrator(&bed).await;
    let role = bed.named("DATABASE_administrator");
    bed.admin.execute("select auth.revoke_admin($1::text::regrole)", &[&role]).await.unwrap();
    assert_eq!(readable(&bed.admin, &role, true).await, [""; 0]);
    refused_as(client.batch_execute("select id from auth.users").await, "42501");
    refused_as(client.batch_execute("insert into auth.organizations (id) values ('org_x')").await, "42501");
}

/// What an address is for may be written down later. What the address is may not be changed: it would have to be checked and told of.
#[tokio::test]
async fn administrators_keep_notes_on_addresses() {
    let bed = Bed::shared("notes").await;
    let client = administrator(&bed).await;
    client
        .batch_execute(
            "insert into auth.redirect_urls (pattern) values ('https://app.test/*'), ('https://other.test/')",
        )
        .await
        .unwrap();
    let write = "update auth.redirect_urls set note = 'the app' where pattern = 'https://app.test/*'";
    client.batch_execute(write).await.unwrap();
    let notes = "select pattern, note from auth.redirect_urls where note is not null";
    assert_eq!(lines(&client, notes).await.unwrap(), ["https://app.test/*|the app"]);
    for column in ["pattern = 'https://evil.example/'", "created_by = 'somebody'", "created_at = now()"] {
        refused_as(client.batch_execute(&format!("update auth.redirect_urls set {column}")).await, "42501");
    }
    let audited = "select payload from auth.audit_log_entries where action = 'redirect_url_changed'";
    let audited = lines(&client, audited).await.unwrap();
    assert_eq!(audited.len(), 1);
    // Whoever was made an administrator of everything by hand is told, and the remedy leaves the notes.
    let operator = text(&client, "select current_user").await.unwrap().unwrap();
    bed.admin.batch_execute(&format!("grant update on auth.redirect_urls to {operator}")).await.unwrap();
    let findings = check(&bed.admin).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    bed.admin.batch_execute(&findings[0].remedy).await.unwrap();
    assert_eq!(check(&bed.admin).await, []);
    client.batch_execute(write).await.unwrap();
    bed.admin.batch_execute(&format!("select auth.revoke_admin('{operator}')")).await.unwrap();
    refused_as(client.batch_execute(write).await, "42501");
}
