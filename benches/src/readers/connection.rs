//! Where readers connect to, and as whom.

use tokio_postgres::Client;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Result};

use super::tokens::{self, ROLE};

/// Statements that are sent before an answer is waited for.
pub const PIPELINED: usize = 28;
/// Rows of `auth.sessions` in the database of all else.
pub const SESSIONS: u32 = 1_000_000;

/// Where readers connect to.
pub struct Connection<'a> {
    pub cluster: &'a Cluster,
    pub database: &'a str,
}

impl Connection<'_> {
    /// Connects as a role that row-level security binds.
    pub async fn open(&self, check_sessions: bool) -> Result<Client> {
        let client = self.cluster.connect(self.database, SUPERUSER).await?;
        // The setting is the superuser's, who therefore becomes the role afterwards.
        let settings =
            format!("load 'workos_auth'; set workos_auth.check_sessions = {check_sessions}; set role {ROLE}");
        client.batch_execute(&settings).await?;
        Ok(client)
    }

    /// The same with a session, and with what others read claims from.
    pub async fn reader(&self, check_sessions: bool, token: &str) -> Result<Client> {
        let client = self.open(check_sessions).await?;
        client.query("select auth.set_session($1, false)", &[&token]).await?;
        let payload = tokens::payload(token)?;
        let others = "select set_config('request.jwt.claims', $1, false), set_config('app.user_id', $2, false)";
        client.query(others, &[&payload, &tokens::PERSON.to_string()]).await?;
        Ok(client)
    }
}
