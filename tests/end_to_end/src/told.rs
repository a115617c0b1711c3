//! What WorkOS tells, brought to a database as pages of events.

use serde_json::{Value, json};
use tokio_postgres::{Error, GenericClient};
use workos_auth_core::json;

use crate::bed::Bed;

/// `auth.apply_events`
///
/// # Errors
/// It is refused.
pub async fn apply(client: &impl GenericClient, page: &Value, after: Option<&str>) -> Result<i64, Error> {
    client.query_one("select auth.apply_events($1, $2)", &[page, &after]).await.map(|row| row.get(0))
}

/// A page with these events and none behind.
pub fn page(events: &[Value]) -> Value {
    json!({ "object": "list", "data": events, "list_metadata": { "after": null } })
}

/// An event.
pub fn event(id: &str, event: &str, data: Value) -> Value {
    json!({ "object": "event", "id": id, "event": event, "data": data, "created_at": "2026-01-15T12:00:00.000Z" })
}

impl Bed<'_> {
    /// Has something happen at WorkOS, as `POST /_simulator/changes` takes it; the id of what it happened to.
    #[track_caller]
    pub fn happens(&self, change: Value) -> String {
        let read = json::read(change.to_string().as_bytes()).unwrap_or_else(|error| panic!("{change}: {error}"));
        self.workos.simulator().change(read).unwrap_or_else(|refusal| panic!("{change}: {refusal:?}"))
    }

    /// What WorkOS has told after an event, or from the beginning.
    pub fn told_after(&self, cursor: Option<&str>) -> Vec<Value> {
        let events = self.workos.simulator().events();
        let known = cursor.and_then(|cursor| events.iter().position(|event| event["id"] == cursor));
        events.into_iter().skip(known.map_or(0, |known| known + 1)).collect()
    }

    /// Where the database stands.
    pub async fn cursor(&self) -> Option<String> {
        let rows = self.admin.query("select cursor from auth.workos_sync", &[]).await.unwrap();
        rows.first().and_then(|row| row.get(0))
    }

    /// Applies all that WorkOS has told since, as one page; how many events were new.
    pub async fn follow(&self) -> i64 {
        let cursor = self.cursor().await;
        let page = page(&self.told_after(cursor.as_deref()));
        apply(&self.admin, &page, cursor.as_deref()).await.unwrap()
    }

    /// A directory of Acme with Alice and Anna in it, and Alice in a group; followed.
    pub async fn with_directory(&self) {
        self.happens(json!({ "create_directory": {
            "id": "directory_acme", "organization": "org_acme", "name": "Acme Okta",
            "users": [
                { "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" },
                { "id": "directory_user_anna", "idp_id": "okta-anna", "email": "anna@acme.com" },
            ],
            "groups": [[{ "id": "directory_group_builders", "name": "builders" }, ["okta-alice"]]],
        } }));
        self.follow().await;
    }
}
