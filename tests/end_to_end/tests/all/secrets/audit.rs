//! The audit log: what is written into it, whom it names, and that nobody takes from it.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::Mint;
use workos_end_to_end::bed::{ALICE, ANNA, Bed, configure_workos, set_session, start};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::workos::CLIENT_SECRET;

/// The entries since the last look, the oldest first.
async fn entries(bed: &Bed<'_>, known: &mut Vec<Uuid>) -> Vec<Value> {
    let sql = "select id, to_jsonb(e) from auth.audit_log_entries as e where id <> all ($1) order by created_at";
    let rows = bed.admin.query(sql, &[known]).await.unwrap();
    known.extend(rows.iter().map(|row| row.get::<_, Uuid>(0)));
    rows.iter().map(|row| row.get(1)).collect()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_administrators_do_is_written_down() {
    let bed = Bed::shared("written").await;
    let mut known = Vec::new();
    let operator = bed.role("operator", "").await;
    let set_up = entries(&bed, &mut known).await;
    assert_eq!(actions(&set_up), ["provider_configured", "redirect_url_added"]);
    assert!(!set_up[0].to_string().contains(CLIENT_SECRET));

    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    let client = bed.connect(&operator).await;
    client
        .batch_execute(&format!(
            "{};
             select auth.grant_sign_in('{operator}'); select auth.revoke_sign_in('{operator}');
             select auth.rotate_signing_key();
             insert into auth.redirect_urls (pattern) values ('https://a.example.com/'), ('https://b.example.com/');
             delete from auth.redirect_urls where pattern = 'https://a.example.com/';",
            configure_workos(&format!(", client_secret => '{CLIENT_SECRET}'"))
        ))
        .await
        .unwrap();
    bed.admin
        .batch_execute(&bed.named(
            "select auth.retire_signing_key(kid) from auth.signing_keys where status = 'retiring';
             insert into auth.organizations values ('org_x'), ('org_y');
             insert into auth.organization_domains (organization_id, domain) values ('org_x', 'x.com');
             update auth.organization_domains set domain = 'xx.com';
             delete from auth.organizations where id = 'org_x';
             truncate auth.organization_domains;
             create schema app authorization DATABASE_operator; set role DATABASE_operator;
             create function app.f(jsonb) returns jsonb language sql as 'select $1';
             insert into auth.hooks (event, function) values ('token', 'app.f');
             update auth.hooks set event = 'signed_in'; delete from auth.hooks; reset role;
             select auth.revoke_admin('DATABASE_operator')",
        ))
        .await
        .unwrap();
    let entries = entries(&bed, &mut known).await;
    assert_eq!(
        actions(&entries),
        [
            "admin_granted",
            "provider_configured",
            "sign_in_granted",
            "sign_in_revoked",
            "signing_key_rotated",
            "redirect_url_added",
            "redirect_url_added",
            "redirect_url_removed",
            "signing_key_retired",
            "organization_domain_added",
            "organization_domain_changed",
            "organization_domain_removed",
            "organization_domain_truncated",
            "hook_added",
            "hook_changed",
            "hook_removed",
            "admin_revoked",
        ]
    );
    let of = |action: &str| entries.iter().rfind(|entry| entry["action"] == action).unwrap();
    assert_eq!(of("admin_granted")["payload"], json!({ "role": operator }));
    assert_eq!(
        (&of("admin_granted")["actor"], &of("sign_in_granted")["actor"]),
        (&json!("postgres"), &json!(operator))
    );
    assert_eq!(of("redirect_url_removed")["payload"], json!({ "pattern": "https://a.example.com/" }));
    assert_eq!(of("redirect_url_removed")["actor"], json!(operator));
    let domain = of("organization_domain_added");
    assert_eq!(domain["payload"], json!({ "organization_id": "org_x", "domain": "x.com" }));
    assert_eq!(domain["organization_id"], "org_x");
    assert_eq!(
        of("hook_changed")["payload"],
        json!({
            "old": { "event": "token", "function": "app.f", "function_owner": operator },
            "new": { "event": "signed_in", "function": "app.f", "function_owner": operator },
        })
    );
    // SET ROLE hides nobody: the actor is who logged in.
    assert_eq!(of("hook_changed")["actor"], "postgres");
    for entry in &entries {
        assert_eq!((&entry["actor_id"], &entry["actor_act"]), (&Value::Null, &Value::Null));
        assert!(!entry.to_string().contains(CLIENT_SECRET));
    }
    // Rolled back, nothing happened, and nothing is told.
    bed.admin.batch_execute("begin; select auth.rotate_signing_key(); rollback").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries").await, 19);
}

#[tokio::test]
async fn a_sign_in_names_the_clients_address_in_each_of_its_entries() {
    let bed = Bed::shared("addresses").await;
    let backend = bed.backend().await;
    let mut known = Vec::new();
    entries(&bed, &mut known).await;
    let pending = start(&backend, ALICE).await;
    let sql = "select user_id, session_id from auth.exchange_code($1, $2, $3, '2001:db8::7', 'Browser/1.0')";
    let row = backend.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let entries = entries(&bed, &mut known).await;
    assert_eq!(actions(&entries), ["user_signedup", "login"]);
    for entry in &entries {
        assert_eq!((&entry["ip"], &entry["user_agent"]), (&json!("2001:db8::7"), &json!("Browser/1.0")));
        assert_eq!((&entry["organization_id"], &entry["connection_id"]), (&json!("org_acme"), &json!("conn_acme")));
        assert_eq!(
            (&entry["user_id"], &entry["actor"]),
            (&json!(row.get::<_, Uuid>(0)), &json!(bed.named("DATABASE_backend")))
        );
        assert_eq!(entry["actor_id"], Value::Null, "nobody is signed in yet");
    }
    assert_eq!(entries[1]["session_id"], json!(row.get::<_, Uuid>(1)));
}

/// An audited call of somebody's whose session is on the connection, in each of the ways that it can get there.
#[tokio::test]
async fn the_person_whose_session_is_current_is_the_actor() {
    let bed = Bed::shared("persons").await;
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let app = bed.role("app", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&app]).await.unwrap();
    let client = bed.connect(&app).await;
    let mut known = Vec::new();
    entries(&bed, &mut known).await;
    let audited =
        "insert into auth.redirect_urls (pattern) values ('https://x.example.com/'); delete from auth.redirect_urls";
    let actor = |sql: String| {
        let (bed, client) = (&bed, &client);
        async move {
            client.batch_execute(&sql).await.unwrap();
            let sql = "select actor_id from auth.audit_log_entries where action = 'redirect_url_removed' order by created_at desc limit 1";
            bed.admin.query_one(sql, &[]).await.unwrap().get::<_, Option<Uuid>>(0)
        }
    };
    assert_eq!(actor(audited.to_owned()).await, None);
    // Verified before, by set_session.
    set_session(&client, &alice.access_token, false).await.unwrap();
    assert_eq!(actor(audited.to_owned()).await, Some(alice.user_id));
    // Put there and never read.
    let put = format!("begin; set local workos_auth.session_token = '{}'; {audited}; commit", anna.access_token);
    assert_eq!(actor(put).await, Some(anna.user_id));
    assert_eq!(actor(audited.to_owned()).await, Some(alice.user_id));
    // What is no good token names nobody, and stops nothing.
    for bad in ["no.token", "ünsinn", &format!("{}x", alice.access_token)] {
        case!(bad);
        assert_eq!(
            actor(format!("begin; set local workos_auth.session_token = '{bad}'; {audited}; commit")).await,
            None
        );
    }
    // A session that has ended names nobody either.
    bed.admin.execute("delete from auth.sessions where id = $1", &[&alice.session_id]).await.unwrap();
    assert_eq!(actor(audited.to_owned()).await, None);
    assert_eq!(actor("reset workos_auth.session_token; ".to_owned() + audited).await, None);
}

/// The audit log's look pins nothing: a query may go on to read the session that it would have read.
#[tokio::test]
async fn looking_who_it_is_pins_no_query() {
    let bed = Bed::shared("unpinned").await;
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let app = bed.role("app", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&app]).await.unwrap();
    let client = bed.connect(&app).await;
    set_session(&client, &alice.access_token, false).await.unwrap();
    let sql = "with rotated as materialized (select auth.rotate_signing_key() as kid),
        other as materialized (select auth.set_session($1) is not null from rotated)
        select auth.uid() from other";
    let uid: Uuid = client.query_one(sql, &[&anna.access_token]).await.unwrap().get(0);
    assert_eq!(uid, anna.user_id);
    let actor =
        text(&bed.admin, "select actor_id from auth.audit_log_entries where action = 'signing_key_rotated'").await;
    assert_eq!(actor.unwrap().unwrap(), alice.user_id.to_string());
}

#[tokio::test]
async fn who_acts_as_somebody_is_named_beside_them() {
    let mint = Mint::new("acting").await;
    let token = mint.token(json!({ "act": { "sub": "support@example.com" } }));
    // The token says so, whether its session is the current one or the person's own is.
    set_session(&mint.app, &mint.session.access_token, false).await.unwrap();
    mint.app.execute("select auth.sign_out($1)", &[&token]).await.unwrap();
    let sql = "select concat_ws(' ', actor, actor_id, actor_act, user_id) from auth.audit_log_entries where action = 'logout'";
    let entry = text(&mint.bed.admin, sql).await.unwrap().unwrap();
    assert_eq!(entry, format!("{1}_backend {0} support@example.com {0}", mint.session.user_id, mint.bed.database));
}

/// Runs as the role what would change the log; it is refused, or reaches nothing.
async fn tampers(client: &Client, role: &str) {
    for statement in [
        "update auth.audit_log_entries set action = 'nothing'",
        "delete from auth.audit_log_entries",
        "insert into auth.audit_log_entries (action) values ('forged')",
        "truncate auth.audit_log_entries",
        "merge into auth.audit_log_entries using (select 1) as one on true when matched then delete",
        "alter table auth.audit_log_entries disable row level security",
        "drop table auth.audit_log_entries",
    ] {
        client.batch_execute("begin").await.unwrap();
        let done = client.execute(statement, &[]).await;
        client.batch_execute("rollback").await.unwrap();
        if let Ok(rows) = done {
            assert!(
                rows == 0 && !statement.starts_with("drop") && !statement.starts_with("alter"),
                "{role} could {statement}"
            );
        } else {
            refused_as(done, "42501");
        }
    }
}

#[tokio::test]
async fn nobody_changes_the_log_or_takes_from_it_whatever_their_role() {
    // The roles of other tests are none of this one's.
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "every_role").await;
    bed.sign_in(ALICE).await;
    let (operator, backend) = (bed.role("operator", "").await, bed.role("backend_only", "").await);
    bed.role("all_data", "in role pg_read_all_data, pg_write_all_data, pg_monitor").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    let before = lines(&bed.admin, "select * from auth.audit_log_entries order by id").await.unwrap();
    // Every role that there is, the predefined ones too; what they own themselves is theirs.
    let roles = lines(&bed.admin, "select rolname from pg_roles where not rolsuper and rolname <> 'workos_auth_owner'")
        .await
        .unwrap();
    assert!(
        roles.len() > 12 && roles.contains(&operator) && roles.contains(&"pg_write_all_data".to_owned()),
        "{roles:?}"
    );
    for role in &roles {
        let client = bed.superuser().await;
        client.batch_execute(&format!("set session authorization \"{role}\"")).await.unwrap();
        tampers(&client, role).await;
        // Only an administrator sees it.
        let seen =
            client.query_one("select count(*) from auth.audit_log_entries", &[]).await.map(|row| row.get::<_, i64>(0));
        match seen {
            Ok(seen) if *role == operator => assert_eq!(seen, i64::try_from(before.len()).unwrap()),
            Ok(seen) => assert_eq!(seen, 0, "{role}"),
            refused => assert!(*role != operator && refused_as(refused, "42501").sqlstate == "42501"),
        }
    }
    assert_eq!(lines(&bed.admin, "select * from auth.audit_log_entries order by id").await.unwrap(), before);
    // And no right to it is given to anybody.
    let granted = "select string_agg(g.grantee::regrole || ' ' || g.privilege_type, ', ' order by 1)
        from pg_class as c, aclexplode(c.relacl) as g where c.oid = 'auth.audit_log_entries'::regclass and g.grantee <> c.relowner";
    assert_eq!(text(&bed.admin, granted).await.unwrap().unwrap(), format!("{operator} SELECT"));
}

#[tokio::test]
async fn the_triggers_function_writes_for_nobody_else() {
    let bed = Bed::shared("trigger").await;
    let mallory = bed.role("mallory", "").await;
    bed.admin.batch_execute(&format!("create schema m authorization {mallory}")).await.unwrap();
    let client = bed.connect(&mallory).await;
    client.batch_execute("create table m.hooks (event text, function text)").await.unwrap();
    let trigger = "create trigger t after insert on m.hooks for each row execute function auth.audit_configuration()";
    refused_as(client.batch_execute(trigger).await, "42501");
}
