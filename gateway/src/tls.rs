//! TLS of the public address: a certificate and its key, read at the start and again at SIGHUP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Config;

/// Why a pair of files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, unreadable or not PEM.
    #[error("--tls-certificate {} cannot be used: {}", .0.display(), cause(.1))]
    Certificate(PathBuf, pem::Error),
    /// Missing, unreadable or not PEM.
    #[error("--tls-key {} cannot be used: {}", .0.display(), cause(.1))]
    Key(PathBuf, pem::Error),
    /// Each can be read, but they do not belong together.
    #[error(
        "--tls-key {} is not the key of the first certificate in --tls-certificate {}",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificates.
        certificate: PathBuf,
    },
    /// What rustls says, such as of a kind of key that it does not know.
    #[error("--tls-certificate {} with --tls-key {} cannot be used: {cause}", certificate.display(), key.display())]
    Pair {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificates.
        certificate: PathBuf,
        /// rustls's words.
        cause: rustls::Error,
    },
}

/// In words for people, where those of the PEM reader are for programmers.
fn cause(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of the kind is in it".into(),
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Begins a handshake with the certificate of the moment.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Pair>);

#[derive(Debug)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    current: watch::Sender<Arc<ServerConfig>>,
}

impl Tls {
    /// `None` where the configuration names no certificate.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(config: &Config) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (config.tls_certificate.clone(), config.tls_key.clone()) else {
            return Ok(None);
        };
        let current = watch::Sender::new(read(&certificate, &key)?);
        Ok(Some(Self(Arc::new(Pair { certificate, key, current }))))
    }

    /// Reads the files again. Connections that are open keep what they began with.
    pub fn renew(&self) {
        match read(&self.0.certificate, &self.0.key) {
            Ok(config) => {
                self.0.current.send_replace(config);
                tracing::info!("the TLS certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the TLS certificate stays the old one"),
        }
    }

    /// For one connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.0.current.borrow()).into()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|error| TlsError::Certificate(certificate.into(), error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key(key.into(), error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|cause| match cause {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { key: key.into(), certificate: certificate.into() }
            }
            cause => TlsError::Pair { key: key.into(), certificate: certificate.into(), cause },
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
