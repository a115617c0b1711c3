//! Runs the SQL of the README from top to bottom, as a reader would, and then that of the monitoring page: in one database, statement by
//! statement.

use std::collections::HashMap;
use std::sync::LazyLock;

use tokio_postgres::{Client, SimpleQueryMessage};
use workos_end_to_end::carried::{Request, ask};
use workos_end_to_end::case;
use workos_end_to_end::refusal;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};
use workos_testbed::{Cluster, Workos, browser_sign_in};

const README: &str = include_str!("../../../../../README.md");
const MONITORING: &str = include_str!("../../../../../docs/monitoring.md");
const DATABASE: &str = "readme";

/// The README makes the cluster's root key.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start().unwrap());

/// A statement, and whether it is an administrator's: one of a block that is fenced as `sql admin`.
struct Statement {
    text: String,
    is_administrators: bool,
}

/// The statements of all blocks fenced as `sql` or `sql admin`.
fn statements(document: &str) -> Vec<Statement> {
    let blocks = document.split("```sql").skip(1).filter_map(|rest| rest.split("```").next()?.split_once('\n'));
    let statement = |is_administrators| move |text| Statement { text, is_administrators };
    let of_block = |(whose, block): (&str, &str)| -> Vec<Statement> {
        match whose {
            "" => statements_of(block).into_iter().map(statement(false)).collect(),
            " admin" => statements_of(block).into_iter().map(statement(true)).collect(),
            _ => Vec::new(),
        }
    };
    blocks.flat_map(of_block).collect()
}

fn statements_of(block: &str) -> Vec<String> {
    let lines = block.lines().map(|line| line.split("--").next().unwrap().trim_end());
    let text = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
    let mut statements = vec![String::new()];
    for part in text.split_inclusive(';') {
        match statements.last_mut() {
            // Within the body of a function.
            Some(open) if open.matches("$$").count() % 2 == 1 => open.push_str(part),
            _ => statements.push(part.trim_start().to_owned()),
        }
    }
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

/// A connection of an administrator who is no superuser, and may change the rows of the README's table.
async fn administrator(cluster: &Cluster, superuser: &Client) -> Client {
    superuser
        .batch_execute(
            "create role readme_administrator login; select auth.grant_admin('readme_administrator');
             grant select, update, delete on todos to readme_administrator",
        )
        .await
        .unwrap();
    cluster.connect(DATABASE, "readme_administrator").await.unwrap()
}

/// What stands in the README for a reader's own, as this test has it.
fn substitutes(cluster: &Cluster, workos: &Workos) -> Vec<(&'static str, String)> {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    vec![
        ("/etc/postgresql/workos_auth.key", cluster.root_key_path().display().to_string()),
        (
            "/etc/postgresql/workos_auth-2.key",
            cluster.root_key_path().with_file_name("second.key").display().to_string(),
        ),
        (
            "client_secret_file => '/etc/postgresql/workos.secret'",
            format!("client_secret => {}", quoted(CLIENT_SECRET)),
        ),
        (
            "redirect_uri => 'https://app.example.com/callback'",
            format!("redirect_uri => {}, api_url => {}", quoted(REDIRECT_URI), quoted(&workos.url())),
        ),
        ("client_01EXAMPLE", CLIENT_ID.to_owned()),
        ("org_01ACME", "org_acme".to_owned()),
        ("conn_01ACME", "conn_acme".to_owned()),
        ("org_01GLOBEX", "org_globex".to_owned()),
        (":database", DATABASE.to_owned()),
    ]
}

/// Puts the values of the sign-in under way in place of `name => $1`, and of the few places where an access token stands otherwise.
fn bind(statement: &str, values: &HashMap<String, String>) -> String {
    let mut bound = statement.to_owned();
    for (name, value) in values {
        for position in 1..=9 {
            bound = bound.replace(&format!("{name} => ${position}"), &format!("{name} => '{value}'"));
        }
    }
    let token = values.get("access_token").map(String::as_str).unwrap_or_default();
    for (place, value) in [("array[$1]", format!("array['{token}']")), ("'Bearer ' || $1", format!("'Bearer {token}'"))]
    {
        bound = bound.replace(place, &value);
    }
    assert!(!bound.replace("$$", "").contains('$'), "nothing to bind in: {bound}");
    bound
}

#[tokio::test]
async fn the_sql_of_the_readme_runs() {
    let cluster = &*CLUSTER;
    let workos = Workos::start().unwrap();
    cluster.create_database(DATABASE).await.unwrap();
    let superuser = cluster.connect(DATABASE, "postgres").await.unwrap();
    let mut administrators = None;
    let substitutes = substitutes(cluster, &workos);
    let [mut all, monitoring] = [README, MONITORING].map(statements);
    let of_administrators = all.iter().filter(|statement| statement.is_administrators).count();
    let numbers = (all.len(), of_administrators, monitoring.len());
    assert!(matches!(numbers, (100.., 26.., 4..)), "{numbers:?} statements were found");
    all.extend(monitoring);

    let mut values = HashMap::new();
    for Statement { text: statement, is_administrators } in all {
        if is_administrators && administrators.is_none() {
            administrators = Some(administrator(cluster, &superuser).await);
        }
        let client = administrators.as_ref().filter(|_| is_administrators).unwrap_or(&superuser);
        let substituted =
            substitutes.iter().fold(statement.clone(), |text, (placeholder, value)| text.replace(placeholder, value));
        if statement.contains("pg_reload_conf") {
            // What the comment in front of it asks the reader to do.
            let setting = format!("workos_auth.root_key_file = '{}'", cluster.root_key_path().display());
            cluster.append_conf(&setting).unwrap();
            cluster.reload().await.unwrap();
        }
        let messages = client.simple_query(&bind(&substituted, &values)).await;
        let messages = match messages {
            Ok(messages) => messages,
            Err(error) => panic!("{statement}\n{:?}", refusal(Err::<(), _>(error))),
        };
        for message in messages {
            case!(message);
            let SimpleQueryMessage::Row(row) = message else { continue };
            // What pgTAP says of a test that failed, or of a plan that was not kept.
            let said = row.get(0).unwrap_or_default();
            assert!(!said.starts_with("not ok") && !said.starts_with("# "), "{statement}\n{said}");
            let column = |name: &str| row.try_get(name).ok().flatten().map(str::to_owned);
            for name in ["access_token", "refresh_token", "exchange_id"] {
                values.extend(column(name).map(|token| (name.to_owned(), token)));
            }
            if let (Some(id), Some(headers), Some(body)) = (column("exchange_id"), column("headers"), column("body")) {
                let request = Request {
                    exchange_id: id.parse().unwrap(),
                    url: column("url").unwrap(),
                    headers: workos_auth_core::json::parse(&headers).unwrap(),
                    body,
                    json_body: column("json_body").unwrap(),
                };
                let answer = ask(&request).await;
                values.extend([
                    ("status".to_owned(), answer.status.unwrap().to_string()),
                    ("headers".to_owned(), answer.headers.unwrap().to_string().replace('\'', "''")),
                    ("body".to_owned(), answer.body.unwrap().replace('\'', "''")),
                ]);
            }
            if let (Some(url), Some(state), Some(verifier)) = (column("url"), column("state"), column("code_verifier"))
            {
                let callback = browser_sign_in(&url, Some("alice@acme.com")).await.unwrap();
                assert_eq!(callback.state, state);
                values.extend([
                    ("code".to_owned(), callback.code),
                    ("state".to_owned(), state),
                    ("verifier".to_owned(), verifier),
                ]);
            }
        }
    }
}

/// The README's tables name every function and every setting.
#[tokio::test]
async fn the_readme_names_every_function_and_setting() {
    let cluster = &*CLUSTER;
    let database = "readme_names";
    cluster.create_database(database).await.unwrap();
    let client = cluster.connect(database, "postgres").await.unwrap();
    client.batch_execute("create extension workos_auth; select auth.uid()").await.unwrap();
    let functions = "select distinct 'auth.' || proname from pg_proc
        where pronamespace = 'auth'::regnamespace and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
        union all select name from pg_settings where name like 'workos\\_auth.%'
        union all select 'workos_auth.session_token'";
    let names: Vec<String> = client.query(functions, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let missing: Vec<&String> = names.iter().filter(|name| !README.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "not in the README: {missing:?}");
}
