//! Databases that go from one cluster to another.

use std::process::Command;

use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

use crate::sql::shell;

/// Runs a program that must succeed.
///
/// # Panics
/// It does not start, or fails; the message is what it said.
pub fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Gives a cluster the root key of another one.
pub async fn bring_root_key(from: &Cluster, to: &Cluster) {
    let postgres = to.connect("postgres", SUPERUSER).await.unwrap();
    let brought = to.root_key_path().with_file_name("brought.key").display().to_string();
    shell(&postgres, &format!("cp {} {brought} && chmod 0600 {brought}", from.root_key_path().display())).await;
    to.append_conf(&format!("workos_auth.root_key_file = '{brought}'")).unwrap();
    to.reload().await.unwrap();
}
