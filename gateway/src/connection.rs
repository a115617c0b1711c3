//! One client's connection: the handshake, the requests, and the deadlines of [`Seat`] over all of it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use crate::address::Peer;
use crate::places::{GivenUp, Place, Seat};
use crate::tls::Tls;

/// The longest head of a request, its last empty line included; what is longer is 431. An authorize URL with everything in it is far
/// shorter.
const LONGEST_HEAD: usize = 64 * 1024;
/// The most lines in it; more are 431.
const MOST_HEADERS: usize = 100;
/// How much is read at a time, from a client whose connection closes.
const LEFTOVERS: usize = 8 * 1024;

/// What every connection of a listener is served with.
#[derive(Debug, Clone)]
pub struct Server {
    http: http1::Builder,
    tls: Option<Tls>,
    router: Router,
    stopped: watch::Receiver<bool>,
}

impl Server {
    /// `stopped` becomes true when it is time to end.
    pub fn new(tls: Option<Tls>, router: Router, stopped: watch::Receiver<bool>) -> Self {
        let mut http = http1::Builder::new();
        // The deadlines are ours.
        http.header_read_timeout(None).max_header_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
        // Room for a head that is too long by a little, so that it can be told so.
        http.max_buf_size(LONGEST_HEAD.saturating_mul(2));
        Self { http, tls, router, stopped }
    }

    /// Until the client or a deadline ends it, its place is wanted, or it is time to end.
    pub async fn serve(mut self, stream: TcpStream, peer: SocketAddr, place: Place) {
        let seat = Arc::clone(&place.seat);
        let how = match self.tls.take() {
            None => self.requests(stream, peer, seat).await,
            Some(tls) => match self.shake_hands(&tls, stream, &seat).await {
                Ok(stream) => self.requests(stream, peer, seat).await,
                Err(ended) => Err(ended),
            },
        };
        if let Err(ended) = how {
            tracing::debug!(step = ?place.seat.step(), "{ended}");
        }
    }

    /// In the task of the connection: nobody else waits for a client that says nothing.
    async fn shake_hands(&mut self, tls: &Tls, stream: TcpStream, seat: &Seat) -> Result<TlsStream<TcpStream>, Ended> {
        let deadline = seat.deadline().unwrap_or_else(Instant::now);
        let stream = tokio::select! {
            shaken = tls.acceptor().accept(stream) => shaken.map_err(Ended::Handshake)?,
            () = sleep_until(deadline) => return Err(Ended::TooSlow),
            () = seat.gone() => return Err(Ended::GivenUp),
            _ = self.stopped.wait_for(|stopped| *stopped) => return Err(Ended::Stopped),
        };
        seat.shaken_hands();
        Ok(stream)
    }

    async fn requests<S>(mut self, stream: S, peer: SocketAddr, seat: Arc<Seat>) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(Watched { stream, seat: Arc::clone(&seat), reads_on: None, is_shut: false });
        let of_request = Arc::clone(&seat);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            answer(self.router.clone(), Arc::clone(&of_request), peer, request)
        });
        let mut connection = pin!(self.http.serve_connection(io, service));
        let mut stopped = pin!(self.stopped.wait_for(|stopped| *stopped));
        let mut is_stopping = false;
        let mut gone = pin!(seat.gone());
        let mut timer = pin!(sleep_until(Instant::now()));
        poll_fn(|cx| {
            if !is_stopping && stopped.as_mut().poll(cx).is_ready() {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            if gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(Ended::GivenUp));
            }
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(Ended::BrokeOff));
            }
            // Only what was polled above moves the deadline.
            match seat.deadline() {
                Some(deadline) => expires(timer.as_mut(), deadline, cx).map(|()| Err(Ended::TooSlow)),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// Whether it is as late as that.
fn expires(mut timer: Pin<&mut Sleep>, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.poll(cx)
}

async fn answer(
    router: Router,
    seat: Arc<Seat>,
    peer: SocketAddr,
    request: hyper::Request<Incoming>,
) -> Result<Response, GivenUp> {
    seat.begun()?;
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer));
    request.extensions_mut().insert(Arc::clone(&seat));
    let Ok(response) = router.oneshot(request).await;
    seat.answered();
    Ok(response)
}

/// Why a connection ended before the client ended it.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("a TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[error("a client took too long")]
    TooSlow,
    #[error("a connection was given up for another one")]
    GivenUp,
    #[error("a connection broke off: {0}")]
    BrokeOff(hyper::Error),
    #[error("a connection was not ready when the end came")]
    Stopped,
}

/// Tells the seat what passes, and reads on where the answer could get lost.
struct Watched<S> {
    stream: S,
    seat: Arc<Seat>,
    /// Once it closes: whether to read on after that.
    reads_on: Option<bool>,
    is_shut: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.seat.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.seat.written();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.seat.sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let seat = Arc::clone(&self.seat);
        let reads_on = *self.reads_on.get_or_insert_with(|| seat.closing());
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.is_shut = true;
        }
        if !reads_on {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; LEFTOVERS];
        loop {
            let mut buf = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.seat.written();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
