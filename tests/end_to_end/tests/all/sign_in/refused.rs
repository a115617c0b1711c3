//! What is written down of a sign-in that was refused, where, and how much of it.

use serde_json::{Value, json};
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;
use workos_auth_core::json;
use workos_auth_core::pkce::flow_id;
use workos_auth_core::secret::State;
use workos_end_to_end::bed::{ALICE, Bed, Pending, exchange, sign_in, start};
use workos_end_to_end::brokered::*;
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused, refused_as, text};

const ACME: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";
const REFUSED: &str = "select count(*) from auth.audit_log_entries where action = 'login_refused'";

/// The entries, the oldest first.
async fn entries(bed: &Bed<'_>) -> Vec<Value> {
    let sql = "select to_jsonb(e) from auth.audit_log_entries as e where action = 'login_refused' order by created_at";
    bed.admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

fn id_of(state: &str) -> String {
    flow_id(&State::new(state.to_owned())).to_string()
}

async fn try_exchange(client: &Client, code: &str, pending: &Pending) -> Result<Row, Error> {
    let sql = "select * from auth.try_exchange_code($1, $2, $3, '2001:db8::7', 'Browser/1.0')";
    client.query_one(sql, &[&code, &pending.verifier, &pending.state]).await
}

/// Why, by `auth.try_exchange_code`; with nothing of a session.
fn refusal_of(row: &Row) -> String {
    let session: [Option<String>; 3] =
        ["access_token", "refresh_token", "provider_token"].map(|column| row.get(column));
    assert_eq!(session, [None, None, None]);
    row.get("error_code")
}

#[tokio::test]
async fn an_error_of_workos_is_written_down_once_with_what_was_asked_for() {
    let (bed, backend) = Bed::brokered("workos").await;
    let flows = "select id::text from auth.flow_states";
    for (error, description, reason) in [
        ("access_denied", Some("The person\r\nsaid no."), "access_denied"),
        ("connection_invalid", None, "connection_invalid"),
        // One that nobody knows yet.
        ("something_new", Some("Something new."), "server_error"),
    ] {
        case!(error);
        bed.admin.batch_execute("truncate auth.audit_log_entries").await.unwrap();
        let (_, state, verifier) = begin(&backend, ACME).await;
        let flow = text(&bed.admin, flows).await.unwrap().unwrap();
        assert_eq!(flow, id_of(&state));
        redirect(&backend, None, Some(&state), Some(error), description).await.unwrap();
        let entry = &entries(&bed).await[0];
        let mut payload = json!({ "flow_id": flow, "reason": reason, "workos_error": error });
        if let Some(description) = description {
            payload["workos_error_description"] = json!(description.replace(['\r', '\n'], ""));
        }
        assert_eq!(entry["payload"], payload);
        assert_eq!(
            (&entry["organization_id"], &entry["connection_id"], &entry["user_id"], &entry["email"]),
            (&json!("org_acme"), &Value::Null, &Value::Null, &Value::Null)
        );
        for secret in [&state, &verifier] {
            assert!(!entry.to_string().contains(secret.as_str()), "{entry}");
        }
        // The state is spent, and one that names nothing writes nothing.
        for state in [state.as_str(), "forged", ""] {
            redirect(&backend, None, Some(state), Some(error), description).await.unwrap();
            redirect(&backend, Some("01CODE"), Some(state), None, None).await.unwrap();
        }
        assert_eq!(bed.count(REFUSED).await, 1);
    }
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn what_fails_between_workos_and_us_is_written_down_with_its_particulars() {
    let (bed, backend) = Bed::brokered("between").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let forged = "01CODEOFSOMEBODY";
    redirect(&backend, Some(forged), Some(&pending.state), None, None).await.unwrap();
    let entries = entries(&bed).await;
    let payload = &entries[0]["payload"];
    assert_eq!((entries.len(), &payload["reason"]), (1, &json!("workos_invalid_grant")));
    let detail = payload["detail"].as_str().unwrap();
    assert!(detail.starts_with("WorkOS answered 400: invalid_grant"), "{detail}");
    let log = bed.log();
    let line = log.lines().find(|line| line.contains("Refused sign-in")).unwrap();
    assert!(line.contains(&id_of(&pending.state)) && line.contains("\"organization_id\":\"org_acme\""), "{line}");
    for secret in [forged, &pending.state, &pending.code] {
        assert!(!entries[0].to_string().contains(secret) && !line.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn who_may_not_sign_in_is_written_down_where_the_caller_commits() {
    let (bed, backend) = Bed::brokered("commits").await;
    let alice = sign_in(&backend, ALICE).await;
    bed.admin.execute("select auth.ban_user($1)", &[&alice.user_id]).await.unwrap();
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let code = callback(&backend, &pending).await.unwrap().code();
    assert_eq!(bed.count(REFUSED).await, 0, "not before the verifier was shown");

    let row = try_exchange(&backend, &code, &pending).await.unwrap();
    assert_eq!(refusal_of(&row), "user_banned");
    let (sqlstate, detail, flow): (String, String, Uuid) =
        (row.get("error_sqlstate"), row.get("error_detail"), row.get("flow_id"));
    assert_eq!((sqlstate.as_str(), detail.as_str()), ("WA402", "auth.users.banned_until lies in the future."));
    assert_eq!(flow.to_string(), id_of(&pending.state));
    let entry = &entries(&bed).await[0];
    assert_eq!(
        entry["payload"],
        json!({ "flow_id": flow, "provider_id": "prof_alice", "reason": "user_banned", "detail": detail })
    );
    for (column, expected) in [
        ("email", json!(ALICE.email)),
        ("user_id", json!(alice.user_id)),
        ("organization_id", json!("org_acme")),
        ("connection_id", json!("conn_acme")),
        ("ip", json!("2001:db8::7")),
        ("user_agent", json!("Browser/1.0")),
    ] {
        assert_eq!(entry[column], expected, "{column}");
    }
    // The code is spent.
    refused(try_exchange(&backend, &code, &pending).await, "flow_state_not_found");
    assert_eq!((bed.count(REFUSED).await, bed.count("select count(*) from auth.flow_states").await), (1, 0));

    // Let in, it is a session, and one call however it is written.
    bed.admin.execute("select auth.unban_user($1)", &[&alice.user_id]).await.unwrap();
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let code = callback(&backend, &pending).await.unwrap().code();
    let sql = "select (s).user_id, (s).access_token is not null as good, (s).error_code, (s).flow_id
        from (select auth.try_exchange_code($1, $2) as s offset 0) as t";
    let row = backend.query_one(sql, &[&code, &pending.verifier]).await.unwrap();
    let found: (Uuid, bool, Option<String>, Uuid) = (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!((found.0, found.1, found.2), (alice.user_id, true, None));
    assert_eq!(found.3.to_string(), id_of(&pending.state));
    assert_eq!(bed.count(REFUSED).await, 1);
}

#[tokio::test]
async fn an_implicit_sign_in_that_is_refused_is_written_down_at_its_callback() {
    let (bed, _) = Bed::brokered("implicit").await;
    bed.set("workos_auth.allow_signup", "off").await;
    let backend = bed.backend().await;
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    callback(&backend, &pending).await.unwrap().is_refused("http://localhost:3000/app", "signup_disabled");
    let row = bed.admin.query_one(
        "select payload ->> 'reason', payload ->> 'provider_id', organization_id, connection_id, user_id
         from auth.audit_log_entries where email = 'alice@acme.com' order by created_at desc limit 20",
        &[],
    );
    let row = row.await.unwrap();
    let found: [Option<String>; 4] = std::array::from_fn(|at| row.get(at));
    assert_eq!(found.map(Option::unwrap), ["signup_disabled", "prof_alice", "org_acme", "conn_acme"]);
    assert_eq!(row.get::<_, Option<Uuid>>(4), None);
    // Another person's browser.
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    let sql = "select auth.handle_callback($1, $2, is_bound => false)";
    backend.query_one(sql, &[&pending.code, &pending.state]).await.unwrap();
    let entry = entries(&bed).await.pop().unwrap();
    assert_eq!(
        entry["payload"],
        json!({ "flow_id": id_of(&pending.state), "reason": "access_denied", "detail": "this browser did not begin the sign-in" })
    );
}

#[tokio::test]
async fn where_the_caller_is_told_of_an_error_the_servers_log_says_the_same_and_the_caller_does_not_see_it() {
    let bed = Bed::shared("direct").await;
    bed.set("workos_auth.allow_signup", "off").await;
    let backend = bed.backend().await;
    let pending = start(&backend, ALICE).await;
    let refusal = refused(exchange(&backend, &pending).await, "signup_disabled");
    assert_eq!(refusal.detail, "workos_auth.allow_signup is off, and the profile belongs to no account.");
    assert!(!format!("{refusal:?}").contains("prof_alice"), "{refusal}");
    // Nor does a function around it.
    let pending = start(&backend, ALICE).await;
    let sql = format!(
        "do $$ declare said text; told text; begin
             perform auth.exchange_code('{}', '{}');
         exception when others then
             get stacked diagnostics said = pg_exception_detail, told = pg_exception_context;
             raise exception using errcode = 'P0001', message = said || told;
         end $$",
        pending.code, pending.verifier
    );
    let caught = refused_as(backend.batch_execute(&sql).await, "P0001");
    assert!(!caught.message.contains("prof_alice"), "{caught}");
    assert_eq!(bed.count(REFUSED).await, 0);

    let pending = start(&backend, ALICE).await;
    refused(exchange(&backend, &pending).await, "signup_disabled");
    let log = bed.log();
    let line = log.lines().rfind(|line| line.contains("Refused sign-in: ")).unwrap();
    assert!(line.contains("DETAIL:  workos_auth.allow_signup is off"), "{line}");
    let fields: Value = json::parse(line.split_once("Refused sign-in: ").unwrap().1).unwrap();
    assert_eq!(
        fields,
        json!({
            "flow_id": id_of(&pending.state), "reason": "signup_disabled", "provider_id": "prof_alice",
            "email": "alice@acme.com", "organization_id": "org_acme", "connection_id": "conn_acme",
        })
    );
    for secret in [&pending.code, &pending.verifier, &pending.state] {
        assert!(!line.contains(secret.as_str()), "{line}");
    }
    // Where WorkOS refuses, nobody is named, and the sign-in is.
    let pending = start(&backend, ALICE).await;
    let wrong = Pending { code: "01WRONG".into(), ..pending.clone() };
    refused(exchange(&backend, &wrong).await, "workos_invalid_grant");
    let log = bed.log();
    let line = log.lines().rfind(|line| line.contains("Refused sign-in: ")).unwrap();
    assert!(line.contains(&id_of(&pending.state)) && line.contains("WorkOS answered 400"), "{line}");
}

#[tokio::test]
async fn what_another_try_may_cure_spends_nothing_and_what_others_raise_is_raised() {
    let (bed, backend) = Bed::brokered("cure").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let code = callback(&backend, &pending).await.unwrap().code();
    let before = bed.contents().await;
    let trigger = "create function public.raises() returns trigger language plpgsql as
            $$ begin raise exception 'mine' using errcode = 'ZZ001'; end $$;
        create trigger raises before insert on auth.sessions for each row execute function public.raises()";
    bed.admin.batch_execute(trigger).await.unwrap();
    let refusal = refused_as(try_exchange(&backend, &code, &pending).await, "ZZ001");
    assert!(refusal.context.contains("raises()"), "{refusal}");
    bed.admin.batch_execute("drop trigger raises on auth.sessions; drop function public.raises()").await.unwrap();
    assert_eq!(bed.contents().await, before);
    // A database without a key that signs.
    bed.admin.batch_execute("update auth.signing_keys set status = 'pending' where status = 'active'").await.unwrap();
    refused(try_exchange(&backend, &code, &pending).await, "signing_key_missing");
    bed.admin.batch_execute("update auth.signing_keys set status = 'active' where status = 'pending'").await.unwrap();
    assert_eq!(bed.contents().await, before);
    assert_eq!(refused_count(&bed).await, 0);
    let row = try_exchange(&backend, &code, &pending).await.unwrap();
    assert_eq!(row.get::<_, Option<String>>("error_code"), None);
}

async fn refused_count(bed: &Bed<'_>) -> i64 {
    bed.count(REFUSED).await
}

#[tokio::test]
async fn nobody_fills_the_log_with_refusals() {
    let (bed, _) = Bed::brokered("flood").await;
    bed.set("workos_auth.allow_signup", "off").await;
    let backend = bed.backend().await;
    let plant_of = async |organization: &str, email: &str, count: i64, age: &str| {
        let sql = format!(
            "insert into auth.audit_log_entries (action, organization_id, email, created_at)
             select 'login_refused', '{organization}', {email}, now() - interval '{age}' from generate_series(1, {count})"
        );
        bed.admin.batch_execute(&sql).await.unwrap();
    };
    let plant = async |email: &str, count: i64, age: &str| plant_of("org_acme", email, count, age).await;
    let denied = async || {
        let (_, state, _) = begin(&backend, ACME).await;
        redirect(&backend, None, Some(&state), Some("access_denied"), None).await.unwrap();
        state
    };
    let named = async || {
        let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
        callback(&backend, &pending).await.unwrap();
        pending.state
    };
    // Old ones, and those of others, do not count.
    plant("null", 2000, "61 min").await;
    plant("'alice@acme.com'", 100, "61 min").await;
    plant("null", 999, "1 min").await;
    plant("'alice@acme.com'", 19, "1 min").await;
    plant("'anna@acme.com'", 100, "1 min").await;
    // Another customer's identity provider may say any address.
    plant_of("org_globex", "'alice@acme.com'", 100, "1 min").await;
    let before = refused_count(&bed).await;
    denied().await;
    assert_eq!(refused_count(&bed).await, before + 1, "the thousandth");
    let state = denied().await;
    assert_eq!(refused_count(&bed).await, before + 1, "no more than a thousand");
    assert!(bed.log().contains(&id_of(&state)), "the server's log has it");
    // People are not hidden by a flood of nobodies.
    named().await;
    assert_eq!(refused_count(&bed).await, before + 2, "the twentieth");
    let state = named().await;
    assert_eq!(refused_count(&bed).await, before + 2, "no more than twenty");
    let log = bed.log();
    let what = "the audit log has enough refused sign-ins of this hour";
    let at = log.rfind(what).unwrap_or_else(|| panic!("it does not say so: {log}"));
    assert!(log[at..].contains(&id_of(&state)), "the server's log has it");
}

/// A visitor can have a thousand of them written each hour, year after year.
#[tokio::test]
async fn a_refusal_does_not_read_those_of_the_past() {
    let (bed, _) = Bed::brokered("past").await;
    bed.admin
        .batch_execute(
            "insert into auth.audit_log_entries (action, email, organization_id, created_at)
             select 'login_refused', case n % 2 when 0 then 'alice@acme.com' end, 'org_acme', now() - n * interval '1 min' - interval '1 hour'
             from generate_series(1, 20000) as n;
             analyze auth.audit_log_entries",
        )
        .await
        .unwrap();
    bed.set("workos_auth.allow_signup", "off").await;
    let backend = bed.superuser().await;
    let read = "select pg_stat_force_next_flush(), pg_stat_clear_snapshot()";
    let entries = "select (sum(idx_tup_read) + (select seq_tup_read from pg_stat_user_tables where relname = 'audit_log_entries'))::bigint
        from pg_stat_user_indexes where relname = 'audit_log_entries'";
    let seen = async || {
        backend.batch_execute(read).await.unwrap();
        bed.count(entries).await
    };
    let before = seen().await;
    let (_, state, _) = begin(&backend, ACME).await;
    redirect(&backend, None, Some(&state), Some("access_denied"), None).await.unwrap();
    let pending = come_back_implicitly(&backend, ACME, ALICE.email).await;
    callback(&backend, &pending).await.unwrap();
    let after = seen().await;
    assert!(after < before + 100, "{before} {after}");
    assert_eq!(
        bed.count("select count(*) from auth.audit_log_entries where action = 'login_refused' and created_at > now() - interval '1 min'").await,
        2
    );
}

#[tokio::test]
async fn administrators_read_it_by_index() {
    let bed = Bed::shared("by_index").await;
    let admin = bed.role("dba", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&admin]).await.unwrap();
    bed.admin
        .batch_execute(
            "insert into auth.audit_log_entries (action, email, user_id, created_at)
             select 'login', case when n % 10 = 0 then 'a' || n || '@acme.com' end,
                 case when n % 100 <> 0 then md5((n % 200)::text)::uuid end, now() - n * interval '1 min'
             from generate_series(1, 20000) as n;
             analyze auth.audit_log_entries",
        )
        .await
        .unwrap();
    let client = bed.connect(&admin).await;
    let newest = "order by created_at desc limit 20";
    for (condition, index) in [
        ("email = 'a70@acme.com'", "audit_log_entries_email_idx"),
        ("user_id = md5('7')::uuid", "audit_log_entries_user_id_idx"),
        ("user_id in (select user_id from auth.find_user('a70@acme.com'))", "audit_log_entries_user_id_idx"),
        ("user_id is null", "audit_log_entries_nobody_idx"),
    ] {
        case!(condition);
        let sql = format!("explain (costs off) select * from auth.audit_log_entries where {condition} {newest}");
        let plan = lines(&client, &sql).await.unwrap().join("\n");
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
        // The newest of many are the first that it meets.
        assert!(!plan.contains("Sort") || condition.contains("find_user"), "{plan}");
    }
}
