//! One address of a server: a connection goes there, and so does the request that cancels what the connection runs.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where one server listens.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// Over the network.
    Tcp {
        /// What the name stands for.
        at: SocketAddr,
        /// What a certificate has to say.
        name: String,
    },
    /// On this machine.
    Unix(PathBuf),
}

impl Endpoint {
    /// Those of a server's settings, which name one host, in the order in which they are tried.
    ///
    /// # Errors
    /// The name cannot be resolved.
    pub async fn all(config: &Config) -> io::Result<Vec<Self>> {
        let port = config.get_ports().first().copied().unwrap_or_default();
        let name = match config.get_hosts().first() {
            Some(Host::Unix(folder)) => return Ok(vec![Self::Unix(folder.join(format!(".s.PGSQL.{port}")))]),
            Some(Host::Tcp(name)) => name.clone(),
            None => return Ok(Vec::new()),
        };
        if let Some(address) = config.get_hostaddrs().first() {
            return Ok(vec![Self::Tcp { at: (*address, port).into(), name }]);
        }
        let found = lookup_host((name.as_str(), port)).await?;
        Ok(found.map(|at| Self::Tcp { at, name: name.clone() }).collect())
    }

    /// The settings for this one alone.
    pub fn only(&self, config: &Config) -> Config {
        let mut config = config.clone();
        if let Self::Tcp { at, .. } = self
            && config.get_hostaddrs().is_empty()
        {
            config.hostaddr(at.ip());
        }
        config
    }

    /// Asks the server to cancel what a connection to here runs, and waits until the server has hung up.
    ///
    /// The driver's own request hangs up first. PgBouncer 1.18 forgets a request whose sender is gone before there is a connection for
    /// it, and 1.18 and 1.19.0 end with a fatal error where the sender goes while the request is on its way.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn cancel(&self, token: &CancelToken, tls: &mut MakeRustlsConnect) -> Result<(), CancelError> {
        match self {
            Self::Tcp { at, name } => {
                let stream = HangsUpLast(TcpStream::connect(at).await?);
                let Ok(tls) = MakeTlsConnect::<HangsUpLast<TcpStream>>::make_tls_connect(tls, name);
                Ok(token.cancel_query_raw(stream, tls).await?)
            }
            Self::Unix(path) => {
                let stream = HangsUpLast(UnixStream::connect(path).await?);
                let Ok(tls) = MakeTlsConnect::<HangsUpLast<UnixStream>>::make_tls_connect(tls, "");
                Ok(token.cancel_query_raw(stream, tls).await?)
            }
        }
    }
}

/// Why a server was not asked to cancel.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// It cannot be reached.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// TLS with it cannot be had, or it hung up too early.
    #[error(transparent)]
    Driver(#[from] tokio_postgres::Error),
}

/// A stream that ends when the other side has ended it.
struct HangsUpLast<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for HangsUpLast<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HangsUpLast<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; 64];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            let outcome = ready!(Pin::new(&mut self.0).poll_read(context, &mut buffer));
            // A server has nothing to say to this.
            if outcome.is_err() || buffer.filled().is_empty() {
                return Pin::new(&mut self.0).poll_shutdown(context);
            }
        }
    }
}
