//! A URL taken apart, and refused where its text and what a browser makes of it could be told apart.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Url;

use crate::error::{Error, ErrorCode, Result};

/// The longest redirect URL, in bytes; what proxies and browsers commonly take in one header line.
pub const MAX_URL_BYTES: usize = 8192;

/// Schemes that run a script, read a file, or are no page to return to.
pub const REFUSED_SCHEMES: [&str; 12] = [
    "javascript",
    "data",
    "vbscript",
    "file",
    "blob",
    "filesystem",
    "about",
    "view-source",
    "ftp",
    "ws",
    "wss",
    // Android's, whose fragment, which is never compared, names any app or page.
    "intent",
];

/// Schemes in which strangers have pages, as in http and https: other names of these two, that of a development server that anybody may
/// run, and those of browsers' extensions.
pub const SCHEMES_OF_STRANGERS: [&str; 14] = [
    "x-safari-http",
    "x-safari-https",
    "googlechrome",
    "googlechromes",
    "microsoft-edge",
    "microsoft-edge-http",
    "microsoft-edge-https",
    "firefox",
    "exp",
    "exps",
    "chrome-extension",
    "moz-extension",
    "safari-web-extension",
    "extension",
];

/// A URL whose text and whose WHATWG meaning agree, taken apart.
#[derive(Debug, Clone)]
pub struct Target {
    /// In lower case.
    pub scheme: String,
    /// Whether `//` follows the scheme; always so for http and https.
    pub has_authority: bool,
    /// In lower case; empty where there is none.
    pub host: String,
    /// As given, or http's and https's own.
    pub port: Option<u16>,
    /// Path and query as written, up to `#`; of http and https at least `/`.
    pub rest: String,
}

impl Target {
    /// What a caller asks for.
    pub fn to_judge(redirect_to: &str) -> Result<Self> {
        let mut target =
            Self::parse(redirect_to).map_err(|why| Error::with_detail(ErrorCode::RedirectToMalformed, why))?;
        target.rest = without_flow_id(&target.rest);
        Ok(target)
    }

    /// Takes a URL apart; the error is a sentence that holds nothing of it.
    pub fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        if text.is_empty() {
            return Err("It is empty.");
        }
        if text.len() > MAX_URL_BYTES {
            return Err("It is longer than 8 kB.");
        }
        // Browsers drop tabs and newlines, trim blanks, and take a backslash for a slash.
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("It contains a control character or white space.");
        }
        if text.contains('\\') {
            return Err("It contains a backslash.");
        }
        let parts = Parts::split(text).ok_or("It is not an absolute URL.")?;
        if parts.is_host_and_port() {
            return Err("It begins with a host and a port: a scheme such as https:// stands in front of them.");
        }
        let scheme = parts.scheme.to_ascii_lowercase();
        if REFUSED_SCHEMES.contains(&scheme.as_str()) {
            return Err("Its scheme is not one to return to.");
        }
        let is_web = is_web(&scheme);
        let authority = parts.authority.unwrap_or_default();
        if is_web && authority.is_empty() {
            return Err("It has no host.");
        }
        if authority.contains('@') {
            return Err("It contains a user name or password.");
        }
        if !authority.is_ascii() || authority.contains('%') {
            return Err("Its host must be written in plain ASCII; an international name in its xn-- form.");
        }
        if authority.contains(['*', '?']) {
            return Err("Its host is a pattern.");
        }
        let rest = parts.rest.split('#').next().unwrap_or_default();
        if has_dot_segment(rest) {
            return Err("Its path contains a . or .. segment.");
        }
        let url = Url::parse(text).map_err(|_| "It is not an absolute URL.")?;
        let (host, port) = split_port(authority).ok_or("Its port is not a number.")?;
        let host = host.to_ascii_lowercase();
        // 0x7f.1, 2130706433 and 127.1 are all 127.0.0.1 to a browser.
        if !url.host_str().unwrap_or_default().eq_ignore_ascii_case(&host) {
            return Err("A browser reads its host otherwise than it is written.");
        }
        if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit())) {
            return Err("Its port is not a number.");
        }
        let port = url.port_or_known_default();
        let rest = if is_web { with_root(rest) } else { rest.to_owned() };
        Ok(Self { scheme, has_authority: parts.authority.is_some(), host, port, rest })
    }

    /// The port, unless it is the scheme's own.
    pub fn written_port(&self) -> Option<u16> {
        self.port.filter(|port| default_port(&self.scheme) != Some(*port))
    }

    pub fn is_web(&self) -> bool {
        is_web(&self.scheme)
    }

    /// Whether `self`, the site, allows the other: the same origin, or a loopback address beside a loopback site,
    /// whose development servers come and go on any port.
    pub fn covers(&self, other: &Self) -> bool {
        let same_origin = self.host == other.host && self.port == other.port;
        self.scheme == other.scheme && (same_origin || (is_loopback(&self.host) && is_loopback(&other.host)))
    }
}

/// A URL or a pattern cut at its delimiters (RFC 3986, section 3), nothing decoded.
pub struct Parts<'a> {
    pub scheme: &'a str,
    /// What stands between `//` and the next delimiter; `None` without `//`.
    pub authority: Option<&'a str>,
    pub rest: &'a str,
}

impl<'a> Parts<'a> {
    /// `None` without a well-formed scheme in front.
    pub fn split(text: &'a str) -> Option<Self> {
        let (scheme, after) = text.split_once(':')?;
        let grammar = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(grammar) {
            return None;
        }
        let Some(after) = after.strip_prefix("//") else {
            return Some(Self { scheme, authority: None, rest: after });
        };
        let (authority, rest) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        Some(Self { scheme, authority: Some(authority), rest })
    }
}

impl Parts<'_> {
    /// Whether this is `host:port` or `host:port/path`, which a scheme should stand in front of: no scheme is followed by a bare number, and
    /// none is `localhost`.
    pub fn is_host_and_port(&self) -> bool {
        if self.scheme.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let port = self.rest.split(['/', '?', '#', '*']).next().unwrap_or_default();
        self.authority.is_none() && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
    }
}

/// Host and port as written; an IPv6 address keeps its brackets. `None` if something else follows the brackets.
pub fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let host_end = match authority.find(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, after) = authority.split_at(host_end);
    match after.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None if after.is_empty() => Some((host, None)),
        None => None,
    }
}

/// The port of a scheme that has one of its own.
pub fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// http and https: the schemes with hosts that a stranger can own.
pub fn is_web(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

/// Of http and https, no path and `/` are the same (RFC 3986, section 6.2.3).
pub fn with_root(rest: &str) -> String {
    if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
}

/// Supabase's newer clients add `sb_flow_id` to the query, to find the verifier again; it is none of the application's address.
fn without_flow_id(rest: &str) -> String {
    let Some((path, query)) = rest.split_once('?') else { return rest.to_owned() };
    let is_flow_id = |pair: &&str| *pair == "sb_flow_id" || pair.starts_with("sb_flow_id=");
    if !query.split('&').any(|pair| is_flow_id(&pair)) {
        return rest.to_owned();
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_flow_id(pair)).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// Browsers resolve these before they ask the server, `%2e` included, and servers that decode `%2f` and `%5c` do so
/// afterwards, twice at times, or cut path parameters off (`..;x`): all of them would walk out of a listed path.
pub fn has_dot_segment(rest: &str) -> bool {
    let mut path = rest.split('?').next().unwrap_or_default().to_ascii_lowercase();
    while path.contains("%25") {
        path = path.replace("%25", "%");
    }
    let path = path.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace("%3b", ";");
    path.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}

/// Whether a host in lower case, an IPv6 address in brackets, is this machine: `localhost`, 127.0.0.0/8, `[::1]`.
pub fn is_loopback(host: &str) -> bool {
    if host == "localhost" {
        return true;
    }
    let address = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    address.is_ok_and(|address| address.is_loopback())
}
