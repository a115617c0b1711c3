//! What everybody may look at shows nobody else's rows: not by conditions that Postgres tries early, not by the row counts of EXPLAIN ANALYZE,
//! under no kind of plan. And code that merely runs in a person's transaction cannot act for them.

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, set_session};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_end_to_end::{Bed, Session};

/// What everybody may select from, with ALICE's token where one is asked for: every view, and every function that returns rows.
async fn sources(bed: &Bed<'_>, token: &str) -> Vec<(String, Vec<(String, String)>)> {
    let sql = "select c.oid::regclass::text, '' from pg_class c
               where relnamespace = 'auth'::regnamespace and relkind in ('v', 'm', 'r', 'f') and has_table_privilege('public', c.oid, 'select')
               union all
               select p.oid::regproc::text, '(' || case when pronargs = 1 then '''TOKEN''' else '' end || ')' from pg_proc p
               where pronamespace = 'auth'::regnamespace and proretset and has_function_privilege('public', p.oid, 'execute')
               order by 1";
    let mut sources = Vec::new();
    for line in lines(&bed.admin, sql).await.unwrap() {
        let source = line.replace('|', "").replace("TOKEN", token);
        let columns = format!("select * from {source} limit 0");
        let statement = bed.admin.prepare(&columns).await.unwrap();
        let columns =
            statement.columns().iter().map(|column| (column.name().to_owned(), column.type_().name().to_owned()));
        sources.push((source, columns.collect()));
    }
    sources
}

const PLANS: &[&str] = &[
    "enable_seqscan",
    "enable_indexscan",
    "enable_bitmapscan",
    "enable_hashjoin",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_material",
];

/// Everything that a stranger gets to see by asking about these values.
async fn seen(
    stranger: &Client,
    sources: &[(String, Vec<(String, String)>)],
    values: &[(&str, String)],
) -> Vec<String> {
    let mut seen = Vec::new();
    for (source, columns) in sources {
        for (column, kind) in columns {
            let wanted = values.iter().filter(|(of, _)| *of == kind.as_str()).map(|(_, value)| value.as_str());
            let mut conditions = vec![format!("\"{column}\" is not null")];
            for value in wanted {
                // Operators that are marked as leakproof, and one that is not.
                conditions.push(format!("\"{column}\" = '{value}'"));
                conditions.push(format!("\"{column}\" < '{value}'"));
                conditions.push(format!("\"{column}\"::text like '{}%'", &value[..1]));
            }
            for condition in conditions {
                let query = format!("select count(*) from {source} where {condition}");
                let explained = format!(
                    "explain (analyze, verbose, timing off, summary off, buffers off) select * from {source} where {condition}"
                );
                for sql in [query, explained] {
                    seen.push(format!("{sql}: {:?}", lines(stranger, &sql).await.map_err(|error| error.to_string())));
                }
            }
        }
        for plan in PLANS {
            let sql = format!(
                "set {plan} = off; explain (analyze, timing off, summary off, buffers off) select * from {source}; reset {plan}"
            );
            seen.push(format!("{sql}: {:?}", lines(stranger, &sql).await.map_err(|error| error.to_string())));
        }
    }
    seen
}

#[tokio::test]
async fn nothing_differs_by_rows_of_others() {
    let bed = Bed::shared("walls").await;
    let alice = bed.sign_in(ALICE).await;
    let stranger = bed.connect(&bed.role("stranger", "").await).await;
    let sources = sources(&bed, &alice.access_token).await;
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.split('(').next().unwrap()).collect();
    assert_eq!(names, ["auth.error_codes", "auth.error_codes", "auth.my_sessions"]);
    let before = {
        let values = [
            ("text", "org_globex".to_owned()),
            ("uuid", uuid::Uuid::nil().to_string()),
            ("inet", "198.51.100.7".to_owned()),
        ];
        seen(&stranger, &sources, &values).await
    };
    assert!(before.len() > 60 && !before.iter().any(|line| line.contains("Err(")), "{before:#?}");
    // Others sign in, from addresses that a stranger would like to know.
    for person in [ANNA, BOB, BOB] {
        let pending = workos_end_to_end::start(&bed.admin, person).await;
        let sql = "select session_id from auth.exchange_code($1, $2, $3, '198.51.100.7', 'org_globex')";
        bed.admin.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    }
    bed.admin
        .batch_execute("update auth.sessions set organization_id = 'org_globex' where ip is not null; analyze")
        .await
        .unwrap();
    let values = [
        ("text", "org_globex".to_owned()),
        ("uuid", uuid::Uuid::nil().to_string()),
        ("inet", "198.51.100.7".to_owned()),
    ];
    let after = seen(&stranger, &sources, &values).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after);
    }
    assert_eq!(before.len(), after.len());
}

/// A trigger, a function or a policy of somebody else's in the person's own transaction.
#[tokio::test]
async fn code_in_a_persons_transaction_cannot_act_for_them() {
    let bed = Bed::shared("walls_own").await;
    let (people, owner) = (bed.role("people", "").await, bed.role("owner", "").await);
    bed.admin
        .batch_execute(&format!(
            "create schema app authorization {owner}; set role {owner};
             create table app.posts (line text); create table app.stolen (what text, got text);
             grant usage on schema app to public; grant insert on app.posts, app.stolen to public;
             create function app.steal() returns trigger language plpgsql as $$
             declare statement text; got text; begin
                 foreach statement in array array[
                     'select url from auth.link_identity(connection => ''conn_1'')', 'select url from auth.link_identity(null, ''org_acme'')',
                     'select auth.unlink_identity(gen_random_uuid())', 'select auth.unlink_identity(null, gen_random_uuid())',
                     'select auth.update_user(''{{}}'')', 'select auth.update_user(null, ''{{}}'')', 'select auth.sign_out()',
                     'select auth.sign_out(''global'')', 'select auth.sign_out(null, ''global'')', 'select count(*) from auth.my_sessions',
                     'select count(*) from auth.my_sessions(null)', 'select auth.my_sessions()',
                     'select nullif(current_setting(''workos_auth.session_token''), '''')', 'show workos_auth.session_token',
                     'select nullif(setting, '''') from pg_settings where name = ''workos_auth.session_token''',
                     'select auth.sign_out(current_setting(''workos_auth.session_token''))',
                     'select query from pg_stat_activity where query like ''%ey%'' and pid = pg_backend_pid()'
                 ] loop
                     begin
                         got := null;
                         execute statement into got;
                         if got is not null and got <> '' then insert into app.stolen values (statement, got); end if;
                     exception when others then null;
                     end;
                 end loop;
                 -- What only reads stays as it is.
                 insert into app.stolen values ('uid', auth.uid()), ('user', auth.get_user() ->> 'id');
                 return new;
             end $$;
             create trigger steal before insert on app.posts for each row execute function app.steal(); reset role"
        ))
        .await
        .unwrap();
    let alice = bed.sign_in(ALICE).await;
    let mut client = bed.connect(&people).await;
    let before = bed.contents().await;
    let transaction = client.transaction().await.unwrap();
    set_session(&transaction, &alice.access_token, true).await.unwrap();
    transaction.execute("insert into app.posts values ('hers')", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    let id = alice.user_id.to_string();
    assert_eq!(lines(&bed.admin, "table app.stolen").await.unwrap(), [format!("uid|{id}"), format!("user|{id}")]);
    assert_eq!(bed.contents().await, before);
    acts_by_token(&bed, &client, &alice).await;
}

/// With the token they need no session, and do not mind another's.
async fn acts_by_token(bed: &Bed<'_>, client: &Client, alice: &Session) {
    let bob = bed.sign_in(BOB).await;
    for current in [None, Some(&bob)] {
        case!(current);
        match current {
            None => client.batch_execute("select auth.clear_session()").await.unwrap(),
            Some(bob) => set_session(client, &bob.access_token, false).await.unwrap(),
        }
        let sql = "select auth.update_user($1, '{\"seen\": true}') ->> 'id'";
        let id: String = client.query_one(sql, &[&alice.access_token]).await.unwrap().get(0);
        assert_eq!(id, alice.user_id.to_string());
        let sql = "select id, is_current from auth.my_sessions($1)";
        let row = client.query_one(sql, &[&alice.access_token]).await.unwrap();
        assert_eq!((row.get(0), row.get(1)), (alice.session_id, true));
    }
    // The audit log has who acted: the person of the token.
    let sql = "select count(*) from auth.audit_log_entries where action = 'user_modified' and actor_id = user_id";
    assert_eq!(bed.count(sql).await, 2);
    for call in [
        "update_user($1, '{}')",
        "my_sessions($1)",
        "sign_out($1)",
        "link_identity($1, 'org_acme')",
        "unlink_identity($1, gen_random_uuid())",
    ] {
        refused(client.query(&format!("select auth.{call}"), &[&None::<&str>]).await, "null_value");
        refused(client.query(&format!("select auth.{call}"), &[&"nonsense"]).await, "bad_jwt");
    }
    let ended: i64 = client.query_one("select auth.sign_out($1)", &[&alice.access_token]).await.unwrap().get(0);
    assert_eq!(ended, 1);
    assert_eq!(text(client, "select auth.uid()").await.unwrap(), Some(bob.user_id.to_string()));
    refused(client.query("select auth.sign_out($1)", &[&alice.access_token]).await, "session_not_found");
    refused_as(client.batch_execute("select auth.sign_out()").await, "42883");
}
