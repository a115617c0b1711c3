//! The certificate authorities that WorkOS's certificate is checked with.

use std::env;
use std::path::Path;

use openssl_probe::{ENV_CERT_DIR, probe};
use reqwest::Certificate;
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use workos_auth_core::{Error, ErrorCode, Result};

use super::failure::causes;

/// Those of a PEM file. All of them must be readable.
pub fn of_file(path: &Path) -> Result<Vec<Certificate>> {
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

/// Those of the operating system, or of the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` in the server's environment. What cannot be read
/// among them is passed over.
///
/// The system's bundle is read alone where there is one. The directory beside it holds the same certificates in a file each, and to read
/// them takes every backend ten times as long.
pub fn of_system() -> Result<Vec<Certificate>> {
    let bundle = probe().cert_file.filter(|_| env::var_os(ENV_CERT_DIR).is_none());
    let found = bundle.map(|bundle| load_certs_from_paths(Some(&bundle), None)).filter(|found| !found.certs.is_empty());
    let CertificateResult { certs, errors, .. } = found.unwrap_or_else(load_native_certs);
    let usable = certs.iter().filter(|certificate| webpki::anchor_from_trusted_cert(certificate).is_ok());
    let roots: Vec<Certificate> = usable.filter_map(|certificate| Certificate::from_der(certificate).ok()).collect();
    if roots.is_empty() {
        let why = errors.first().map_or_else(|| "the system has none".into(), ToString::to_string);
        return Err(Error::with_detail(
            ErrorCode::TlsRootsUnavailable,
            format!("No usable certificate was found: {why}."),
        ));
    }
    Ok(roots)
}
