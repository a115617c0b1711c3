//! WorkOS's own emulator: the witness that is not ours.
#![allow(clippy::disallowed_methods)]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// The emulator's default key.
pub const API_KEY: &str = "sk_test_default";

const SEED: &str = "
users:
  - {email: carol@acme.com, first_name: Carol, last_name: Cole, email_verified: true}
organizations:
  - {name: Acme Corp, domains: [{domain: acme.com, state: verified}]}
  - {name: Globex, domains: [{domain: globex.com, state: verified}]}
connections:
  - name: Acme SSO
    organization: Acme Corp
    connection_type: OktaSAML
    state: active
    domains: [acme.com]
    profiles:
      - {email: alice@acme.com, first_name: Alice, last_name: Admin, idp_id: okta-alice-1, groups: [admins, engineering]}
  - name: Globex SSO
    organization: Globex
    connection_type: GenericOIDC
    state: active
    domains: [globex.com]
    profiles:
      - {email: bob@globex.com, first_name: Bob, last_name: Builder, idp_id: oidc-bob-1}
";

/// A running emulator. Dropping it ends its process group.
#[derive(Debug)]
pub struct Emulator {
    process: Child,
    /// The base URL, to be given as `api_url`.
    pub url: String,
    // Its home and its seed.
    _dir: TempDir,
}

impl Emulator {
    /// Starts it with organizations, connections and people.
    pub async fn start() -> Self {
        let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node");
        let program: PathBuf = node.join("node_modules/.bin/workos");
        assert!(program.exists(), "WorkOS's emulator is not installed in tests/node: run make setup-tests");
        let dir = tempfile::tempdir().unwrap();
        let seed = dir.path().join("seed.yaml");
        std::fs::write(&seed, SEED).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(program)
            .args(["emulate", "--port", &port.to_string(), "--seed"])
            .arg(&seed)
            .env("WORKOS_TELEMETRY", "false")
            .env("HOME", dir.path())
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the emulator does not start: is node installed? run make setup-tests");
        let mut emulator = Self { process, url: format!("http://127.0.0.1:{port}"), _dir: dir };
        emulator.wait_until_healthy().await;
        emulator
    }

    async fn wait_until_healthy(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let client = http();
        loop {
            let answer = client.get(format!("{}/health", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            let log = || std::fs::read_to_string(self._dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the emulator ended with {}:\n{}", ended.unwrap(), log());
            assert!(Instant::now() < deadline, "the emulator is not healthy:\n{}", log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The id of what has this name; the emulator makes new ones at every start.
    pub async fn id(&self, resource: &str, name: &str) -> String {
        let request = http().get(format!("{}/{resource}", self.url)).bearer_auth(API_KEY);
        let body = request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        let list: Value = serde_json::from_slice(&body).unwrap();
        let found = list["data"].as_array().unwrap().iter().find(|item| item["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {list}"))["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Not reaped yet, so the process id is still its own.
        let _ = killpg(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
