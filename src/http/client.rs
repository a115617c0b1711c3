//! The HTTP client of a backend.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Certificate, Client, redirect, retry};
use workos_auth_core::{Error, ErrorCode, Result};

use super::failure::causes;
use super::resolver::SystemResolver;
use crate::settings;

/// What a client was made with; another setting makes another client.
#[derive(PartialEq, Eq, Clone)]
struct Configuration {
    connect_timeout: Duration,
    ca_file: Option<std::path::PathBuf>,
}

thread_local! {
    static CLIENT: RefCell<Option<(Configuration, Client)>> = const { RefCell::new(None) };
}

/// The backend's client, made at the first call and whenever a setting it depends on has changed.
pub fn get() -> Result<Client> {
    let wanted = Configuration { connect_timeout: settings::connect_timeout(), ca_file: settings::ca_file() };
    CLIENT.with_borrow_mut(|client| match client {
        Some((configuration, client)) if *configuration == wanted => Ok(client.clone()),
        _ => {
            let made = build(&wanted)?;
            *client = Some((wanted, made.clone()));
            Ok(made)
        }
    })
}

fn build(configuration: &Configuration) -> Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("workos_auth/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(configuration.connect_timeout)
        .dns_resolver(Arc::new(SystemResolver))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(1);
    if let Some(path) = &configuration.ca_file {
        builder = builder.tls_certs_only(certificates(path)?);
    }
    builder.build().map_err(|error| Error::with_detail(ErrorCode::TlsRootsUnavailable, causes(&error)))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    let failed = |why: String| {
        Error::with_detail(ErrorCode::TlsRootsUnavailable, format!("workos_auth.ca_file: {}: {why}.", path.display()))
    };
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(failed("it holds no certificate".into())),
        Err(error) => Err(failed(causes(&error))),
    }
}
