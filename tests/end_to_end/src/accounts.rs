//! People whose profiles at WorkOS change, and the accounts that they sign in to.

use tokio_postgres::Client;
use uuid::Uuid;

use crate::bed::{Bed, Session, exchange, start_with};
use crate::sql::{Refusal, refused};
use crate::witness::profile;

/// Two connections of one organization, as when Okta is replaced by Google Workspace.
pub const OKTA: &str = "conn_initech_okta";
/// The other one.
pub const GOOGLE: &str = "conn_initech_google";

/// A database, a connection of its backend's, and people whose profiles change.
pub struct Accounts {
    /// The database.
    pub bed: Bed<'static>,
    /// The backend's connection.
    pub app: Client,
}

impl Accounts {
    /// Makes it, with settings that are given without their prefix.
    #[track_caller]
    pub fn new(name: &str, settings: &[(&str, &str)]) -> impl Future<Output = Self> {
        let bed = Bed::shared(name);
        async move {
            let bed = bed.await;
            for (setting, value) in settings {
                bed.set(&format!("workos_auth.{setting}"), value).await;
            }
            let app = bed.backend().await;
            Self { bed, app }
        }
    }

    /// Makes the profile what it shall be, and signs it in through its connection.
    ///
    /// # Errors
    /// What the server said.
    pub async fn comes(
        &self,
        id: &str,
        connection: &str,
        email: &str,
        idp_id: &str,
    ) -> Result<Session, tokio_postgres::Error> {
        self.put(id, connection, email, idp_id);
        let pending = start_with(&self.app, &format!("connection => '{connection}'"), email).await;
        exchange(&self.app, &pending).await
    }

    /// The same, and must be let in.
    pub async fn signs_in(&self, id: &str, connection: &str, email: &str, idp_id: &str) -> Session {
        self.comes(id, connection, email, idp_id).await.unwrap_or_else(|error| panic!("{id}: {error:?}"))
    }

    /// Is refused, and leaves nothing behind.
    pub async fn is_refused(&self, id: &str, connection: &str, email: &str, idp_id: &str, name: &str) -> Refusal {
        let before = self.people().await;
        let result = self.comes(id, connection, email, idp_id).await;
        assert!(result.is_err(), "{id} was let in, not {name}");
        let refusal = refused(result, name);
        assert_eq!(self.people().await, before, "{name}");
        refusal
    }

    /// Makes the profile what it shall be.
    pub fn put(&self, id: &str, connection: &str, email: &str, idp_id: &str) {
        self.bed.simulator().put_profile(profile(id, connection, email, idp_id)).unwrap();
    }

    /// Everything but the flows.
    pub async fn people(&self) -> Vec<(String, String)> {
        self.bed.contents().await.into_iter().filter(|(table, _)| table != "flow_states").collect()
    }

    /// `users.email`
    pub async fn email(&self, user: Uuid) -> Option<String> {
        self.bed.admin.query_one("select email from auth.users where id = $1", &[&user]).await.unwrap().get(0)
    }

    /// How many there are.
    pub async fn users(&self) -> i64 {
        self.bed.count("select count(*) from auth.users").await
    }

    /// Runs something as the superuser.
    pub async fn admin(&self, sql: &str) {
        self.bed.admin.batch_execute(sql).await.unwrap();
    }

    /// Whether the session has its row.
    pub async fn lives(&self, session: &Session) -> bool {
        let sql = "select exists (select from auth.sessions where id = $1)";
        self.bed.admin.query_one(sql, &[&session.session_id]).await.unwrap().get(0)
    }
}
