//! A connection string taken apart: what the driver reads, and what it does not know or would not say.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_postgres::Config;

use super::error::ServersError;

/// What is read in this crate: of these the driver knows fewer values, or none, or does not say whether they were given.
pub const OURS: [&str; 9] = [
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "passfile",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
];

/// What the driver reads.
const DRIVERS: [&str; 14] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
];

/// Names of libpq's that mean something which would be missing.
const UNSUPPORTED: [&str; 21] = [
    "service",
    "servicefile",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "sslcertmode",
    "sslcompression",
    "sslsni",
    "sslkeylogfile",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "require_auth",
    "requirepeer",
    "requiressl",
    "gssencmode",
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "client_encoding",
    "fallback_application_name",
    "replication",
];

/// The parts.
pub struct Parts {
    /// What the driver has read.
    pub config: Config,
    /// Names of [`OURS`], and their values.
    pub ours: Vec<(String, String)>,
    /// Whether a port was given. The driver puts the default where a URL has none.
    pub has_ports: bool,
}

/// Takes a URL or keywords apart.
///
/// # Errors
/// See [`ServersError`].
pub fn take_apart(text: &str) -> Result<Parts, ServersError> {
    let url = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    match url {
        Some(rest) => of_url(rest),
        None if text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric())) => {
            Err(ServersError::Scheme)
        }
        None => of_keywords(text),
    }
}

fn of_url(rest: &str) -> Result<Parts, ServersError> {
    // As the driver reads it: the first @ ends user and password, whatever stands in them.
    let (user, place) = rest.split_once('@').map_or(("", rest), |(user, place)| (user, place));
    let at = if rest.contains('@') { "@" } else { "" };
    let (place, query) = place.split_once('?').unwrap_or((place, ""));
    let authority = place.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        return Err(ServersError::AtSign);
    }
    let mut pairs = Vec::new();
    for (number, pair) in (1..).zip(query.split('&').filter(|pair| !pair.is_empty())) {
        let (name, value) = pair.split_once('=').ok_or(ServersError::Unknown(number))?;
        pairs.push((decoded(name)?, decoded(value)?));
    }
    let (ours, drivers) = sort_out(pairs)?;
    let query = drivers.iter().map(|(name, value)| format!("{name}={}&", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    let config = read(&format!("postgres://{user}{at}{place}?{}", query.collect::<String>()))?;
    let has_port = |host: &str| host.rsplit(']').next().unwrap_or(host).contains(':');
    let has_ports = authority.split(',').any(has_port) || drivers.iter().any(|(name, _)| name == "port");
    Ok(Parts { config, ours, has_ports })
}

fn decoded(text: &str) -> Result<String, ServersError> {
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| ServersError::Syntax)
}

fn of_keywords(text: &str) -> Result<Parts, ServersError> {
    let (ours, drivers) = sort_out(pairs(text).ok_or(ServersError::Syntax)?)?;
    let has_ports = drivers.iter().any(|(name, _)| name == "port");
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let text = drivers.iter().map(|(name, value)| format!("{name}='{}' ", quoted(value))).collect::<String>();
    Ok(Parts { config: read(&text)?, ours, has_ports })
}

/// `name = value` and `name = 'value'`, with a backslash before what stands for itself.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return None;
        }
        let (value, after) = value(after.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Some(pairs)
}

fn value(text: &str) -> Option<(String, &str)> {
    let bare = text.strip_prefix('\'');
    let mut chars = bare.unwrap_or(text).chars();
    let mut value = String::new();
    loop {
        match chars.next() {
            None => return bare.is_none().then(|| (value, "")),
            Some('\\') => value.extend(chars.next()),
            Some('\'') if bare.is_some() => return Some((value, chars.as_str())),
            Some(c) if bare.is_none() && c.is_whitespace() => return Some((value, chars.as_str())),
            Some(c) => value.push(c),
        }
    }
}

type Pairs = Vec<(String, String)>;

/// Ours, and the driver's.
fn sort_out(pairs: Pairs) -> Result<(Pairs, Pairs), ServersError> {
    let (mut ours, mut drivers) = (Vec::new(), Vec::new());
    for (number, (name, value)) in (1..).zip(pairs) {
        match name.as_str() {
            // As JDBC writes it, and libpq takes it.
            "ssl" if value == "true" => ours.push(("sslmode".to_owned(), "require".to_owned())),
            "keepalives_count" => drivers.push(("keepalives_retries".to_owned(), value)),
            known if OURS.contains(&known) => ours.push((name, value)),
            known if DRIVERS.contains(&known) => drivers.push((name, value)),
            known if UNSUPPORTED.contains(&known) => return Err(ServersError::Unsupported(name)),
            _ => return Err(ServersError::Unknown(number)),
        }
    }
    Ok((ours, drivers))
}

/// The driver's words are passed on where they hold a name of its own alone.
fn read(text: &str) -> Result<Config, ServersError> {
    text.parse().map_err(|error: tokio_postgres::Error| {
        let cause = error.into_source().map(|cause| cause.to_string()).unwrap_or_default();
        match cause.strip_prefix("invalid value for option `").and_then(|rest| rest.strip_suffix('`')) {
            Some(name) => ServersError::Malformed(name.to_owned()),
            None => ServersError::Syntax,
        }
    })
}
