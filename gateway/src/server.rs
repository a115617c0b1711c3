//! Takes connections, and lets them finish at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use crate::App;
use crate::routes;
use crate::tls::Tls;

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// After an error at accept, which is commonly a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest head of a request; an authorize URL with everything in it is far shorter.
const LONGEST_HEAD: usize = 64 * 1024;

/// Serves until SIGTERM or SIGINT, then takes no more connections, and waits for the requests that are under way.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, admin: Option<TcpListener>, app: Arc<App>) {
    let (stop, stopped) = watch::channel(false);
    let public = tokio::spawn(accept(listener, tls, routes::public(&app), Arc::clone(&app), stopped.clone()));
    let admin = admin.map(|admin| tokio::spawn(accept(admin, None, routes::admin(&app), Arc::clone(&app), stopped)));
    wait_for_signal().await;
    tracing::info!("stopping");
    let _ = stop.send(true);
    let _ = public.await;
    if let Some(admin) = admin {
        let _ = admin.await;
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    app: Arc<App>,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(usize::try_from(app.config.max_connections).unwrap_or(usize::MAX)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(app.config.header_timeout).max_buf_size(LONGEST_HEAD);
    loop {
        let next = async {
            let permit = Arc::clone(&connections).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (stream, peer, permit) = tokio::select! {
            (accepted, permit) = next => match accepted {
                Ok((stream, peer)) => (stream, peer, permit),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(PAUSE).await;
                    continue;
                }
            },
            _ = stopped.changed() => break,
        };
        // Answers are small: each goes out at once.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let (http, watcher, tls) = (http.clone(), graceful.watcher(), tls.clone());
        let (limit, stopped) = (app.config.header_timeout, stopped.clone());
        tokio::spawn(async move {
            match tls {
                None => serve_connection(&http, stream, peer, router, watcher).await,
                Some(tls) => {
                    if let Some(stream) = shake_hands(&tls, stream, limit, stopped).await {
                        serve_connection(&http, stream, peer, router, watcher).await;
                    }
                }
            }
            drop(permit);
        });
    }
    drop(listener);
    if timeout(app.config.shutdown_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way");
    }
}

async fn serve_connection<S>(http: &http1::Builder, stream: S, peer: SocketAddr, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request)
    });
    if let Err(error) = watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// `None` where the client does not get through it in time, or before the end. In the task of the connection: nobody
/// else waits for a client that says nothing.
async fn shake_hands(
    tls: &Tls,
    stream: TcpStream,
    limit: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Option<TlsStream<TcpStream>> {
    let result = tokio::select! {
        result = timeout(limit, tls.acceptor().accept(stream)) => result,
        _ = stopped.wait_for(|stopped| *stopped) => return None,
    };
    match result {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
    None
}

async fn wait_for_signal() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        // Without them, only SIGKILL ends it.
        _ => std::future::pending().await,
    }
}
