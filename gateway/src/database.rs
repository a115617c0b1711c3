//! The SQL functions, and nothing else of the database.

mod arguments;
mod carried;
mod connector;
mod endpoint;
mod lease;
mod refusal;
mod rows;
mod share;
mod statements;
mod tls;

use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{Pool, QueueMode, Timeouts};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, OwnedSemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use crate::error::{ApiError, Result};
use crate::servers::Servers;
use crate::waits::DatabaseWaits;
use crate::workos::{WorkosAnswer, WorkosRequest};
pub use arguments::{Authorize, CallbackQuery, RequestClient};
pub use carried::CallbackStep;
use carried::{answer_arguments, workos_request};
use connector::Connector;
use lease::{Lease, Parameter};
use refusal::{ErrorCodes, Said};
pub use rows::Opened;
use rows::{get, opened, raw};
use share::Share;
use statements::{
    ACCEPT_TOKEN, AUTHORIZE_URL, CALLBACK_ANSWER, CALLBACK_REQUEST, EXCHANGE_ANSWER, EXCHANGE_CODE, EXCHANGE_REQUEST,
    GET_USER, HANDLE_CALLBACK, JWKS, LINK_IDENTITY, MAY_BROKER, ORGANIZATION_FOR_DOMAIN, READY, RECEIVE_WEBHOOK,
    REFRESH_SESSION, REQUIRE_READY, SETTINGS, SIGN_OUT, UNLINK_IDENTITY, UPDATE_USER, VERSIONS,
};

/// How long the process waits at its end for servers that were asked to cancel.
const CANCELLED_WITHIN: Duration = Duration::from_secs(5);

/// What the codes begin with that `auth.handle_callback` gives; WorkOS's do not.
const OWN_CODE: &str = "wac_";

/// Whether it is a code that `auth.handle_callback` gives.
pub fn is_own_code(code: &str) -> bool {
    code.starts_with(OWN_CODE)
}

/// How many connections there may be.
#[derive(Debug)]
pub struct PoolSize {
    /// In all
    pub all: u16,
    /// Of these, for calls that may wait for WorkOS
    pub sign_ins: u16,
    /// How long a request waits for one
    pub timeout: Duration,
}

/// How the connections stand.
#[derive(Debug)]
pub struct Figures {
    /// How many there are.
    pub connections: usize,
    /// How many of them a request has.
    pub used: usize,
    /// How many requests wait for one.
    pub waiting: usize,
    /// Those that may wait for WorkOS.
    pub sign_ins: share::Figures,
}

/// A role and a database, and the connections to it.
pub struct Database {
    pool: Pool<Connector>,
    /// For calls that may wait for WorkOS.
    sign_ins: Share,
    /// Held by the one who asks whether sign-ins can be served.
    readiness: Mutex<()>,
    /// How long a request waits for any of these.
    within: Duration,
    codes: ErrorCodes,
    waits: DatabaseWaits,
    /// Whether people of trusted issuers are made known here.
    accepts_tokens: bool,
}

/// Where a callback ends, and how long WorkOS took, with what the database did meanwhile.
#[derive(Debug)]
pub struct Landed {
    /// Where the browser goes.
    pub url: String,
    /// For the one statement, or for the request.
    pub took: Duration,
}

/// What is installed: the library on the server, which a package brings, and the SQL in the database, which ALTER EXTENSION updates.
#[derive(Debug)]
pub struct Versions {
    /// of the library
    pub library: String,
    /// of the SQL
    pub sql: String,
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
    /// A certificate cannot be used.
    pub fn new(
        servers: Servers,
        size: &PoolSize,
        waits: DatabaseWaits,
        accepts_tokens: bool,
    ) -> std::result::Result<Self, String> {
        let timeout = size.timeout;
        let connector = Connector::new(servers, timeout).map_err(|error| error.to_string())?;
        let pool = Pool::builder(connector)
            .max_size(size.all.into())
            .runtime(Runtime::Tokio1)
            // A connector looks after its own time.
            .timeouts(Timeouts { wait: Some(timeout), create: None, recycle: None })
            // The connection whose backend has its caches warm, rather than one that has been idle for long.
            .queue_mode(QueueMode::Lifo)
            .build();
        Ok(Self {
            pool: pool.map_err(|error| error.to_string())?,
            sign_ins: Share::new(size.sign_ins.into(), timeout, waits.sign_in.clone()),
            readiness: Mutex::new(()),
            within: timeout,
            codes: ErrorCodes::default(),
            waits,
            accepts_tokens,
        })
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

    /// `auth.organization_for_email`
    ///
    /// # Errors
    /// What the database said.
    pub async fn organization_for_domain(&self, domain: &str) -> Result<Option<String>> {
        get(&self.call(ORGANIZATION_FOR_DOMAIN, &[(&domain, Type::TEXT)]).await?, 0)
    }

    /// `auth.handle_callback`
    ///
    /// # Errors
    /// What the database said.
    pub async fn handle_callback(&self, callback: &CallbackQuery<'_>) -> Result<Landed> {
        let (row, took) = self.call_within(Some(&self.sign_ins), HANDLE_CALLBACK, &callback.arguments()).await?;
        Ok(Landed { url: get(&row, 0)?, took })
    }

    /// `auth.try_exchange_code`
    ///
    /// # Errors
    /// What the database said.
    pub async fn exchange_code(&self, code: &str, verifier: &str, client: &RequestClient<'_>) -> Result<Opened> {
        // The code that `/callback` gave is the database's own. Any other is for WorkOS to look at.
        let share = (!is_own_code(code)).then(|| &self.sign_ins);
        let code: Parameter<'_> = (&code, Type::TEXT);
        let arguments = [code, (&verifier, Type::TEXT), client.ip(), client.user_agent()];
        let (row, _) = self.call_within(share, EXCHANGE_CODE, &arguments).await?;
        self.exchanged(&row).await
    }

    async fn exchanged(&self, row: &Row) -> Result<Opened> {
        let flow_id = get(row, "flow_id")?;
        match get::<Option<&str>>(row, "error_sqlstate")? {
            None => Ok(Opened { flow_id, ..opened(row)? }),
            Some(sqlstate) => {
                let said = Said { sqlstate, message: "refused", detail: get(row, "error_detail")? };
                Err(self.refused(said).await?.of_flow(flow_id))
            }
        }
    }

    async fn refused(&self, said: Said<'_>) -> Result<ApiError> {
        let lease = self.lease(None).await?;
        let refused = self.codes.explain_said(&lease, said).await;
        lease.give_back();
        Ok(refused.error)
    }

    /// `auth.exchange_request`
    ///
    /// # Errors
    /// What the database said.
    pub async fn exchange_request(&self, code: &str, verifier: &str) -> Result<WorkosRequest> {
        workos_request(&self.call(EXCHANGE_REQUEST, &[(&code, Type::TEXT), (&verifier, Type::TEXT)]).await?)
    }

    /// `auth.try_exchange_answer`
    ///
    /// # Errors
    /// What the database said.
    pub async fn exchange_answer(
        &self,
        request: &WorkosRequest,
        answer: &WorkosAnswer,
        client: &RequestClient<'_>,
    ) -> Result<Opened> {
        let headers = Json(&answer.headers);
        let [id, status, headers, body, failure] = answer_arguments(request, answer, &headers);
        let arguments = [id, status, headers, body, failure, client.ip(), client.user_agent()];
        let row = self.call(EXCHANGE_ANSWER, &arguments).await?;
        self.exchanged(&row).await
    }

    /// `auth.callback_request`
    ///
    /// # Errors
    /// What the database said.
    pub async fn callback_request(&self, callback: &CallbackQuery<'_>) -> Result<CallbackStep> {
        let row = self.call(CALLBACK_REQUEST, &callback.arguments()).await?;
        match get(&row, "redirect_to")? {
            Some(url) => Ok(CallbackStep::Redirect(url)),
            None => workos_request(&row).map(CallbackStep::Ask),
        }
    }

    /// `auth.callback_answer`
    ///
    /// # Errors
    /// What the database said.
    pub async fn callback_answer(&self, request: &WorkosRequest, answer: &WorkosAnswer) -> Result<String> {
        let headers = Json(&answer.headers);
        get(&self.call(CALLBACK_ANSWER, &answer_arguments(request, answer, &headers)).await?, 0)
    }

    /// `auth.refresh_session`
    ///
    /// # Errors
    /// What the database said.
    pub async fn refresh_session(&self, refresh_token: &str, client: &RequestClient<'_>) -> Result<Opened> {
        let arguments = [(&refresh_token as _, Type::TEXT), client.ip(), client.user_agent()];
        opened(&self.call(REFRESH_SESSION, &arguments).await?)
    }

    /// `auth.get_user` of the token's person, as JSON.
    ///
    /// # Errors
    /// What the database said.
    pub async fn get_user(&self, access_token: &str) -> Result<Box<RawValue>> {
        let row = self.call_as(access_token, GET_USER, &[(&access_token, Type::TEXT)]).await?;
        raw(get(&row, 0)?)
    }

    /// `auth.update_user`
    ///
    /// # Errors
    /// What the database said.
    pub async fn update_user(&self, access_token: &str, user_metadata: &Map<String, Value>) -> Result<Box<RawValue>> {
        let data = Json(user_metadata);
        let row = self.call_as(access_token, UPDATE_USER, &[(&access_token, Type::TEXT), (&data, Type::JSONB)]).await?;
        raw(get(&row, 0)?)
    }

    /// `auth.link_identity`: the URL to send the browser to.
    ///
    /// # Errors
    /// What the database said.
    pub async fn link_identity(&self, access_token: &str, to: &Authorize<'_>) -> Result<String> {
        let params = to.params();
        let mut arguments = to.arguments(&params).to_vec();
        arguments.push((&access_token, Type::TEXT));
        let row = self.call(LINK_IDENTITY, &arguments).await?;
        get(&row, 0)
    }

    /// `auth.unlink_identity`
    ///
    /// # Errors
    /// What the database said.
    pub async fn unlink_identity(&self, access_token: &str, identity_id: Uuid) -> Result<()> {
        let arguments: [Parameter<'_>; 2] = [(&access_token, Type::TEXT), (&identity_id, Type::UUID)];
        self.call(UNLINK_IDENTITY, &arguments).await.map(drop)
    }

    /// `auth.sign_out`
    ///
    /// # Errors
    /// What the database said.
    pub async fn sign_out(&self, access_token: &str, scope: &str) -> Result<()> {
        self.call(SIGN_OUT, &[(&access_token, Type::TEXT), (&scope, Type::TEXT)]).await.map(drop)
    }

    /// `auth.receive_webhook`: what became of it.
    ///
    /// # Errors
    /// What the database said.
    pub async fn receive_webhook(&self, body: &str, signature: &str) -> Result<String> {
        get(&self.call(RECEIVE_WEBHOOK, &[(&body, Type::TEXT), (&signature, Type::TEXT)]).await?, 0)
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

    /// Whether sign-ins can be served. It may take as long as the program that prints the root key, and anybody may ask: one at a time does.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_ready(&self) -> Result<()> {
        let asking = timeout(self.within, self.readiness.lock()).await;
        let _asking =
            asking.map_err(|_| ApiError::unavailable("The database has not said yet whether it is ready."))?;
        let row = self.call(READY, &[]).await?;
        match (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?) {
            (true, false, false) => self.call(REQUIRE_READY, &[]).await.map(drop),
            (_, _, true) => {
                Err(ApiError::unready("read_only", "The database is read-only: sign-ins need the primary."))
            }
            (false, _, _) => Err(ApiError::unready(
                "insufficient_privilege",
                "The role lacks the rights that auth.grant_sign_in gives.",
            )),
            (true, true, _) => Err(ApiError::unready(
                "role_bypasses_rls",
                "Row-level security does not bind the role: use an ordinary one.",
            )),
        }
    }

    /// The versions of the extension.
    ///
    /// # Errors
    /// What the database said.
    pub async fn versions(&self) -> Result<Versions> {
        let row = self.call(VERSIONS, &[]).await?;
        Ok(Versions { library: get(&row, 0)?, sql: get(&row, 1)? })
    }

    /// Whether this server may ask WorkOS in the database's place.
    ///
    /// # Errors
    /// Why not.
    pub async fn may_broker(&self) -> Result<()> {
        match get(&self.call(MAY_BROKER, &[]).await?, 0)? {
            true => Ok(()),
            false => Err(ApiError::unready(
                "insufficient_privilege",
                "The role lacks the rights that auth.grant_broker gives, which --workos-by gateway needs.",
            )),
        }
    }

    /// Waits until the servers have heard of what nobody waits for any more, and have hung up; for the end of the process, when no
    /// request is under way. A server that does not answer is left after [`CANCELLED_WITHIN`].
    pub async fn all_cancelled(&self) {
        let cancellations = &self.pool.manager().cancellations;
        cancellations.close();
        if timeout(CANCELLED_WITHIN, cancellations.wait()).await.is_err() {
            tracing::warn!("the database did not answer the requests to cancel what was under way");
        }
    }

    /// How the connections stand.
    pub fn figures(&self) -> Figures {
        let status = self.pool.status();
        Figures {
            connections: status.size,
            used: status.size.saturating_sub(status.available),
            waiting: status.waiting,
            sign_ins: self.sign_ins.figures(),
        }
    }

    /// Runs a statement for the person of a token, who is made known first where need be and `--accept-tokens` says so.
    async fn call_as(&self, access_token: &str, sql: &str, parameters: &[Parameter<'_>]) -> Result<Row> {
        match self.call(sql, parameters).await {
            Err(error) if self.accepts_tokens && error.code == "person_not_accepted" => {
                self.call(ACCEPT_TOKEN, &[(&access_token, Type::TEXT)]).await?;
                self.call(sql, parameters).await
            }
            answer => answer,
        }
    }

    /// Runs a statement that does not wait for WorkOS.
    async fn call(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Row> {
        self.call_within(None, sql, parameters).await.map(|(row, _)| row)
    }

    /// Runs a statement, which is a transaction of its own, with no more connections than the share has; and says how long it took.
    async fn call_within(
        &self,
        share: Option<&Share>,
        sql: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<(Row, Duration)> {
        let permit = match share {
            Some(share) => Some(share.enter().await?),
            None => None,
        };
        let mut lease = self.lease(permit).await?;
        let began = Instant::now();
        let mut answer = lease.query_one(sql, parameters).await;
        if self.pool.manager().wants_writable() && is_read_only(&answer) {
            // It was writable, and another server may be now. This one has done nothing.
            let permit = lease.close();
            self.pool.manager().leave();
            lease = self.lease(permit).await?;
            answer = lease.query_one(sql, parameters).await;
        }
        let took = began.elapsed();
        Ok((self.finish(lease, answer).await?, took))
    }

    async fn lease(&self, permit: Option<OwnedSemaphorePermit>) -> Result<Lease> {
        let began = Instant::now();
        let found = self.pool.get().await;
        self.waits.connection.ended(began, found.as_ref().is_err_and(refusal::is_timeout));
        match found {
            Ok(object) => Ok(Lease::new(object, permit)),
            Err(error) => Err(refusal::of_pool(error)),
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
        if refusal::is_end_of_server(&error) {
            self.pool.manager().leave();
        }
        let refused = self.codes.explain(&lease, &error).await;
        // After a failure that nobody foresaw, a fresh connection is the surer one. What failed has ended: there is nothing to cancel.
        match refused.is_listed {
            true => lease.give_back(),
            false => drop(lease.close()),
        }
        Err(refused.error)
    }
}

fn is_read_only(answer: &std::result::Result<Row, tokio_postgres::Error>) -> bool {
    answer.as_ref().err().and_then(tokio_postgres::Error::code) == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}
