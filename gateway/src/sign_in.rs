//! What waits for WorkOS: done by the database in one call, or in two halves between which this server asks WorkOS.

use std::time::{Duration, Instant};

use crate::app::App;
use crate::database::{CallbackQuery, CallbackStep, Landed, Opened, RequestClient, Versions, is_own_code};
use crate::error::Result;

/// Where WorkOS's redirect sends the browser on to.
///
/// # Errors
/// What the database said.
pub async fn handle_callback(app: &App, callback: &CallbackQuery<'_>) -> Result<Landed> {
    let Some(workos) = &app.workos else { return app.database.handle_callback(callback).await };
    match app.database.callback_request(callback).await? {
        CallbackStep::Redirect(url) => Ok(Landed { url, took: Duration::ZERO }),
        CallbackStep::Ask(request) => {
            let began = Instant::now();
            let answer = workos.ask(&request).await;
            let took = began.elapsed();
            Ok(Landed { url: app.database.callback_answer(&request, &answer).await?, took })
        }
    }
}

/// The session that a code is good for. The code that `/callback` gave is the database's own, and no matter of WorkOS's.
///
/// # Errors
/// What the database said.
pub async fn exchange_code(app: &App, code: &str, verifier: &str, client: &RequestClient<'_>) -> Result<Opened> {
    match &app.workos {
        Some(workos) if !is_own_code(code) => {
            let request = app.database.exchange_request(code, verifier).await?;
            app.database.exchange_answer(&request, &workos.ask(&request).await, client).await
        }
        _ => app.database.exchange_code(code, verifier, client).await,
    }
}

/// Whether sign-ins can be served, and by which versions of the extension.
///
/// # Errors
/// Why not.
pub async fn is_ready(app: &App) -> Result<Versions> {
    app.database.is_ready().await?;
    if app.workos.is_some() {
        app.database.may_broker().await?;
    }
    app.database.versions().await
}
