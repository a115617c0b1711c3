//! `/ready` names what is wrong with the root key, also where the gateway's open connections still sign people in.

use crate::common::{Program, database_url, eventually, set_up, told};
use workos_end_to_end::root_keys::{configure, with_root_key_files};
use workos_end_to_end::{ALICE, Bed};
use workos_testbed::Cluster;

async fn is_not_ready(gateway: &Program, name: &str) {
    let (status, code) = told(gateway.get("/ready").send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (503, name));
}

/// Connections that are open follow a reload at their next statement, or the one after.
async fn is_not_ready_soon(gateway: &Program, name: &str) {
    let code = async || {
        let answer = gateway.get("/ready").send().await.unwrap();
        answer.headers().get("x-sb-error-code").map(|code| code.to_str().unwrap().to_owned())
    };
    eventually(name, async || code().await.as_deref() == Some(name)).await;
    is_not_ready(gateway, name).await;
}

async fn is_ready(gateway: &Program) {
    eventually("it is ready", async || gateway.get("/ready").send().await.unwrap().status() == 200).await;
}

#[tokio::test]
async fn every_state_of_the_root_key_has_its_name() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "ready_keys").await;
    let role = set_up(&bed).await;
    let gateway = Program::start_in(&bed, &[("DATABASE_URL", &database_url(&bed, &role, cluster.port()))], &[]).await;
    is_ready(&gateway).await;
    let (key, other) = (bed.root_key(), bed.new_root_key("other.key").await);

    // The connections are open and have opened nothing: that is the probe's, and no sign-in's, doing.
    with_root_key_files(&bed, &[]).await;
    is_not_ready_soon(&gateway, "root_key_required").await;
    with_root_key_files(&bed, &[&other]).await;
    is_not_ready_soon(&gateway, "root_key_mismatch").await;
    // Where the key should be is for the log.
    let missing = bed.key_path("missing.key");
    with_root_key_files(&bed, &[&missing]).await;
    is_not_ready_soon(&gateway, "root_key_not_found").await;
    let answer = gateway.get("/ready").send().await.unwrap().text().await.unwrap();
    assert!(!answer.contains(&missing), "{answer}");
    assert!(gateway.log().contains(&missing), "{}", gateway.log());
    cluster.append_conf("workos_auth.root_key_file = ''").unwrap();
    configure(&cluster, "root_key_command", "exit 1").await;
    is_not_ready_soon(&gateway, "root_key_command_failed").await;

    with_root_key_files(&bed, &[&key]).await;
    is_ready(&gateway).await;
    // Gone from a running server: people still sign in over these connections, and the probe tells.
    bed.shell(&format!("mv {key} {key}.aside")).await;
    is_not_ready(&gateway, "root_key_not_found").await;
    bed.shell(&format!("mv {key}.aside {key}")).await;
    is_ready(&gateway).await;

    // The key is right, and no sign-in can succeed.
    let configure = "select auth.configure_workos(client_id, redirect_uri, api_url => api_url) from auth.providers";
    let damage = "set private_key = set_byte(private_key, 20, get_byte(private_key, 20) # 1)";
    for (change, name, mend) in [
        ("delete from auth.signing_keys".to_owned(), "signing_key_missing", configure.to_owned()),
        (format!("update auth.signing_keys {damage}"), "seal_broken", "select auth.rotate_signing_key()".to_owned()),
    ] {
        bed.admin.batch_execute(&change).await.unwrap();
        is_not_ready(&gateway, name).await;
        bed.admin.batch_execute(&mend).await.unwrap();
        is_ready(&gateway).await;
    }

    // Lost for good: until WorkOS is configured anew.
    bed.shell(&format!("rm {key}")).await;
    is_not_ready(&gateway, "root_key_not_found").await;
    bed.admin.batch_execute("select auth.abandon_sealed_data()").await.unwrap();
    is_not_ready(&gateway, "provider_not_configured").await;
}

/// A program that has printed the right key is not asked with every probe.
#[tokio::test]
async fn a_program_is_not_run_for_each_probe() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "ready_command").await;
    let role = set_up(&bed).await;
    bed.sign_in(ALICE).await;
    let runs = bed.key_path("runs");
    cluster.append_conf("workos_auth.root_key_file = ''").unwrap();
    configure(&cluster, "root_key_command", &format!("echo x >> {runs}; cat {}", bed.root_key())).await;
    let gateway =
        Program::start_in(&bed, &[("DATABASE_URL", &database_url(&bed, &role, cluster.port()))], &["--pool-size", "1"])
            .await;
    is_ready(&gateway).await;
    let before = std::fs::read_to_string(&runs).unwrap();
    for _ in 0..10 {
        is_ready(&gateway).await;
    }
    assert_eq!(std::fs::read_to_string(&runs).unwrap(), before);
    // Another program is another question.
    configure(&cluster, "root_key_command", "exit 1").await;
    is_not_ready_soon(&gateway, "root_key_command_failed").await;
}
