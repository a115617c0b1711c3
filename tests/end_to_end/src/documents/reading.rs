//! Does what a page says, as a reader would: in a cluster of the page's own, from top to bottom, statement by statement.
//!
//! | in the page | what happens |
//! |---|---|
//! | a block fenced as `sql` | a superuser runs it |
//! | `sql admin` | a role runs it that `auth.grant_admin` was called for, and that may change the table of the fixture |
//! | `sql app`, and any other role that can log in | that role runs it |
//! | a block fenced as `text output` behind it | the answer of the block's last statement that had one; see [`outputs`](super::outputs) |
//! | `<!-- fixture: todos -->` | the database gets what a [`Fixture`] says |
//! | `<!-- sign in: bob@globex.com -->` | Bob signs in; from here on his tokens are `$1` |
//! | `<!-- sql … -->` | SQL that is run and that nobody sees; its first line is the words of a fence |
//! | `<!-- include: … -->` | see [`included`](super::included) |
//!
//! `$1` and its like take values that an earlier answer had ([`bind`]). Where an answer has `url`, `state` and `code_verifier`, the person
//! whom the URL hints at signs in there, else somebody of the URL's organization.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use url::Url;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};
use workos_testbed::{Cluster, Workos, browser_sign_in};

use super::Document;
use super::markdown::{Kind, Piece};
use super::outputs::{Answer, Table, compare};
use super::statements::{bind, quoted, statements};
use crate::bed::{Pending, exchange, start_with};
use crate::carried::{Request, ask};
use crate::sql::{Notices, connect_with_notices, refusal, text};

/// How long a reload may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The database that every page has.
pub const DATABASE: &str = "app";

/// The role of `sql admin`.
const ADMINISTRATOR: &str = "administrator";

/// Words behind `sql` of blocks that a test of their own runs, with that test's file.
pub const RUN_ELSEWHERE: [(&str, &str); 10] = [
    ("issuer", "verifiers/page.rs"),
    ("verifier", "verifiers/page.rs"),
    ("coordinator", "../citus/page.rs"),
    ("worker", "../citus/page.rs"),
    ("node", "../citus/page.rs"),
    ("cron", "sessions/cleanup.rs"),
    ("cron mirror", "mirror_sync/scheduled.rs"),
    ("helpers", "policies/supabase_tests.rs"),
    ("event trigger", "policies/supabase_tests.rs"),
    ("tutorial", "documents/tutorial.rs"),
];

/// When a connection last read the server's configuration.
async fn loaded(client: &Client) -> Option<String> {
    text(client, "select pg_conf_load_time()").await.unwrap()
}

/// What a page finds in its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fixture {
    /// The extension, set up for the WorkOS stand-in; the roles `authenticated` and `app`.
    Installed,
    /// The same, and the table `todos` of the front page.
    Todos,
}

impl Fixture {
    fn named(name: &str) -> Option<Self> {
        match name {
            "installed" => Some(Self::Installed),
            "todos" => Some(Self::Todos),
            _ => None,
        }
    }
}

const ROLES: &str = "
    insert into auth.redirect_urls (pattern) values ('https://app.example.com/**');
    create role authenticated nologin;
    create role app login noinherit;
    grant authenticated to app;
    select auth.grant_sign_in('app')";

const TODOS: &str = "
    create table todos (
        id bigint generated always as identity primary key,
        organization text not null default auth.organization_id(),
        owner uuid not null default auth.uid() references auth.users (id),
        task text not null
    );
    alter table todos enable row level security;
    alter table todos force row level security;
    create policy members on todos to authenticated using (organization = auth.organization_id());
    create policy admins_delete on todos as restrictive for delete to authenticated
        using (owner = auth.uid() or auth.has_role('admin', organization));
    grant select, insert, delete on todos to authenticated";

/// What a page does, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Fixture(Fixture),
    SignIn(String),
    Run(Block),
    /// A test of its own runs it.
    Elsewhere,
}

/// SQL of one role, and what the page shows as its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    line: usize,
    role: String,
    sql: String,
    shown: Option<String>,
}

/// Does what the page says, and returns how many statements that were.
///
/// # Panics
/// A statement fails, or its answer is not the one that is shown: the message has page and line.
pub async fn read(page: &Document) -> usize {
    let mut reader = Reader::new(page).await;
    let mut statements = 0;
    for step in steps(page) {
        match step {
            Step::Fixture(fixture) => reader.set_up(fixture).await,
            Step::SignIn(email) => reader.sign_in(&email).await,
            Step::Run(block) => statements += reader.run(&block).await,
            Step::Elsewhere => {}
        }
    }
    statements
}

/// Whether there is anything to do here.
pub fn has_steps(page: &Document) -> bool {
    steps(page).iter().any(|step| *step != Step::Elsewhere)
}

fn steps(page: &Document) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    // Whether nothing but prose stands between a block of SQL and what comes next.
    let mut is_behind_sql = false;
    for Piece { line, kind, text } in page.pieces() {
        let place = || format!("{}:{line}", page.path);
        match kind {
            Kind::Code(words) if words == "text output" => {
                match steps.last_mut() {
                    Some(Step::Run(block)) if is_behind_sql => block.shown = Some(text),
                    Some(Step::Elsewhere) if is_behind_sql => {}
                    _ => panic!("{}: an output of nothing", place()),
                }
                is_behind_sql = false;
            }
            Kind::Code(words) => {
                let step = step_of(&words, &text, line);
                assert!(step.is_some() || !is_sql(&words), "{}: nobody runs a block of {words}", place());
                is_behind_sql = step.is_some();
                steps.extend(step);
            }
            Kind::Comment => {
                let (word, rest) = text.split_once([':', '\n', ' ']).unwrap_or((&text, ""));
                let rest = rest.trim();
                match word {
                    "fixture" => {
                        let fixture = Fixture::named(rest).unwrap_or_else(|| panic!("{}: no fixture {rest}", place()));
                        steps.push(Step::Fixture(fixture));
                    }
                    "sign" => steps.push(Step::SignIn(rest.trim_start_matches("in:").trim().to_owned())),
                    "sql" => {
                        let (words, sql) = text.split_once('\n').unwrap_or((&text, ""));
                        steps.push(step_of(words, sql, line).unwrap_or_else(|| panic!("{}: no SQL", place())));
                    }
                    // Each has a test of its own.
                    "include" | "generated" | "Written" | "prose" => {}
                    // Of a template for GitHub.
                    _ if page.path.starts_with(".github/") => {}
                    _ => panic!("{}: nobody knows the mark {word}", place()),
                }
                is_behind_sql = false;
            }
            _ => {}
        }
    }
    steps
}

fn is_sql(words: &str) -> bool {
    words == "sql" || words.starts_with("sql ")
}

/// What to do with a block; `None` where it is no SQL, or nobody runs it.
fn step_of(words: &str, sql: &str, line: usize) -> Option<Step> {
    let role = match words.strip_prefix("sql")?.trim() {
        "" => SUPERUSER,
        "admin" => ADMINISTRATOR,
        other if RUN_ELSEWHERE.iter().any(|(words, _)| *words == other) => return Some(Step::Elsewhere),
        role if role.chars().all(|c| c.is_alphanumeric() || c == '_') => role,
        _ => return None,
    };
    Some(Step::Run(Block { line, role: role.to_owned(), sql: sql.to_owned(), shown: None }))
}

/// Somebody who does what a page says.
struct Reader<'a> {
    page: &'a Document,
    cluster: Cluster,
    workos: Workos,
    connections: HashMap<String, (tokio_postgres::Client, Notices)>,
    values: HashMap<String, String>,
    has_root_key: bool,
}

impl<'a> Reader<'a> {
    async fn new(page: &'a Document) -> Self {
        let (cluster, workos) = (Cluster::start().unwrap(), Workos::start().unwrap());
        cluster.create_database(DATABASE).await.unwrap();
        let (connections, values) = (HashMap::new(), HashMap::new());
        Self { page, cluster, workos, connections, values, has_root_key: false }
    }

    async fn set_up(&mut self, fixture: Fixture) {
        let client = self.workos.install(&self.cluster, DATABASE).await.unwrap();
        self.has_root_key = true;
        client.batch_execute(ROLES).await.unwrap();
        if fixture == Fixture::Todos {
            client.batch_execute(TODOS).await.unwrap();
        }
    }

    async fn sign_in(&mut self, email: &str) {
        let selector = match email.split_once('@') {
            Some((_, "acme.com")) => "organization => 'org_acme'",
            Some((_, "globex.com")) => "organization => 'org_globex'",
            _ => "provider => 'GoogleOAuth'",
        };
        let client = self.cluster.connect(DATABASE, SUPERUSER).await.unwrap();
        let pending: Pending = start_with(&client, selector, email).await;
        let session = exchange(&client, &pending).await.unwrap();
        let values = [
            ("access_token", session.access_token),
            ("refresh_token", session.refresh_token),
            ("user_id", session.user_id.to_string()),
            ("session_id", session.session_id.to_string()),
        ];
        self.values.extend(values.map(|(name, value)| (name.to_owned(), value)));
    }

    /// Runs every statement, and compares the last answer with what is shown.
    async fn run(&mut self, block: &Block) -> usize {
        let place = format!("{}:{}", self.page.path, block.line);
        let shows_error = block.shown.as_ref().is_some_and(|shown| shown.contains("ERROR:  "));
        let statements = statements(&block.sql);
        let mut answer = Answer::default();
        for statement in &statements {
            let of_this = self.run_statement(&block.role, statement).await;
            if let Some(refusal) = &of_this.refusal {
                assert!(shows_error, "{place}\n{statement}\n{refusal}");
            }
            for row in of_this.table.iter().flat_map(|table| &table.rows) {
                let said = row.first().map(String::as_str).unwrap_or_default();
                assert!(!said.starts_with("not ok") && !said.starts_with("# "), "{place}\n{statement}\n{said}");
            }
            if of_this.refusal.is_some() || of_this.table.is_some() || !of_this.notices.is_empty() {
                answer = of_this;
            }
        }
        if let Some(shown) = &block.shown
            && let Err(difference) = compare(&self.substitute(shown), &answer)
        {
            panic!("{place}\n{}\n{difference}", block.sql);
        }
        statements.len()
    }

    async fn run_statement(&mut self, role: &str, statement: &str) -> Answer {
        if statement.contains("pg_reload_conf") && !self.has_root_key {
            // What the page asks the reader to do before.
            let setting = format!("workos_auth.root_key_file = '{}'", self.cluster.root_key_path().display());
            self.cluster.append_conf(&setting).unwrap();
            self.cluster.reload().await.unwrap();
            self.has_root_key = true;
        }
        let sql = bind(&self.substitute(statement), &self.values);
        if !self.connections.contains_key(role) {
            if role == ADMINISTRATOR {
                self.make_administrator().await;
            }
            let connection = connect_with_notices(&self.cluster.config(DATABASE, role)).await.unwrap();
            self.connections.insert(role.to_owned(), connection);
        }
        let (client, notices) = &self.connections[role];
        let before = if statement.contains("pg_reload_conf") { loaded(client).await } else { None };
        let messages = match client.simple_query(&sql).await {
            Ok(messages) => messages,
            Err(error) => return Answer { refusal: Some(refusal(Err::<(), _>(error))), ..Answer::default() },
        };
        let said = notices.take_all();
        // The signal may take longer than a reader takes to the next statement.
        let deadline = Instant::now() + PATIENCE;
        while before.is_some() && loaded(client).await == before {
            assert!(Instant::now() < deadline, "{statement} is not heard of");
            tokio::time::sleep(POLL).await;
        }
        let mut table = None::<Table>;
        for message in &messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let columns = columns.iter().map(|column| column.name().to_owned()).collect();
                    table = Some(Table { columns, rows: Vec::new() });
                }
                SimpleQueryMessage::Row(row) => {
                    let cells = (0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect();
                    table.get_or_insert_default().rows.push(cells);
                    self.take_values(row).await;
                }
                _ => {}
            }
        }
        Answer { table, refusal: None, notices: said }
    }

    /// Keeps what later statements take, and does what happens outside the database: in a browser, and at WorkOS for a broker.
    async fn take_values(&mut self, row: &SimpleQueryRow) {
        let column = |name: &str| row.try_get(name).ok().flatten().map(str::to_owned);
        for name in
            ["access_token", "refresh_token", "user_id", "session_id", "identity_id", "exchange_id", "organization"]
        {
            self.values.extend(column(name).map(|value| (name.to_owned(), value)));
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
            self.keep("status", answer.status.unwrap().to_string());
            self.keep("headers", answer.headers.unwrap().to_string());
            self.keep("body", answer.body.unwrap());
        }
        if let (Some(url), Some(state), Some(verifier)) = (column("url"), column("state"), column("code_verifier")) {
            let callback = browser_sign_in(&url, somebody_of(&url)).await.unwrap();
            assert_eq!(callback.state, state);
            self.keep("code", callback.code);
            self.keep("state", state);
            self.keep("verifier", verifier);
        }
    }

    fn keep(&mut self, name: &str, value: String) {
        self.values.insert(name.to_owned(), value);
    }

    /// An administrator who is no superuser, and may change the rows of the fixture's table.
    async fn make_administrator(&self) {
        let superuser = self.cluster.connect(DATABASE, SUPERUSER).await.unwrap();
        let make = format!(
            "create role {ADMINISTRATOR} login; select auth.grant_admin('{ADMINISTRATOR}');
             do $$ begin
                 if to_regclass('todos') is not null then grant select, insert, update, delete on todos to {ADMINISTRATOR}; end if;
             end $$"
        );
        superuser.batch_execute(&make).await.unwrap();
    }

    /// What stands in a page for a reader's own, as this test has it.
    fn substitute(&self, text: &str) -> String {
        let key = self.cluster.root_key_path();
        let workos = format!("redirect_uri => {}, api_url => {}", quoted(REDIRECT_URI), quoted(&self.workos.url()));
        let substitutes = [
            ("/etc/postgresql/workos_auth.key", key.display().to_string()),
            ("/etc/postgresql/workos_auth-2.key", key.with_file_name("second.key").display().to_string()),
            (
                "client_secret_file => '/etc/postgresql/workos.secret'",
                format!("client_secret => {}", quoted(CLIENT_SECRET)),
            ),
            ("redirect_uri => 'https://app.example.com/callback'", workos.clone()),
            // With the gateway, which takes the callback itself.
            ("redirect_uri => 'https://api.example.com/auth/v1/callback'", workos),
            ("client_01EXAMPLE", CLIENT_ID.to_owned()),
            ("org_01ACME", "org_acme".to_owned()),
            ("org_01GLOBEX", "org_globex".to_owned()),
            ("conn_01ACME", "conn_acme".to_owned()),
        ];
        substitutes.iter().fold(text.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

/// Who signs in where the URL does not hint at anybody.
fn somebody_of(url: &str) -> Option<&'static str> {
    let url = Url::parse(url).unwrap();
    let asks_for = |value: &str| url.query_pairs().any(|(_, of)| of == value);
    match () {
        () if asks_for("org_globex") || asks_for("conn_globex") => Some("bob@globex.com"),
        () if asks_for("org_acme") || asks_for("conn_acme") => Some("alice@acme.com"),
        () => None,
    }
}
