//! What sends webhooks, one after the other.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;

use crate::state::State;
use crate::webhooks::{Delivery, Next, WebhookEndpoint};

/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends until it is dropped.
pub(crate) async fn send(state: Arc<State>) -> reqwest::Result<()> {
    let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).no_proxy().build()?;
    let changed = Arc::clone(&state.lock().webhooks.changed);
    loop {
        let next = state.lock().webhooks.next();
        match next {
            Next::Wait => changed.notified().await,
            Next::WaitUntil(due) => tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                () = changed.notified() => {}
            },
            Next::Send(delivery, endpoint) => {
                let status = post(&client, &state, &delivery, &endpoint).await;
                state.lock().webhooks.done(delivery, status);
            }
        }
    }
}

/// The status that came back.
async fn post(client: &Client, state: &State, delivery: &Delivery, endpoint: &WebhookEndpoint) -> Option<u16> {
    let signature = state.lock().webhooks.signature(&endpoint.secret, &delivery.body);
    let request = client
        .post(&endpoint.endpoint_url)
        .header("Content-Type", "application/json")
        .header("WorkOS-Signature", signature)
        .body(delivery.body.clone());
    Some(request.send().await.ok()?.status().as_u16())
}
