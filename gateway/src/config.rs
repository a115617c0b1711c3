//! How a gateway is started: flags, each with an environment variable of the same meaning.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderValue;
use clap::{Parser, ValueEnum};
use ipnet::IpNet;
use url::{Host, Url};

use crate::database::PoolSize;
use crate::servers::{Environment, Flags, Servers, ServersError};

const AFTER_HELP: &str = "\
The database role needs the sign-in rights and nothing more:
  create role gateway login; select auth.grant_sign_in('gateway');
and with --workos-by gateway those to vouch for whom WorkOS names, and to see WorkOS's API key:
  select auth.grant_broker('gateway');
In that database, workos_auth.site_url is where browsers go with errors that belong to no sign-in. auth.redirect_urls
lists where they may go otherwise. workos_auth.issuer should be the --public-url. At WorkOS, the redirect URI is the
--public-url and /callback.

TLS to the database is libpq's. In --database-url stand sslmode (disable, prefer, require, verify-ca or verify-full),
sslrootcert (PATH or system), sslcert, sslkey, channel_binding and sslnegotiation; or set PGSSLMODE and so on. Of several
hosts, the first is asked that is what target_session_attrs says; signing in needs read-write. PgBouncer may stand between, in any pool_mode.

A gateway keeps nothing: any number of them may run beside each other, each counting its own rate limits.";

/// Serves Supabase's /auth/v1 from a database that has the extension workos_auth.
#[derive(Debug, Clone, Parser)]
#[command(name = "workos-auth-gateway", version, about, after_help = AFTER_HELP)]
pub struct Config {
    /// The address to listen on
    #[arg(long, env = "GATEWAY_LISTEN", default_value = "127.0.0.1:9999", value_name = "IP:PORT")]
    pub listen: SocketAddr,

    /// A second address, for /health, /ready and /metrics; not for the public. Without it there are no metrics
    #[arg(long, env = "GATEWAY_ADMIN_LISTEN", value_name = "IP:PORT")]
    pub admin_listen: Option<SocketAddr>,

    /// A PEM file: the certificate of --listen, then those between it and the root. SIGHUP reads it again
    #[arg(long, env = "GATEWAY_TLS_CERTIFICATE", value_name = "PATH", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,

    /// A PEM file with the key of the certificate. Without the two, --listen speaks plain HTTP
    #[arg(long, env = "GATEWAY_TLS_KEY", value_name = "PATH", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,

    /// The URL that clients use, with its path. Never taken from a request
    #[arg(long, env = "GATEWAY_PUBLIC_URL", default_value = "http://localhost:9999/auth/v1", value_name = "URL", value_parser = public_url)]
    pub public_url: Url,

    /// postgres://USER@HOST:PORT/DATABASE, or libpq's keywords; several hosts are separated by commas. What it leaves out, libpq's
    /// variables say (PGHOST, PGUSER, …). A password fits better into a file
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,

    /// A file that holds the database password and nothing else; without it, libpq's ~/.pgpass is looked at
    #[arg(long, env = "DATABASE_PASSWORD_FILE", value_name = "PATH")]
    pub database_password_file: Option<PathBuf>,

    /// The most database connections at a time
    #[arg(long, env = "GATEWAY_POOL_SIZE", default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub pool_size: u16,

    /// Of these, how many may wait for WorkOS at a time, which sign-ins do; the rest is for what does not, refreshes above
    /// all. Half of --pool-size where nothing is said
    #[arg(long, env = "GATEWAY_SIGN_IN_CONNECTIONS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub sign_in_connections: Option<u16>,

    /// Who asks WorkOS about a code: the database, or this server, for a database that may not talk to the outside
    #[arg(long, env = "GATEWAY_WORKOS_BY", default_value = "database", value_name = "WHO")]
    pub workos_by: WorkosBy,

    /// With --workos-by gateway: a PEM file of the certificate authorities that WorkOS's certificate is checked with; without it, the
    /// system's
    #[arg(long, env = "GATEWAY_WORKOS_CA_FILE", value_name = "PATH")]
    pub workos_ca_file: Option<PathBuf>,

    /// With --workos-by gateway: the HTTP proxy on the way to WorkOS, http://HOST:PORT. The password of http://USER:PASSWORD@HOST:PORT
    /// fits better into the environment
    #[arg(long, env = "GATEWAY_WORKOS_PROXY", hide_env_values = true, value_name = "URL")]
    pub workos_proxy: Option<String>,

    /// How long a request may wait for a database connection, and a sign-in for one of --sign-in-connections
    #[arg(long, env = "GATEWAY_POOL_TIMEOUT", default_value = "3", value_name = "SECONDS", value_parser = seconds)]
    pub pool_timeout: Duration,

    /// How long a request may take in all. More than workos_auth.connect_timeout and workos_auth.request_timeout together
    #[arg(long, env = "GATEWAY_REQUEST_TIMEOUT", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub request_timeout: Duration,

    /// How long a client may take to send the head of a request, from its first byte to its last, and for a TLS handshake
    #[arg(long, env = "GATEWAY_HEADER_TIMEOUT", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub header_timeout: Duration,

    /// How long a client may take to send the body of a request; part of --request-timeout
    #[arg(long, env = "GATEWAY_BODY_TIMEOUT", default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub body_timeout: Duration,

    /// How long a client may take to receive an answer
    #[arg(long, env = "GATEWAY_ANSWER_TIMEOUT", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub answer_timeout: Duration,

    /// How long a connection may be open without a request; longer than the proxies in front keep theirs. Where places are
    /// short, the one that has been idle the longest is closed at once
    #[arg(long, env = "GATEWAY_IDLE_TIMEOUT", default_value = "65", value_name = "SECONDS", value_parser = seconds)]
    pub idle_timeout: Duration,

    /// How long requests may go on after SIGTERM
    #[arg(long, env = "GATEWAY_SHUTDOWN_TIMEOUT", default_value = "20", value_name = "SECONDS", value_parser = seconds)]
    pub shutdown_timeout: Duration,

    /// The largest request body
    #[arg(long, env = "GATEWAY_MAX_BODY", default_value_t = 65_536, value_name = "BYTES")]
    pub max_body: usize,

    /// The most client connections at a time. A further one takes the place of one whose request has not come yet; where each
    /// has a request that is being worked on, it waits
    #[arg(long, env = "GATEWAY_MAX_CONNECTIONS", default_value_t = 1024, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,

    /// The most connections of one client address (IPv6: of each /64), and the most requests of it at a time. A further
    /// connection takes a place as above; more requests are 429. Connections of trusted proxies are not counted: for the clients
    /// behind them only the requests are
    #[arg(long, env = "GATEWAY_MAX_PER_ADDRESS", default_value_t = 128, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_per_address: u32,

    /// Proxies in front, as addresses or networks, separated by commas: only they are believed what X-Forwarded-For
    /// and X-Request-ID say. The client is the right-most address there that is none of them
    #[arg(long, env = "GATEWAY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "NETWORK", value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,

    /// Requests a minute for each client address (IPv6: each /64), counted apart for /authorize with /sso, for /callback and for /token;
    /// 0: no limit. A company behind one address shares it, and so do the users of a server that calls for them. The same number
    /// is how often a minute a session may be refreshed, and how often it may change its account
    #[arg(long, env = "GATEWAY_RATE_LIMIT", default_value_t = 60, value_name = "N")]
    pub rate_limit: u32,

    /// How many of them may come at once
    #[arg(long, env = "GATEWAY_RATE_LIMIT_BURST", default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_limit_burst: u32,

    /// Origins whose pages may call, separated by commas; * for all. Cookies are never sent along
    #[arg(long, env = "GATEWAY_CORS_ORIGINS", value_delimiter = ',', default_value = "*", value_name = "ORIGIN", value_parser = origin)]
    pub cors_origins: Vec<HeaderValue>,

    /// Make a person known at their first GET or PUT /user with a token of a trusted issuer, by auth.accept_token, instead of refusing it
    #[arg(long, env = "GATEWAY_ACCEPT_TOKENS")]
    pub accept_tokens: bool,

    /// Send a browser to workos_auth.site_url where redirect_to is not allowed, as Supabase Auth does, instead of an error
    #[arg(long, env = "GATEWAY_REDIRECT_FALLBACK")]
    pub redirect_fallback: bool,

    /// How the log is written, to standard error
    #[arg(long, env = "GATEWAY_LOG_FORMAT", default_value = "json", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// error, warn, info or debug; or tracing's directives
    #[arg(long, env = "GATEWAY_LOG", default_value = "info", value_name = "LEVEL")]
    pub log: String,
}

/// Who asks WorkOS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorkosBy {
    /// The database, in the call that needs the answer
    Database,
    /// This server: no connection is held meanwhile, and the role needs the rights of `auth.grant_broker`
    Gateway,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

impl Config {
    /// Where the database is.
    ///
    /// # Errors
    /// See [`ServersError`].
    pub fn servers(&self) -> Result<Servers, ServersError> {
        let flags = Flags {
            url: self.database_url.as_deref(),
            password_file: self.database_password_file.as_deref(),
            connect_timeout: self.pool_timeout,
        };
        Servers::read(&flags, &Environment::of_process())
    }

    /// How many connections to the database there may be.
    pub fn pool_size(&self) -> PoolSize {
        let all = self.pool_size;
        let sign_ins = self.sign_in_connections.unwrap_or(all / 2).clamp(1, all);
        PoolSize { all, sign_ins, timeout: self.pool_timeout }
    }

    /// The path of [`Self::public_url`], without a slash at its end.
    pub fn path(&self) -> &str {
        self.public_url.path().trim_end_matches('/')
    }

    /// A URL below [`Self::public_url`].
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// Whether clients come over https.
    pub fn is_secure(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

fn public_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return Err("it must be https; http is for loopback".into()),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no user name, query or fragment".into());
    }
    if url.path().contains(['{', '}', '%']) {
        return Err("its path must be plain".into());
    }
    Ok(url)
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds.into())),
        _ => Err("a number of seconds from 1 to 3600".into()),
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "an address or a network, such as 10.0.0.0/8".into())
}

fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || "scheme, host and port as browsers send them, such as https://app.example.com".to_owned();
    if text != "*" && Url::parse(text).map_err(|_| wrong())?.origin().ascii_serialization() != text {
        return Err(wrong());
    }
    HeaderValue::from_str(text).map_err(|_| wrong())
}
