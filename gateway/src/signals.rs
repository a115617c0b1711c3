//! What signals do. SIGTERM and SIGINT end the process in order, SIGHUP reads the TLS certificate again, and SIGUSR1 and SIGUSR2, which
//! tools for logs send, do nothing. Rust's runtime ignores SIGPIPE. All others do what they do by default.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::tls::Tls;

/// Signals are caught from here on, also those that come before somebody waits for them.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    /// To be called first: until then, each of them ends the process.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Follows them for as long as the process lives. What is returned waits for the first that ends it.
    pub fn follow(self, tls: Option<Tls>) -> impl Future<Output = ()> {
        let Self { mut terminate, mut interrupt, mut hangup, mut user1, mut user2 } = self;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = hangup.recv() => match &tls {
                        Some(tls) => tls.renew(),
                        None => tracing::info!("SIGHUP: there is no TLS certificate to read again"),
                    },
                    Some(()) = user1.recv() => tracing::info!("SIGUSR1 means nothing here"),
                    Some(()) = user2.recv() => tracing::info!("SIGUSR2 means nothing here"),
                    else => break,
                }
            }
        });
        async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
    }
}
