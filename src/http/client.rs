//! The HTTP client of a backend.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, redirect, retry};
use workos_auth_core::{Error, ErrorCode, Result};

use super::failure::{Failure, causes};
use super::proxy::HttpsProxy;
use super::resolver::SystemResolver;
use super::roots;
use crate::settings;

/// What a client was made with; another setting makes another client.
#[derive(PartialEq, Eq, Clone)]
struct Configuration {
    connect_timeout: Duration,
    roots: Roots,
    proxy: Option<HttpsProxy>,
}

/// Which certificate authorities are read.
#[derive(PartialEq, Eq, Clone)]
enum Roots {
    /// None: the address is one of this machine, without TLS.
    Unneeded,
    System,
    File(PathBuf),
}

impl Roots {
    fn for_address(url: &str) -> Self {
        match settings::ca_file() {
            _ if !url.starts_with("https:") => Self::Unneeded,
            None => Self::System,
            Some(path) => Self::File(path),
        }
    }

    fn read(&self) -> Result<Vec<Certificate>> {
        match self {
            Self::Unneeded => Ok(Vec::new()),
            Self::System => roots::of_system(),
            Self::File(path) => roots::of_file(path),
        }
    }
}

thread_local! {
    static CLIENT: RefCell<Option<(Configuration, Client)>> = const { RefCell::new(None) };
}

/// The backend's client for this address, made at the first call and whenever a setting it depends on has changed.
pub fn get(url: &str) -> Result<Client> {
    let wanted = Configuration {
        connect_timeout: settings::connect_timeout(),
        roots: Roots::for_address(url),
        proxy: HttpsProxy::for_address(url),
    };
    CLIENT.with_borrow_mut(|client| match client {
        Some((configuration, client)) if *configuration == wanted => Ok(client.clone()),
        _ => {
            let made = build(&wanted)?;
            *client = Some((wanted, made.clone()));
            Ok(made)
        }
    })
}

/// Has the next call make another client where this one could not connect: the files that it was made of may be others by then.
pub fn forget_if_unconnected(failure: &Failure) {
    if let Failure::Http(error) = failure
        && error.is_connect()
    {
        CLIENT.set(None);
    }
}

fn build(configuration: &Configuration) -> Result<Client> {
    let builder = Client::builder()
        .user_agent(concat!("workos_auth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(configuration.connect_timeout)
        .dns_resolver(Arc::new(SystemResolver))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        // Those of the environment.
        .no_proxy()
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(1)
        .tls_certs_only(configuration.roots.read()?);
    let builder = match &configuration.proxy {
        Some(proxy) => builder.proxy(proxy.to_client()?),
        None => builder,
    };
    builder.build().map_err(|error| Error::with_detail(ErrorCode::TlsRootsUnavailable, causes(&error)))
}
