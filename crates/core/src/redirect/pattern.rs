//! One line of the list of redirect URLs.

use regex::Regex;
use url::Url;

use super::target::{
    Parts, REFUSED_SCHEMES, SCHEMES_OF_STRANGERS, Target, default_port, is_loopback, is_web, split_port, with_root,
};
use crate::error::{Error, ErrorCode, Result};

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 2048;
/// The most wildcard characters: each may cost a pass over the URL.
const MAX_WILDCARDS: usize = 64;
/// A registrable domain and its suffix: fewer would take in foreign domains.
const MIN_LITERAL_LABELS: usize = 2;

/// A pattern that can match no foreign host: scheme, host and port written out but for what
/// [`RedirectUrls`](super::RedirectUrls) can bound, and a path with wildcards.
///
/// `*` is any run of characters but `.` and `/`, `?` any one of them, `**` any run at all. The whole is compared, up to
/// `#`, with case but for scheme and host.
///
/// An app's own scheme (`com.example.app://**`) has no hosts that a stranger can own. There, wildcards may stand anywhere behind the
/// scheme, and host, port and path are compared as one text.
#[derive(Debug, Clone)]
pub struct Pattern {
    scheme: String,
    has_authority: bool,
    host: Host,
    port: Port,
    rest: Regex,
}

#[derive(Debug, Clone)]
enum Host {
    Literal(String),
    Wildcard(Regex),
    /// Of an app's own scheme: `rest` is of host, port and path together.
    InRest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// As written, or the scheme's own.
    Exactly(Option<u16>),
    /// `*`, for loopback.
    Any,
}

impl Pattern {
    /// Takes a pattern apart and refuses it if it could match a foreign host or scheme.
    ///
    /// # Errors
    /// [`ErrorCode::RedirectPatternUnsafe`], the rule it breaks in the detail.
    pub fn parse(pattern: &str) -> Result<Self> {
        parse(pattern).map_err(|rule| Error::with_detail(ErrorCode::RedirectPatternUnsafe, rule))
    }

    /// The same for a pattern that is added to the list: it may not take in a whole public suffix, nor lack its scheme. Patterns that are
    /// in use are not asked this again, since the list of suffixes grows, and an update must not end the sign-ins that there are.
    ///
    /// # Errors
    /// As [`Pattern::parse`].
    pub fn parse_new(pattern: &str) -> Result<Self> {
        let parsed = Self::parse(pattern)?;
        let check = check_scheme(pattern).and_then(|()| check_suffix(pattern));
        check.map_err(|rule| Error::with_detail(ErrorCode::RedirectPatternUnsafe, rule))?;
        Ok(parsed)
    }

    /// Whether the pattern names this URL.
    pub(super) fn matches(&self, target: &Target) -> bool {
        if self.scheme != target.scheme || self.has_authority != target.has_authority {
            return false;
        }
        if matches!(self.host, Host::InRest) {
            let port = target.port.map(|port| format!(":{port}")).unwrap_or_default();
            return self.rest.is_match(&format!("{}{port}{}", target.host, target.rest));
        }
        self.host.matches(&target.host) && self.port.matches(target.port) && self.rest.is_match(&target.rest)
    }

    /// The host, if it is written out.
    #[cfg(test)]
    pub(super) fn literal_host(&self) -> Option<&str> {
        match &self.host {
            Host::Literal(host) => Some(host),
            Host::Wildcard(_) | Host::InRest => None,
        }
    }
}

impl Host {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == host,
            Self::Wildcard(regex) => regex.is_match(host),
            Self::InRest => true,
        }
    }
}

impl Port {
    fn matches(self, port: Option<u16>) -> bool {
        match self {
            Self::Exactly(own) => own == port,
            Self::Any => true,
        }
    }
}

type Rule<T> = std::result::Result<T, &'static str>;

fn parse(pattern: &str) -> Rule<Pattern> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err("A pattern has at most 2048 bytes.");
    }
    if pattern.matches(['*', '?']).count() > MAX_WILDCARDS {
        return Err("A pattern has at most 64 wildcard characters.");
    }
    if pattern.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("A pattern holds no control characters and no white space.");
    }
    if pattern.contains('\\') {
        return Err("A pattern holds no backslash: browsers take it for a slash.");
    }
    if pattern.contains('#') {
        return Err("A pattern holds no fragment: what follows # is never compared.");
    }
    if pattern.split_once(':').is_some_and(|(scheme, _)| has_wildcard(scheme)) {
        return Err("The scheme must be written out, without wildcards.");
    }
    let Some(Parts { scheme, .. }) = Parts::split(pattern) else {
        return Err("A pattern begins with a scheme, as in https://app.example.com/**.");
    };
    let after = &pattern[scheme.len() + 1..];
    let scheme = scheme.to_ascii_lowercase();
    if REFUSED_SCHEMES.contains(&scheme.as_str()) {
        return Err("This scheme is dangerous: it is not one to return to.");
    }
    // The authority of a pattern ends at `/` only: in it, `?` is a wildcard.
    let (authority, rest) = match after.strip_prefix("//") {
        Some(after) => {
            let (authority, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
            (Some(authority), rest)
        }
        None => (None, after),
    };
    let is_web = is_web(&scheme);
    if is_web && authority.is_none_or(str::is_empty) {
        return Err("The scheme is followed by :// and a host.");
    }
    // Brackets and braces are wildcards to other matchers; of a URL they are part in IPv6 addresses only.
    if rest.contains(['[', ']', '{', '}']) || authority.is_some_and(|authority| authority.contains(['{', '}'])) {
        return Err("Brackets and braces are not supported: write one pattern for each case, or use * and **.");
    }
    if let Some(authority) = authority.filter(|authority| !is_web && has_wildcard(authority)) {
        if authority.contains('@') {
            return Err("A pattern holds no user name or password.");
        }
        let rest = wildcards(&format!("{}{rest}", authority.to_ascii_lowercase()))?;
        return Ok(Pattern { scheme, has_authority: true, host: Host::InRest, port: Port::Any, rest });
    }
    let (host, port) = parse_authority(&scheme, authority.unwrap_or_default())?;
    let rest = wildcards(&if is_web { with_root(rest) } else { rest.to_owned() })?;
    Ok(Pattern { scheme, has_authority: authority.is_some(), host, port, rest })
}

fn parse_authority(scheme: &str, authority: &str) -> Rule<(Host, Port)> {
    if authority.contains('@') {
        return Err("A pattern holds no user name or password.");
    }
    let (host, port) =
        split_port(authority).ok_or("The host must be ended by a slash, a colon or the end of the pattern.")?;
    let host = host.to_ascii_lowercase();
    let has_wildcard = has_wildcard(&host);
    if has_wildcard {
        check_wildcards(&host)?;
    }
    check_spelling(scheme, &host)?;
    let port = parse_port(scheme, &host, port)?;
    let host = if has_wildcard { Host::Wildcard(wildcards(&host)?) } else { Host::Literal(host) };
    Ok((host, port))
}

/// Wildcards stand in the left-most labels only, and enough literal labels follow to name one owner's domain.
fn check_wildcards(host: &str) -> Rule<()> {
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    // What a browser takes for an IPv4 address ends in a number (WHATWG URL, "ends in a number checker").
    let numeric =
        host.contains(|c: char| c.is_ascii_digit()) && !host.contains(|c: char| c.is_alphabetic() || c == '-');
    if host.starts_with('[') || numeric || last.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("An IP address must be written out, without wildcards.");
    }
    let literal = labels.iter().rev().take_while(|label| !has_wildcard(label)).count();
    if labels[..labels.len() - literal].iter().any(|label| !has_wildcard(label)) {
        return Err("Wildcards of the host stand in its left-most labels only.");
    }
    if literal < MIN_LITERAL_LABELS {
        return Err("At least two literal labels must follow the wildcards of the host, as in *.example.com, \
                    and the host must be ended by a slash, a colon or the end of the pattern.");
    }
    Ok(())
}

/// `localhost:3000/**` would be a pattern of the scheme `localhost`, which no page has. And not every scheme but the web's is an app's own.
fn check_scheme(pattern: &str) -> Rule<()> {
    let Some(parts) = Parts::split(pattern) else { return Ok(()) };
    if parts.is_host_and_port() {
        return Err(
            "A pattern begins with a scheme, as in http://localhost:3000/**: this one begins with a host and a port.",
        );
    }
    // As in `parse`: in a pattern, `?` ends no authority. What stands behind such a scheme without `//` names a page as a host does.
    let after = &pattern[parts.scheme.len() + 1..];
    let names_page = after.strip_prefix("//").map_or(after, |after| after.split('/').next().unwrap_or_default());
    match SCHEMES_OF_STRANGERS.contains(&parts.scheme.to_ascii_lowercase().as_str()) && has_wildcard(names_page) {
        true => Err("Strangers have pages in this scheme: write the host out, as in exp://192.168.1.1:8081/**."),
        false => Ok(()),
    }
}

/// Under a public suffix (<https://publicsuffix.org>) anybody can have a name: under `co.uk` any, and at a host such as `vercel.app` any that
/// its owner hands out. Of the latter, a pattern that pins a part of the name (`*-team.vercel.app`) is the administrator's judgement.
fn check_suffix(pattern: &str) -> Rule<()> {
    // As in `parse`: in a pattern, `?` ends no authority.
    let Some((_, after)) = pattern.split_once("://").filter(|(scheme, _)| is_web(&scheme.to_ascii_lowercase())) else {
        return Ok(());
    };
    let authority = after.split('/').next().unwrap_or_default();
    let host = split_port(authority).map_or(authority, |(host, _)| host).to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let literal = labels.iter().rev().take_while(|label| !has_wildcard(label)).count();
    let (wild, literal) = labels.split_at(labels.len() - literal);
    if wild.is_empty() {
        return Ok(());
    }
    let literal = literal.join(".");
    let Some(suffix) = psl::suffix(literal.as_bytes()).filter(|suffix| suffix.as_bytes() == literal.as_bytes()) else {
        return Ok(());
    };
    let is_pinned = wild.last().is_some_and(|label| label.contains(|c| !matches!(c, '*' | '?')));
    match suffix.typ() {
        Some(psl::Type::Icann) => Err("Anybody can register a name under this public suffix, such as co.uk."),
        Some(psl::Type::Private) if !is_pinned => Err(
            "Strangers have names under this public suffix, such as vercel.app: write a part of your own out, as in *-team.vercel.app.",
        ),
        _ => Ok(()),
    }
}

/// The host must be written as browsers write it, or it could never be compared.
fn check_spelling(scheme: &str, host: &str) -> Rule<()> {
    if !host.is_ascii() || host.contains('%') {
        return Err("The host must be written in plain ASCII; an international name in its xn-- form.");
    }
    if !host.is_empty() && host.split('.').any(str::is_empty) {
        return Err("The host has an empty label.");
    }
    let sample = host.replace(['*', '?'], "w");
    match Url::parse(&format!("{scheme}://{sample}/")) {
        Ok(url) if url.host_str().unwrap_or_default() == sample => Ok(()),
        _ => Err("The host is not written as browsers write it."),
    }
}

fn parse_port(scheme: &str, host: &str, port: Option<&str>) -> Rule<Port> {
    match port {
        None => Ok(Port::Exactly(default_port(scheme))),
        Some("*") if is_loopback(host) => Ok(Port::Any),
        Some(port) if has_wildcard(port) => Err("A wildcard port is for loopback only, and stands alone: *."),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse().map(|port| Port::Exactly(Some(port))).map_err(|_| "The port is not a number from 0 to 65535.")
        }
        Some(_) => Err("The port is not a number from 0 to 65535."),
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// `**` crosses the separators `.` and `/`, `*` and `?` do not.
fn wildcards(glob: &str) -> Rule<Regex> {
    let mut regex = String::from("(?s)^");
    let mut after = glob;
    while let Some(at) = after.find(['*', '?']) {
        regex.push_str(&regex::escape(&after[..at]));
        let wildcard = &after[at..];
        let (meaning, length) = if wildcard.starts_with("**") {
            (".*", 2)
        } else if wildcard.starts_with('*') {
            ("[^./]*", 1)
        } else {
            ("[^./]", 1)
        };
        regex.push_str(meaning);
        after = &wildcard[length..];
    }
    regex.push_str(&regex::escape(after));
    regex.push('$');
    Regex::new(&regex).map_err(|_| "The pattern has too many wildcards.")
}
