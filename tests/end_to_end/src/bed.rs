//! A fresh database with the extension in it, and people who sign in there.

use std::panic::Location;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use tokio_postgres::{Client, GenericClient, Row};
use uuid::Uuid;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::workos::{CLIENT_ID, REDIRECT_URI};
use workos_testbed::{Callback, Cluster, Workos, browser_sign_in};

/// Somebody of the simulator's built-in seed: how the sign-in is started, and who signs in then.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    /// The selector, as arguments of `auth.start_sign_in`.
    pub selector: &'static str,
    /// The e-mail address.
    pub email: &'static str,
}

/// Admin of org_acme, in the groups engineering and admins.
pub const ALICE: Person = Person { selector: "organization => 'org_acme'", email: "alice@acme.com" };
/// Member of org_acme, in the group engineering.
pub const ANNA: Person = Person { selector: "organization => 'org_acme'", email: "anna@acme.com" };
/// Admin of org_globex, in the group operations.
pub const BOB: Person = Person { selector: "organization => 'org_globex'", email: "bob@globex.com" };
/// Of no organization.
pub const GINA: Person = Person { selector: "provider => 'GoogleOAuth'", email: "gina@gmail.com" };

/// A longer name is cut by Postgres (NAMEDATALEN), and then two may be one.
const LONGEST_NAME: usize = 63;

/// A database of its own on a cluster, set up for a WorkOS stand-in of its own.
pub struct Bed<'a> {
    /// Where it is.
    pub cluster: &'a Cluster,
    /// The WorkOS stand-in.
    pub workos: Workos,
    /// The database's name.
    pub database: String,
    /// A superuser's connection.
    pub admin: Client,
}

impl Bed<'static> {
    /// A database of the cluster that all tests of this program share. Its name begins with the name of the caller's file, so a test gives
    /// a name that no other test of the same file gives.
    #[track_caller]
    pub fn shared(name: &str) -> impl Future<Output = Self> + use<> {
        let database = database_of(Location::caller(), name);
        async move { Self::new(Cluster::shared().unwrap(), &database).await }
    }
}

fn database_of(caller: &Location<'_>, name: &str) -> String {
    let file = Path::new(caller.file()).file_stem().unwrap().to_string_lossy();
    format!("{file}_{name}")
}

impl<'a> Bed<'a> {
    /// Makes the database and sets the extension up in it.
    pub async fn new(cluster: &'a Cluster, database: &str) -> Self {
        Self::of_version(cluster, database, None).await
    }

    /// The same with the SQL of a release.
    pub async fn of_version(cluster: &'a Cluster, database: &str, version: Option<&str>) -> Self {
        assert!(database.len() <= LONGEST_NAME, "{database} is too long for a name");
        // A cluster that is a static is never dropped, which would look at them.
        cluster.assertions().unwrap();
        let workos = Workos::start().unwrap();
        cluster.create_database_with_extension(database, version).await.unwrap();
        let admin = cluster.connect(database, SUPERUSER).await.unwrap();
        let admin = workos.configure(cluster, admin).await.unwrap();
        Self { cluster, workos, database: database.to_owned(), admin }
    }

    /// SQL in which DATABASE stands for this database's name.
    pub fn named(&self, sql: &str) -> String {
        sql.replace("DATABASE", &self.database)
    }

    /// What the server has logged for this database so far, and what it logged for none.
    pub fn log(&self) -> String {
        self.cluster.log_of(&self.database).unwrap()
    }

    /// Another connection of the superuser's.
    pub async fn superuser(&self) -> Client {
        self.connect(SUPERUSER).await
    }

    /// A connection of a role's.
    pub async fn connect(&self, role: &str) -> Client {
        self.cluster.connect(&self.database, role).await.unwrap()
    }

    /// Makes a role that may log in, of a name that no other database of the cluster uses, and returns the name.
    pub async fn role(&self, name: &str, attributes: &str) -> String {
        let name = format!("{}_{name}", self.database);
        assert!(name.len() <= LONGEST_NAME, "{name} is too long for a name");
        self.admin.batch_execute(&format!("create role {name} login {attributes}")).await.unwrap();
        name
    }

    /// Signs somebody in over the superuser's connection.
    pub async fn sign_in(&self, person: Person) -> Session {
        sign_in(&self.admin, person).await
    }
}

/// A sign-in whose callback has come back, ready for `auth.exchange_code`.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The authorize URL.
    pub url: String,
    /// The code that WorkOS gave.
    pub code: String,
    /// The verifier that the backend kept.
    pub verifier: String,
    /// The state that the backend kept.
    pub state: String,
}

/// Starts a sign-in and plays the browser.
pub async fn start(client: &impl GenericClient, person: Person) -> Pending {
    start_with(client, person.selector, person.email).await
}

/// The same for anybody: `arguments` are those of `auth.start_sign_in`, as SQL.
pub async fn start_with(client: &impl GenericClient, arguments: &str, email: &str) -> Pending {
    finish(client, &format!("auth.start_sign_in({arguments})"), Some(email)).await
}

/// The same of whatever begins a sign-in; without an address, as the one that its URL suggests.
pub async fn finish(client: &impl GenericClient, call: &str, email: Option<&str>) -> Pending {
    let row = client.query_one(&format!("select url, state, code_verifier from {call}"), &[]).await.unwrap();
    let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let Callback { code, state: returned } = browser_sign_in(&url, email).await.unwrap();
    assert_eq!(returned, state);
    Pending { url, code, verifier, state }
}

/// The row that a sign-in returns.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the columns of auth.session")]
pub struct Session {
    pub access_token: String,
    pub refresh_token: String,
    pub expires_at: SystemTime,
    pub session_id: Uuid,
    pub user_id: Uuid,
    pub email: String,
    pub organization_id: Option<String>,
    pub is_new_user: bool,
    pub redirect_to: Option<String>,
    pub provider_token: Option<String>,
    pub claims: Value,
}

impl From<&Row> for Session {
    fn from(row: &Row) -> Self {
        Self {
            access_token: row.get("access_token"),
            refresh_token: row.get("refresh_token"),
            expires_at: row.get("expires_at"),
            session_id: row.get("session_id"),
            user_id: row.get("user_id"),
            email: row.get("email"),
            organization_id: row.get("organization_id"),
            is_new_user: row.get("is_new_user"),
            redirect_to: row.get("redirect_to"),
            provider_token: row.get("provider_token"),
            claims: row.get("claims"),
        }
    }
}

/// Exchanges the code.
///
/// # Errors
/// What the server said.
pub async fn exchange(client: &impl GenericClient, pending: &Pending) -> Result<Session, tokio_postgres::Error> {
    let sql = "select * from auth.exchange_code($1, $2, $3)";
    client.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.map(|row| Session::from(&row))
}

/// The whole flow.
pub async fn sign_in(client: &impl GenericClient, person: Person) -> Session {
    exchange(client, &start(client, person).await).await.unwrap()
}

/// Refreshes a session.
///
/// # Errors
/// What the server said.
pub async fn refresh(client: &impl GenericClient, refresh_token: &str) -> Result<Session, tokio_postgres::Error> {
    let sql = "select * from auth.refresh_session($1)";
    client.query_one(sql, &[&refresh_token]).await.map(|row| Session::from(&row))
}

/// `auth.get_user` of a token's person.
///
/// # Errors
/// It is refused.
pub async fn get_user_of(client: &Client, access_token: &str) -> Result<Value, tokio_postgres::Error> {
    client.query_one("select auth.get_user($1)", &[&access_token]).await.map(|row| row.get(0))
}

/// Puts a session on the connection: for the transaction, or for good.
///
/// # Errors
/// What the server said.
pub async fn set_session(
    client: &impl GenericClient,
    token: &str,
    is_local: bool,
) -> Result<(), tokio_postgres::Error> {
    client.query_one("select auth.set_session($1, $2)", &[&token, &is_local]).await.map(drop)
}

/// A connection of an ordinary role's that has a session for good.
pub async fn reader(bed: &Bed<'_>, role: &str, session: &Session) -> Client {
    let reader = bed.connect(role).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    reader
}

/// The connection's session is this one, and good.
pub async fn is_good(client: &Client, session: &Session) {
    let row = client.query_typed_one("select auth.uid(), auth.session_id()", &[]).await;
    let row = row.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((row.get(0), row.get(1)), (Some(session.user_id), Some(session.session_id)));
}

/// A call of `auth.configure_workos` for the simulator's client, with these further arguments, each after a comma.
pub fn configure_workos(further: &str) -> String {
    format!("select auth.configure_workos(client_id => '{CLIENT_ID}', redirect_uri => '{REDIRECT_URI}'{further})")
}

/// The same of `auth.configure_authkit`.
pub fn configure_authkit(further: &str) -> String {
    format!("select auth.configure_authkit(client_id => '{CLIENT_ID}', redirect_uri => '{REDIRECT_URI}'{further})")
}
