//! Root keys of a cluster: files of them, the settings that name them, and what is refused without the right one.

use tokio_postgres::Client;
use workos_testbed::Cluster;

use crate::bed::Bed;
use crate::sql::shell;

/// A statement that needs the root key in a connection that has opened nothing yet.
pub const START: &str = "select auth.start_sign_in('org_acme')";

impl Bed<'_> {
    /// A file beside the cluster's root key. Nothing is there yet.
    pub fn key_path(&self, name: &str) -> String {
        self.cluster.root_key_path().with_file_name(name).display().to_string()
    }

    /// Makes another root key and returns its file.
    pub async fn new_root_key(&self, name: &str) -> String {
        let path = self.key_path(name);
        self.admin.execute("select auth.create_root_key($1)", &[&path]).await.unwrap();
        path
    }

    /// The file of the root key that the database was set up with.
    pub fn root_key(&self) -> String {
        self.cluster.root_key_path().display().to_string()
    }

    /// Moves or copies files as the server's user.
    pub async fn shell(&self, command: &str) {
        shell(&self.admin, command).await;
    }
}

/// Has the configuration file say so, and returns when new connections know. Those that are open follow at their next statement.
pub async fn configure(cluster: &Cluster, setting: &str, value: &str) {
    cluster.append_conf(&format!("workos_auth.{setting} = '{}'", value.replace('\'', "''"))).unwrap();
    cluster.reload().await.unwrap();
}

/// Names these files, in their order, and connects anew: open connections remember what they have opened.
pub async fn with_root_key_files(bed: &Bed<'_>, files: &[&str]) -> Client {
    configure(bed.cluster, "root_key_file", &files.join(", ")).await;
    bed.superuser().await
}

/// Moves the database to the root key of a file; returns how many values that were.
///
/// # Errors
/// What the server said.
pub async fn reseal(client: &Client, path: &str) -> Result<i64, tokio_postgres::Error> {
    client.query_one("select auth.reseal($1)", &[&path]).await.map(|row| row.get(0))
}
