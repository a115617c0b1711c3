//! Takes connections, and lets their requests finish at the end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::connection::Server;
use crate::places::{Places, Step};
use crate::routes;
use crate::tls::Tls;

/// After an error at accept, which is commonly a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `end`, then takes no more connections, and waits for the requests that are under way.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    admin: Option<TcpListener>,
    app: Arc<App>,
    end: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let public = tokio::spawn(accept(listener, tls, routes::public(&app), Arc::clone(&app), stopped.clone()));
    let admin = admin.map(|admin| tokio::spawn(accept(admin, None, routes::admin(&app), Arc::clone(&app), stopped)));
    end.await;
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
    let places = Places::new(&app.config, app.metrics.connections());
    let first_step = if tls.is_some() { Step::Handshake } else { Step::Idle };
    let server = Server::new(tls, router, stopped.clone());
    // Each connection holds one end of both.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let (abandon, abandoned) = watch::channel(());
    loop {
        let next = async {
            let (stream, peer) = listener.accept().await?;
            let place = places.take(peer.ip(), first_step).await;
            std::io::Result::Ok((stream, peer, place))
        };
        let (stream, peer, place) = tokio::select! {
            taken = next => match taken {
                Ok(taken) => taken,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    places.make_room();
                    sleep(PAUSE).await;
                    continue;
                }
            },
            _ = stopped.changed() => break,
        };
        // Answers are small: each goes out at once.
        let _ = stream.set_nodelay(true);
        let (server, open, mut abandoned) = (server.clone(), open.clone(), abandoned.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = server.serve(stream, peer, place) => {}
                _ = abandoned.changed() => {}
            }
            drop(open);
        });
    }
    drop(listener);
    drop(open);
    if timeout(app.config.shutdown_timeout, all_closed.recv()).await.is_err() {
        tracing::warn!("requests were still under way");
        let _ = abandon.send(());
        all_closed.recv().await;
    }
}
