//! People who link and unlink identities of their own account.

use tokio_postgres::Client;
use uuid::Uuid;
use workos_testbed::browser_sign_in;

use crate::accounts::{Accounts, OKTA};
use crate::bed::{Pending, Session, exchange, reader};
use crate::sql::{Refusal, lines, refused};

/// Somebody who is signed in, and whose access token may link and unlink.
pub struct Person<'a> {
    /// Where the account is.
    pub at: &'a Accounts,
    /// Their session.
    pub session: Session,
    /// A connection of an ordinary role's that has it for good; linking and unlinking do not need it there.
    pub client: Client,
}

impl<'a> Person<'a> {
    /// Puts a session on a connection.
    pub async fn new(at: &'a Accounts, session: Session) -> Self {
        let role = format!("{}_people", at.bed.database);
        at.admin(&format!("do $$ begin if to_regrole('{role}') is null then create role {role} login; end if; end $$"))
            .await;
        let client = reader(&at.bed, &role, &session).await;
        Self { at, session, client }
    }

    /// Signs in as one of initech's Okta.
    pub async fn of_okta(at: &'a Accounts, id: &str, email: &str) -> Self {
        let session = at.signs_in(id, OKTA, email, id).await;
        Self::new(at, session).await
    }

    /// Starts a link through a connection and plays the browser: whose profile it is there.
    pub async fn starts(&self, id: &str, connection: &str, email: &str) -> Pending {
        self.at.put(id, connection, email, id);
        let sql = "select url, state, code_verifier from auth.link_identity($1, connection => $2)";
        let row = self.client.query_one(sql, &[&self.session.access_token, &connection]).await.unwrap();
        let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let callback = browser_sign_in(&url, Some(email)).await.unwrap();
        assert_eq!(callback.state, state);
        Pending { url, code: callback.code, verifier, state }
    }

    /// The whole course.
    pub async fn links(&self, id: &str, connection: &str, email: &str) -> Session {
        let pending = self.starts(id, connection, email).await;
        exchange(&self.at.app, &pending).await.unwrap_or_else(|error| panic!("{id}: {error:?}"))
    }

    /// Is refused at the end, and leaves nothing behind.
    pub async fn links_not(&self, id: &str, connection: &str, email: &str, name: &str) -> Refusal {
        let pending = self.starts(id, connection, email).await;
        let before = self.at.people().await;
        let refusal = refused(exchange(&self.at.app, &pending).await, name);
        assert_eq!(self.at.people().await, before, "{name}");
        refusal
    }

    /// Unlinks one.
    ///
    /// # Errors
    /// What the server said.
    pub async fn unlinks(&self, id: Uuid) -> Result<(), tokio_postgres::Error> {
        let sql = "select auth.unlink_identity($1, $2)";
        self.client.query_one(sql, &[&self.session.access_token, &id]).await.map(drop)
    }

    /// A call of a function with their access token before these arguments.
    pub fn call(&self, function: &str, further: &str) -> String {
        let comma = if further.is_empty() { "" } else { ", " };
        format!("select auth.{function}('{}'{comma}{further})", self.session.access_token)
    }
}

/// `auth.identities.id` of a profile.
pub async fn identity(at: &Accounts, profile: &str) -> Uuid {
    let sql = "select id from auth.identities where provider_id = $1";
    at.bed.admin.query_one(sql, &[&profile]).await.unwrap().get(0)
}

/// The profiles of a user, in order.
pub async fn profiles(at: &Accounts, user: Uuid) -> Vec<String> {
    let sql = format!("select provider_id from auth.identities where user_id = '{user}' order by 1");
    lines(&at.bed.admin, &sql).await.unwrap()
}
