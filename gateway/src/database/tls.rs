//! TLS with the database: whose certificate is believed, and our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::servers::{Encryption, Mode, Roots};

/// What a server names in a handshake that begins without asking (RFC 7301).
const PROTOCOL: &[u8] = b"postgresql";

/// Why TLS with the database cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, unreadable or not PEM.
    #[error("{what} {} cannot be used: {}", path.display(), in_words(.cause))]
    File {
        /// The keyword.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: pem::Error,
    },
    /// It is no certificate.
    #[error("sslrootcert {} cannot be used: {cause}", path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: Error,
    },
    /// The system has none.
    #[error("sslrootcert=system: no certificates were found on this system")]
    NoSystemRoots,
    /// rustls's words.
    #[error("sslcert {} with sslkey {} cannot be used: {cause}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificates.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        cause: Error,
    },
    /// rustls's words.
    #[error("TLS with the database cannot be set up: {0}")]
    Setup(#[from] Error),
    /// rustls's words.
    #[error("TLS with the database cannot be set up: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// In words for people, where those of the PEM reader are for programmers.
fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of the kind is in it".into(),
        pem::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// Reads the files.
///
/// # Errors
/// See [`TlsError`].
pub fn connector(encryption: &Encryption) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let roots = match encryption.mode {
        Mode::Disable | Mode::Prefer | Mode::Require => Vec::new(),
        Mode::VerifyCa | Mode::VerifyFull => read_roots(&encryption.roots)?,
    };
    let mut store = RootCertStore::empty();
    for root in &roots {
        let added = store.add(root.clone());
        if let Roots::File(path) = &encryption.roots {
            added.map_err(|cause| TlsError::Root { path: path.clone(), cause })?;
        }
    }
    let chain = match store.is_empty() {
        true => None,
        false => Some(WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider)).build()?),
    };
    let verifier = Verifier { chain, is_full: encryption.mode == Mode::VerifyFull, roots, algorithms };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &encryption.client {
        Some((certificate, key)) if encryption.mode != Mode::Disable => {
            let chain = certificates("sslcert", certificate)?;
            let private = PrivateKeyDer::from_pem_file(key).map_err(file_error("sslkey", key))?;
            builder.with_client_auth_cert(chain, private).map_err(|cause| TlsError::Pair {
                certificate: certificate.clone(),
                key: key.clone(),
                cause,
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    if encryption.is_direct {
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

fn read_roots(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    match roots {
        Roots::None => Ok(Vec::new()),
        Roots::File(path) => certificates("sslrootcert", path),
        Roots::System => match rustls_native_certs::load_native_certs().certs {
            none if none.is_empty() => Err(TlsError::NoSystemRoots),
            certificates => Ok(certificates),
        },
    }
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>())
        .and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) })
        .map_err(file_error(what, path))
}

fn file_error(what: &'static str, path: &Path) -> impl Fn(pem::Error) -> TlsError {
    move |cause| TlsError::File { what, path: path.into(), cause }
}

/// Believes as much as `sslmode` says. That the server has the key of the certificate that it shows is looked at in any case.
#[derive(Debug)]
struct Verifier {
    /// `None`: whoever answers
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// Whether the name counts.
    is_full: bool,
    roots: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp_response, now) {
            // The name is looked at last: all else is good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.is_full => Ok(ServerCertVerified::assertion()),
            // `openssl req -x509`, as Postgres's documentation has it, makes a certificate that vouches for itself and may vouch for
            // others. It is trusted where it is the very one of the file; its dates were looked at before this.
            Err(Error::InvalidCertificate(CertificateError::Other(other)))
                if is_ca(&other) && self.roots.iter().any(|root| root == certificate) =>
            {
                if self.is_full {
                    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn is_ca(error: &tokio_rustls::rustls::OtherError) -> bool {
    error.0.downcast_ref::<webpki::Error>() == Some(&webpki::Error::CaUsedAsEndEntity)
}
