//! WorkOS over TLS: whose certificates are believed.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, Pending, configure_workos, exchange};
use workos_end_to_end::sql::{Refusal, refused, shell};
use workos_testbed::workos::CLIENT_SECRET;
use workos_testbed::{Callback, browser_sign_in};

/// The simulator behind TLS, with a certificate that a file beside the database holds.
struct Tls {
    url: String,
    simulator: String,
    ca_file: PathBuf,
}

impl Tls {
    /// The database's provider is it from now on, and its certificate is believed.
    async fn before(bed: &Bed<'_>) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let to = bed.simulator().port();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut from) = acceptor.accept(from).await else { return };
                    let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        let ca_file = file(bed, "ca.pem", &made.cert.pem(), "0644").await;
        let tls = Self { url, simulator: bed.simulator().url(), ca_file };
        let sql = configure_workos(&format!(", client_secret => '{CLIENT_SECRET}', api_url => '{}'", tls.url));
        bed.admin.batch_execute(&sql).await.unwrap();
        bed.set("workos_auth.ca_file", tls.ca_file.to_str().unwrap()).await;
        tls
    }

    /// A sign-in that only needs the exchange. The browser believes no such certificate, and goes to the simulator itself.
    async fn start(&self, client: &Client) -> Pending {
        let sql = format!("select url, state, code_verifier from auth.start_sign_in({})", ALICE.selector);
        let row = client.query_one(&sql, &[]).await.unwrap();
        let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        assert!(url.starts_with(&self.url), "{url}");
        let plain = url.replace(&self.url, &self.simulator);
        let Callback { code, .. } = browser_sign_in(&plain, Some(ALICE.email)).await.unwrap();
        Pending { url, code, verifier, state }
    }

    async fn sign_in(&self, client: &Client) {
        exchange(client, &self.start(client).await).await.unwrap_or_else(|error| panic!("{error:?}"));
    }

    /// A fresh connection's sign-in, which is refused so.
    async fn is_refused(&self, bed: &Bed<'_>, name: &str) -> Refusal {
        let client = bed.backend().await;
        let pending = self.start(&client).await;
        refused(exchange(&client, &pending).await, name)
    }
}

/// A file of the server's operating-system user's, beside the cluster's data.
async fn file(bed: &Bed<'_>, name: &str, content: &str, mode: &str) -> PathBuf {
    let path = bed.cluster.data_dir().with_file_name(format!("{}_{name}", bed.database));
    let shown = path.display();
    shell(&bed.admin, &format!("printf %s '{content}' > {shown} && chmod {mode} {shown}")).await;
    path
}

#[tokio::test]
async fn a_certificate_is_checked_with_the_authorities_of_the_file_or_else_the_systems() {
    let bed = Bed::shared("roots").await;
    let tls = Tls::before(&bed).await;
    let client = bed.backend().await;
    for _ in 0..3 {
        tls.sign_in(&client).await;
    }
    // Nobody the system knows has signed it.
    bed.set("workos_auth.ca_file", "").await;
    let error = tls.is_refused(&bed, "workos_unreachable").await;
    assert!(error.detail.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    for (content, why) in [("", "it holds no certificate"), ("no certificate", "it holds no certificate")] {
        let path = file(&bed, "bad.pem", content, "0644").await;
        bed.set("workos_auth.ca_file", path.to_str().unwrap()).await;
        let error = tls.is_refused(&bed, "tls_roots_unavailable").await;
        assert_eq!(error.detail, format!("workos_auth.ca_file: {}: {why}.", path.display()));
    }
    bed.set("workos_auth.ca_file", "/nowhere/ca.pem").await;
    let error = tls.is_refused(&bed, "tls_roots_unavailable").await;
    assert!(error.detail.starts_with("workos_auth.ca_file: /nowhere/ca.pem: No such file"), "{error}");
    // The connection that had the right one still has it, and takes another when it is told to.
    tls.sign_in(&client).await;
}
