//! A database that follows WorkOS, and a customer with a directory there.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_simulator::{
    Change, Departure, EventSettings, NewDirectory, NewDirectoryGroup, NewDirectoryUser, RecordedRequest,
};

use crate::bed::{Bed, Session};

/// The directory of [`Bed::follows`].
pub const DIRECTORY: &str = "directory_acme";
/// What webhooks are signed with, where a test says nothing else.
pub const WEBHOOK_SECRET: &str = "whsec_demo";

/// Somebody of the directory.
pub fn in_directory(name: &str) -> NewDirectoryUser {
    NewDirectoryUser {
        id: Some(format!("directory_user_{name}")),
        directory: DIRECTORY.into(),
        idp_id: format!("okta-{name}"),
        email: Some(format!("{name}@acme.com")),
        ..NewDirectoryUser::default()
    }
}

impl Bed<'_> {
    /// Acme has a directory with Alice and Anna, of whom Alice is in a group.
    pub fn has_directory(&self) {
        // Nobody waits for what is held back, but where that is tested.
        self.simulator().set_events(EventSettings { hold_back_ms: 0, ..EventSettings::default() });
        let group =
            NewDirectoryGroup { id: Some("directory_group_ops".into()), directory: String::new(), name: "Ops".into() };
        let new = NewDirectory {
            id: Some(DIRECTORY.into()),
            organization: "org_acme".into(),
            name: "Acme".into(),
            kind: None,
            users: vec![in_directory("alice"), in_directory("anna")],
            groups: vec![(group, vec!["okta-alice".into()])],
        };
        self.simulator().change(Change::CreateDirectory(new)).unwrap();
    }

    /// A database that follows WorkOS, where Acme has a directory.
    pub async fn follows(&self) {
        self.has_directory();
        self.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
        self.simulator().clear_requests();
    }

    /// Asks for events.
    pub async fn sync(&self) {
        self.admin.batch_execute("call auth.sync_workos()").await.unwrap();
    }

    /// Somebody of the directory leaves.
    pub fn departs(&self, name: &str) {
        let id = format!("directory_user_{name}");
        self.simulator().change(Change::DirectoryUserDeparts { id, departure: Departure::default() }).unwrap();
    }

    /// Whether a session is there.
    pub async fn lives(&self, session: &Session) -> bool {
        self.count(&format!("select count(*) from auth.sessions where id = '{}'", session.session_id)).await == 1
    }

    /// The requests for events.
    pub fn asked_for_events(&self) -> Vec<RecordedRequest> {
        self.simulator().requests().into_iter().filter(|request| request.path == "/events").collect()
    }
}

/// What WorkOS signs, with the time of the signature in milliseconds since 1970.
pub fn signature(body: &str, secret: &str, time: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time}, v1={hex}")
}

/// What becomes of an event that a webhook brings.
///
/// # Errors
/// What the server said.
pub async fn receive(client: &Client, event: &Value) -> Result<String, tokio_postgres::Error> {
    let body = event.to_string();
    let signature = signature(&body, WEBHOOK_SECRET, crate::waiting::now() * 1000);
    client.query_one("select auth.receive_webhook($1, $2)", &[&body, &signature]).await.map(|row| row.get(0))
}

/// An event of a type and with data, as WorkOS writes it.
pub fn event(id: &str, event: &str, data: &Value) -> Value {
    json!({ "object": "event", "id": id, "event": event, "data": data, "created_at": "2026-11-30T12:00:00.000Z" })
}
