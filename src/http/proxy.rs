//! The HTTP proxy on the way to WorkOS, for a server that has no other way out.

use std::io::Read;
use std::path::{Path, PathBuf};

use reqwest::Url;
use workos_auth_core::{Error, ErrorCode, Result};
use zeroize::Zeroizing;

use crate::secrets::secret_file::{self, Unusable};
use crate::settings;

/// The longest file of credentials that is read, in bytes.
const LONGEST: usize = 4096;

/// What `workos_auth.https_proxy` and `workos_auth.https_proxy_credentials_file` say.
#[derive(PartialEq, Eq, Clone)]
pub struct HttpsProxy {
    url: String,
    credentials_file: Option<PathBuf>,
}

impl HttpsProxy {
    /// The proxy for this address. There is none for one of this machine, which has no TLS.
    pub fn for_address(url: &str) -> Option<Self> {
        let proxy = settings::https_proxy().filter(|_| url.starts_with("https:"))?;
        Some(Self { url: proxy, credentials_file: settings::https_proxy_credentials_file() })
    }

    /// What the client takes. It asks the proxy for a tunnel (CONNECT; RFC 9110, section 9.3.6) and speaks TLS with WorkOS through it.
    ///
    /// # Errors
    /// `https_proxy_invalid`, `https_proxy_credentials_invalid`
    pub fn to_client(&self) -> Result<reqwest::Proxy> {
        let invalid = || Error::new(ErrorCode::HttpsProxyInvalid);
        let url = Url::parse(&self.url).map_err(|_| invalid())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(invalid());
        }
        let proxy = reqwest::Proxy::https(url).map_err(|_| invalid())?;
        let Some(file) = &self.credentials_file else { return Ok(proxy) };
        let credentials = read_credentials(file)?;
        match credentials.trim_end_matches(['\r', '\n']).split_once(':') {
            Some((user, password)) if !user.is_empty() && !credentials.trim_end().contains(char::is_control) => {
                Ok(proxy.basic_auth(user, password))
            }
            _ => Err(unusable(file, "it does not hold user:password and nothing else")),
        }
    }

    /// What the caller is told of a connection that did not come about, by its causes; `None` where the fault is not the proxy's.
    pub fn error(&self, causes: &str, is_timeout: bool) -> Option<Error> {
        let failed = |why: &str| Error::with_detail(ErrorCode::HttpsProxyFailed, format!("{}: {why}.", self.url));
        // The kinds of hyper-util's TunnelError, which it keeps to itself.
        let why = match causes.split_once("tunnel error: ").map(|(_, kind)| kind) {
            Some("proxy authorization required") => {
                let detail = match &self.credentials_file {
                    Some(file) => format!("{} does not accept those of {}.", self.url, file.display()),
                    None => {
                        format!("{} asks for them, and workos_auth.https_proxy_credentials_file is empty.", self.url)
                    }
                };
                return Some(Error::with_detail(ErrorCode::HttpsProxyCredentialsRefused, detail));
            }
            Some("unsuccessful") => "it refused to connect to WorkOS, or its answer is no HTTP",
            Some(kind) => return Some(failed(kind)),
            None if is_timeout => "no connection to WorkOS came about in time",
            None => return None,
        };
        Some(failed(why))
    }
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::with_detail(ErrorCode::HttpsProxyCredentialsInvalid, format!("{}: {why}.", path.display()))
}

fn read_credentials(path: &Path) -> Result<Zeroizing<String>> {
    let file = secret_file::open(path).map_err(|why| match why {
        Unusable::Unreadable(error) => unusable(path, &error.to_string()),
        Unusable::NotRegular => unusable(path, "it is not a regular file"),
        Unusable::Exposed { mode, owner } => {
            unusable(path, &format!("it has the mode {mode:04o} and belongs to user id {owner}"))
        }
    })?;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 1));
    file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(|_| unusable(path, "it does not hold text"))?;
    if text.len() > LONGEST {
        return Err(unusable(path, "it is longer than 4 kB"));
    }
    Ok(text)
}
