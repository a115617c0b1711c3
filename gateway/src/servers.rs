//! Where the database is: a URL or libpq's keywords, for what they leave out libpq's environment, and its password file.

mod connection_string;
mod encryption;
mod environment;
mod error;
mod password_file;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode, SslNegotiation};

use connection_string::Parts;
pub use encryption::{Encryption, Mode, Roots};
pub use environment::Environment;
pub use error::ServersError;
use password_file::PasswordFile;

/// Where Postgres listens when nobody says otherwise.
const PORT: u16 = 5432;
/// Where Debian's Postgres has its socket; a password file calls it localhost.
const SOCKETS: &str = "/var/run/postgresql";

/// The servers of one database, in the order in which they are tried.
#[derive(Debug, Clone)]
pub struct Servers {
    /// At least one.
    pub all: Vec<Server>,
    /// Which of them will do.
    pub wanted: Wanted,
    /// Whether the order is by chance (`load_balance_hosts=random`).
    pub is_random: bool,
    /// TLS with each of them.
    pub encryption: Encryption,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Server {
    /// The driver's settings, with this host alone.
    pub config: Config,
    /// For the log.
    pub name: String,
    /// Whether what goes there stays on this machine.
    pub is_local: bool,
}

/// libpq's `target_session_attrs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "libpq's words")]
pub enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl FromStr for Wanted {
    type Err = ServersError;

    fn from_str(text: &str) -> Result<Self, ServersError> {
        Ok(match text {
            "any" => Self::Any,
            "read-write" => Self::ReadWrite,
            "read-only" => Self::ReadOnly,
            "primary" => Self::Primary,
            "standby" => Self::Standby,
            "prefer-standby" => Self::PreferStandby,
            _ => {
                let takes = "any, read-write, read-only, primary, standby, prefer-standby";
                return Err(ServersError::OneOf { name: "target_session_attrs", takes });
            }
        })
    }
}

/// What the gateway's own flags say, which goes before all else.
#[derive(Debug)]
pub struct Flags<'a> {
    /// `--database-url`
    pub url: Option<&'a str>,
    /// `--database-password-file`
    pub password_file: Option<&'a Path>,
    /// How long an attempt to connect may take where nothing else is said.
    pub connect_timeout: Duration,
}

impl Servers {
    /// Puts together what flags and environment say. Reads files, connects to nothing.
    ///
    /// # Errors
    /// See [`ServersError`].
    pub fn read(flags: &Flags<'_>, environment: &Environment) -> Result<Self, ServersError> {
        environment.check()?;
        let Parts { mut config, ours, has_ports } = connection_string::take_apart(flags.url.unwrap_or_default())?;
        let given = |name: &str| {
            let own = ours.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
            own.or_else(|| environment.get(&variable(name)))
        };
        let encryption = Encryption::read(given, environment)?;
        fill(&mut config, environment)?;
        if let Some(path) = flags.password_file {
            let text = std::fs::read_to_string(path).map_err(ServersError::PasswordFile)?;
            config.password(text.trim_end_matches(['\r', '\n']));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(flags.connect_timeout);
        }
        config.ssl_mode(match encryption.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        });
        if encryption.is_direct {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        config.channel_binding(match given("channel_binding") {
            Some("disable") => ChannelBinding::Disable,
            Some("prefer") | None => ChannelBinding::Prefer,
            Some("require") => ChannelBinding::Require,
            Some(_) => {
                return Err(ServersError::OneOf { name: "channel_binding", takes: "disable, prefer, require" });
            }
        });
        let is_random = match given("load_balance_hosts") {
            None | Some("disable") => false,
            Some("random") => true,
            Some(_) => return Err(ServersError::OneOf { name: "load_balance_hosts", takes: "disable, random" }),
        };
        let wanted = given("target_session_attrs").map_or(Ok(Wanted::Any), str::parse)?;
        let ports = ports(&config, has_ports, environment)?;
        let passwords = match given("passfile").map(PathBuf::from).or_else(|| environment.home(".pgpass")) {
            Some(path) if config.get_password().is_none() => PasswordFile::read(&path),
            _ => PasswordFile::default(),
        };
        let all = each(&config, &ports, &passwords)?;
        Ok(Self { all, wanted, is_random, encryption })
    }
}

/// The variable of a keyword of [`connection_string::OURS`].
fn variable(name: &str) -> String {
    format!("PG{}", name.replace('_', "").to_ascii_uppercase())
}

/// What the connection string leaves out, and the driver can be told.
fn fill(config: &mut Config, environment: &Environment) -> Result<(), ServersError> {
    let malformed = |name: &str| ServersError::Malformed(name.to_owned());
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        for host in environment.get("PGHOST").into_iter().flat_map(|hosts| hosts.split(',')) {
            config.host(host);
        }
        for address in environment.get("PGHOSTADDR").into_iter().flat_map(|addresses| addresses.split(',')) {
            config.hostaddr(address.parse().map_err(|_| malformed("PGHOSTADDR"))?);
        }
    }
    if config.get_user().is_none()
        && let Some(user) = environment.get("PGUSER").map(str::to_owned).or_else(|| environment.user_name())
    {
        config.user(user);
    }
    if config.get_password().is_none()
        && let Some(password) = environment.get("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_dbname().is_none()
        && let Some(database) =
            environment.get("PGDATABASE").map(str::to_owned).or(config.get_user().map(str::to_owned))
    {
        config.dbname(database);
    }
    if config.get_options().is_none()
        && let Some(options) = environment.get("PGOPTIONS")
    {
        config.options(options);
    }
    if config.get_application_name().is_none() {
        config.application_name(environment.get("PGAPPNAME").unwrap_or("workos_auth_gateway"));
    }
    if config.get_connect_timeout().is_none()
        && let Some(timeout) = environment.get("PGCONNECT_TIMEOUT")
    {
        let seconds: u64 = timeout.parse().map_err(|_| malformed("PGCONNECT_TIMEOUT"))?;
        if seconds > 0 {
            config.connect_timeout(Duration::from_secs(seconds));
        }
    }
    Ok(())
}

fn ports(config: &Config, has_ports: bool, environment: &Environment) -> Result<Vec<u16>, ServersError> {
    let port = |text: &str| match text {
        "" => Ok(PORT),
        text => text.parse().map_err(|_| ServersError::Malformed("PGPORT".into())),
    };
    match environment.get("PGPORT") {
        Some(ports) if !has_ports => ports.split(',').map(port).collect(),
        _ => Ok(config.get_ports().to_vec()),
    }
}

/// The settings of each server, with its own password.
fn each(config: &Config, ports: &[u16], passwords: &PasswordFile) -> Result<Vec<Server>, ServersError> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(ServersError::NoHost);
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(ServersError::Addresses(hosts.len(), addresses.len()));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(ServersError::Ports(count, ports.len()));
    }
    let servers = (0..count).map(|at| {
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(PORT);
        let address = addresses.get(at).copied();
        let host = hosts.get(at).cloned().or(address.map(|address| Host::Tcp(address.to_string())));
        host.map(|host| one(config, &host, address, port, passwords)).ok_or(ServersError::NoHost)
    });
    servers.collect()
}

fn one(config: &Config, host: &Host, address: Option<IpAddr>, port: u16, passwords: &PasswordFile) -> Server {
    let mut own = Config::new();
    own.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    let (name, is_local) = match host {
        Host::Tcp(name) => {
            own.host(name);
            let is_loopback = address.or_else(|| name.parse().ok()).map(|address| address.to_canonical().is_loopback());
            (name.clone(), is_loopback.unwrap_or_else(|| name == "localhost" || name.ends_with(".localhost")))
        }
        Host::Unix(path) => {
            own.host_path(path);
            // Postgres has no TLS there.
            own.ssl_mode(SslMode::Disable).ssl_negotiation(SslNegotiation::Postgres);
            (path.display().to_string(), true)
        }
    };
    own.port(port).channel_binding(config.get_channel_binding()).keepalives(config.get_keepalives());
    own.keepalives_idle(config.get_keepalives_idle());
    if let Some(address) = address {
        own.hostaddr(address);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        own.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        own.keepalives_retries(retries);
    }
    if let Some(timeout) = config.get_connect_timeout() {
        own.connect_timeout(*timeout);
    }
    if let Some(timeout) = config.get_tcp_user_timeout() {
        own.tcp_user_timeout(*timeout);
    }
    if let Some(options) = config.get_options() {
        own.options(options);
    }
    if let Some(application_name) = config.get_application_name() {
        own.application_name(application_name);
    }
    let (user, database) = (config.get_user().unwrap_or_default(), config.get_dbname().unwrap_or_default());
    own.user(user).dbname(database);
    let in_file = if name == SOCKETS { "localhost" } else { name.as_str() };
    let password = config.get_password().or_else(|| passwords.find(in_file, port, database, user).map(str::as_bytes));
    if let Some(password) = password {
        own.password(password);
    }
    Server { config: own, name: format!("{name}:{port}"), is_local }
}

#[cfg(test)]
mod tests;
