//! The SQL functions, and nothing else of the database. Every statement that this server sends stands here.

mod lease;
mod refusal;

use std::fmt::Display;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio_postgres::row::RowIndex;
use tokio_postgres::types::{FromSql, Json, ToSql};
use tokio_postgres::{NoTls, Row};
use uuid::Uuid;

use crate::answer::SessionAnswer;
use crate::error::{ApiError, Result};
use lease::Lease;
use refusal::ErrorCodes;

/// A session and its person, in one statement. OFFSET keeps the call a single one, and as a value it costs less than a table.
macro_rules! opened {
    ($call:literal) => {
        concat!(
            "select (s).access_token, (s).refresh_token, (s).provider_token, (s).session_id, (s).user_id, (s).expires_at,
             clock_timestamp() as now, auth.get_user(access_token => (s).access_token)::text as \"user\"
             from (select ",
            $call,
            " as s offset 0) opened"
        )
    };
}

const AUTHORIZE_URL: &str =
    "select auth.workos_authorize_url(organization => $1, connection => $2, provider => $3, redirect_to => $4,
    code_challenge => $5, code_challenge_method => $6, login_hint => $7, domain_hint => $8, params => $9)";
const HANDLE_CALLBACK: &str =
    "select auth.handle_callback(code => $1, state => $2, error => $3, error_description => $4,
    connection => $5, organization => $6, is_bound => $7)";
const EXCHANGE_CODE: &str = opened!("auth.exchange_code(code => $1, verifier => $2, ip => $3, user_agent => $4)");
const REFRESH_SESSION: &str = opened!("auth.refresh_session(refresh_token => $1, ip => $2, user_agent => $3)");
const GET_USER: &str = "select auth.get_user(access_token => $1)::text";
const UPDATE_USER: &str = "select auth.update_user(access_token => $1, user_metadata => $2)::text";
const LINK_IDENTITY: &str =
    "select url from auth.link_identity(organization => $1, connection => $2, provider => $3, redirect_to => $4,
    code_challenge => $5, code_challenge_method => $6, login_hint => $7, domain_hint => $8, params => $9,
    access_token => $10)";
const UNLINK_IDENTITY: &str = "select auth.unlink_identity(access_token => $1, identity_id => $2) is not null";
const SIGN_OUT: &str = "select auth.sign_out(access_token => $1, scope => $2)";
const JWKS: &str = "select auth.jwks()";
// In this order: the readers load the library, which then knows its settings.
const SETTINGS: &str = "select auth.jwks(), current_setting('workos_auth.issuer', true), current_setting('workos_auth.allow_signup', true)";
/// Whether this role may do what it has to, and is one that row-level security binds, where one can write.
const READY: &str = "select
    bool_and(has_function_privilege(f, 'execute')) as may,
    (select rolsuper or rolbypassrls from pg_catalog.pg_roles where rolname = current_user) as unbound,
    current_setting('transaction_read_only') = 'on' as reads_only
    from unnest(array['auth.workos_authorize_url(text, text, text, text, text, text, text, text, jsonb)',
        'auth.exchange_code(text, text, text, inet, text)', 'auth.refresh_session(text, inet, text)', 'auth.require_ready()']) f";

/// Whether WorkOS is configured and the root key is there, whatever the connection has opened before.
const REQUIRE_READY: &str = "select auth.require_ready()";

/// Whatever the database's default is: the functions look after their locks themselves, and nothing is to be repeated.
const READ_COMMITTED: &str = "set default_transaction_isolation = 'read committed'";

/// A role and a database, and the connections to it.
#[derive(Debug)]
pub struct Database {
    pool: Pool,
    codes: ErrorCodes,
}

/// What `/authorize` asks for.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the arguments of auth.workos_authorize_url")]
pub struct Authorize<'a> {
    pub organization: Option<&'a str>,
    pub connection: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub redirect_to: Option<&'a str>,
    pub code_challenge: Option<&'a str>,
    pub code_challenge_method: Option<&'a str>,
    pub login_hint: Option<&'a str>,
    pub domain_hint: Option<&'a str>,
    pub params: Map<String, Value>,
}

impl Authorize<'_> {
    fn params(&self) -> Option<Json<&Map<String, Value>>> {
        (!self.params.is_empty()).then(|| Json(&self.params))
    }

    fn arguments<'a>(&'a self, params: &'a Option<Json<&'a Map<String, Value>>>) -> [&'a (dyn ToSql + Sync); 9] {
        [
            &self.organization,
            &self.connection,
            &self.provider,
            &self.redirect_to,
            &self.code_challenge,
            &self.code_challenge_method,
            &self.login_hint,
            &self.domain_hint,
            params,
        ]
    }
}

/// The query of WorkOS's redirect, and whether this browser began the sign-in.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the arguments of auth.handle_callback")]
pub struct CallbackQuery<'a> {
    pub code: Option<&'a str>,
    pub state: Option<&'a str>,
    pub error: Option<&'a str>,
    pub error_description: Option<&'a str>,
    pub connection: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub is_bound: bool,
}

impl CallbackQuery<'_> {
    fn arguments(&self) -> [&(dyn ToSql + Sync); 7] {
        [
            &self.code,
            &self.state,
            &self.error,
            &self.error_description,
            &self.connection,
            &self.organization,
            &self.is_bound,
        ]
    }
}

/// From where a session is opened or refreshed.
#[derive(Debug)]
pub struct RequestClient<'a> {
    /// The browser's address.
    pub ip: IpAddr,
    /// What it calls itself.
    pub user_agent: Option<&'a str>,
}

/// A session that was opened or refreshed.
#[derive(Debug)]
pub struct Opened {
    /// As clients see it.
    pub answer: SessionAnswer,
    /// Which.
    pub session_id: Uuid,
    /// Whose.
    pub user_id: Uuid,
}

/// What the database says about itself.
#[derive(Debug)]
pub struct Settings {
    /// `auth.jwks()`
    pub jwks: Value,
    /// `workos_auth.issuer`, unless it is empty
    pub issuer: Option<String>,
    /// `workos_auth.allow_signup`
    pub allows_signup: bool,
}

impl Database {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The pool cannot be made.
    pub fn new(config: tokio_postgres::Config, size: u16, timeout: Duration) -> std::result::Result<Self, String> {
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let timeouts = Timeouts { wait: Some(timeout), create: Some(timeout), recycle: Some(timeout) };
        let pool = Pool::builder(manager)
            .max_size(size.into())
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            // The connection whose backend has its caches warm, rather than one that has been idle for long.
            .queue_mode(QueueMode::Lifo)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(READ_COMMITTED).await.map_err(HookError::Backend) })
            }))
            .build();
        Ok(Self { pool: pool.map_err(|error| error.to_string())?, codes: ErrorCodes::default() })
    }

    /// `auth.workos_authorize_url`
    ///
    /// # Errors
    /// What the database said.
    pub async fn authorize_url(&self, to: &Authorize<'_>) -> Result<String> {
        let params = to.params();
        let row = self.call(AUTHORIZE_URL, &to.arguments(&params)).await?;
        get(&row, 0)
    }

    /// `auth.handle_callback`
    ///
    /// # Errors
    /// What the database said.
    pub async fn handle_callback(&self, callback: &CallbackQuery<'_>) -> Result<String> {
        let row = self.call(HANDLE_CALLBACK, &callback.arguments()).await?;
        get(&row, 0)
    }

    /// `auth.exchange_code`
    ///
    /// # Errors
    /// What the database said.
    pub async fn exchange_code(&self, code: &str, verifier: &str, client: &RequestClient<'_>) -> Result<Opened> {
        self.open(EXCHANGE_CODE, &[&code, &verifier, &client.ip, &client.user_agent]).await
    }

    /// `auth.refresh_session`
    ///
    /// # Errors
    /// What the database said.
    pub async fn refresh_session(&self, refresh_token: &str, client: &RequestClient<'_>) -> Result<Opened> {
        self.open(REFRESH_SESSION, &[&refresh_token, &client.ip, &client.user_agent]).await
    }

    /// `auth.get_user` of the token's person, as JSON.
    ///
    /// # Errors
    /// What the database said.
    pub async fn get_user(&self, access_token: &str) -> Result<Box<RawValue>> {
        let row = self.call(GET_USER, &[&access_token]).await?;
        raw(get(&row, 0)?)
    }

    /// `auth.update_user`
    ///
    /// # Errors
    /// What the database said.
    pub async fn update_user(&self, access_token: &str, user_metadata: &Map<String, Value>) -> Result<Box<RawValue>> {
        let row = self.call(UPDATE_USER, &[&access_token, &Json(user_metadata)]).await?;
        raw(get(&row, 0)?)
    }

    /// `auth.link_identity`: the URL to send the browser to.
    ///
    /// # Errors
    /// What the database said.
    pub async fn link_identity(&self, access_token: &str, to: &Authorize<'_>) -> Result<String> {
        let params = to.params();
        let mut arguments = to.arguments(&params).to_vec();
        arguments.push(&access_token);
        let row = self.call(LINK_IDENTITY, &arguments).await?;
        get(&row, 0)
    }

    /// `auth.unlink_identity`
    ///
    /// # Errors
    /// What the database said.
    pub async fn unlink_identity(&self, access_token: &str, identity_id: Uuid) -> Result<()> {
        self.call(UNLINK_IDENTITY, &[&access_token, &identity_id]).await.map(drop)
    }

    /// `auth.sign_out`
    ///
    /// # Errors
    /// What the database said.
    pub async fn sign_out(&self, access_token: &str, scope: &str) -> Result<()> {
        self.call(SIGN_OUT, &[&access_token, &scope]).await.map(drop)
    }

    /// `auth.jwks`
    ///
    /// # Errors
    /// What the database said.
    pub async fn jwks(&self) -> Result<Value> {
        let row = self.call(JWKS, &[]).await?;
        get(&row, 0)
    }

    /// What the database says about itself.
    ///
    /// # Errors
    /// What the database said.
    pub async fn settings(&self) -> Result<Settings> {
        let row = self.call(SETTINGS, &[]).await?;
        let issuer: Option<String> = get(&row, 1)?;
        let allow_signup: Option<String> = get(&row, 2)?;
        Ok(Settings {
            jwks: get(&row, 0)?,
            issuer: issuer.filter(|issuer| !issuer.is_empty()),
            allows_signup: allow_signup.as_deref() == Some("on"),
        })
    }

    /// Whether sign-ins can be served.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_ready(&self) -> Result<()> {
        let row = self.call(READY, &[]).await?;
        match (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?) {
            (true, false, false) => self.call(REQUIRE_READY, &[]).await.map(drop),
            (_, _, true) => Err(ApiError::unavailable("The database is read-only: sign-ins need the primary.")),
            (false, _, _) => Err(ApiError::unavailable("The role lacks the rights that auth.grant_sign_in gives.")),
            (true, true, _) => {
                Err(ApiError::unavailable("Row-level security does not bind the role: use an ordinary one."))
            }
        }
    }

    /// How many connections there are, and how many of them are in use.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.size.saturating_sub(status.available))
    }

    /// Opens or refreshes a session, and reads its person.
    async fn open(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Opened> {
        let row = self.call(sql, parameters).await?;
        let (expires_at, now): (SystemTime, SystemTime) = (get(&row, "expires_at")?, get(&row, "now")?);
        Ok(Opened {
            session_id: get(&row, "session_id")?,
            user_id: get(&row, "user_id")?,
            answer: SessionAnswer {
                access_token: get(&row, "access_token")?,
                token_type: "bearer",
                expires_in: expires_at.duration_since(now).map_or(0, rounded),
                expires_at: expires_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
                refresh_token: get(&row, "refresh_token")?,
                user: raw(get(&row, "user")?)?,
                provider_token: get(&row, "provider_token")?,
            },
        })
    }

    /// Runs a statement, which is a transaction of its own.
    async fn call(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let lease = self.lease().await?;
        let answer = lease.query_one(sql, parameters).await;
        self.finish(lease, answer).await
    }

    async fn lease(&self) -> Result<Lease> {
        match self.pool.get().await {
            Ok(object) => Ok(Lease::new(object)),
            Err(error) => Err(refusal::of_pool(&error)),
        }
    }

    /// Gives the connection back, and says what the database said.
    async fn finish(&self, lease: Lease, answer: std::result::Result<Row, tokio_postgres::Error>) -> Result<Row> {
        let error = match answer {
            Ok(answer) => {
                lease.give_back();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let refused = self.codes.explain(&lease, &error).await;
        // After a failure that nobody foresaw, a fresh connection is the surer one.
        if refused.is_listed {
            lease.give_back();
        }
        Err(refused.error)
    }
}

/// Whole seconds, the nearest.
fn rounded(duration: Duration) -> u64 {
    duration.saturating_add(Duration::from_millis(500)).as_secs()
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: impl RowIndex + Display) -> Result<T> {
    row.try_get(column).map_err(unreadable)
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|_| ApiError::unexpected("The database's JSON is none."))
}

/// The driver's words name a column and types, no value.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: tokio_postgres::Error) -> ApiError {
    ApiError::unexpected(format!("An answer of the database is not what it should be: {error}"))
}
