//! Nothing outlives the tests: a watcher that ends the server when this process does.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::error::{Error, Result};
use crate::postgres::Installation;

/// The watcher's whole program. `$1` is the server's process id, `$2` the cluster's directory.
///
/// `read` returns when the other end of the pipe is closed, which the kernel does even for a process that was
/// killed. QUIT is Postgres's immediate shutdown. The wait is bounded (10 s): where nobody reaps orphans, the
/// ended server stays visible for ever.
const WATCH: &str = r#"
read -r _
kill -QUIT "$1" 2>/dev/null
i=0
while kill -0 "$1" 2>/dev/null && [ $i -lt 200 ]; do sleep 0.05; i=$((i + 1)); done
rm -rf "$2"
"#;

/// A process that waits for ours to end, however it ends, then ends the server and removes its directory.
///
/// `Drop` alone is not enough: a static is never dropped, nor is anything when a test run is killed.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Watches over the server with the process id `server`, whose files are all in `dir`.
    pub(crate) fn over(installation: &Installation, server: u32, dir: &Path) -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCH, "workos-testbed-guard"]).arg(server.to_string()).arg(dir);
        // Without a terminal's signals, which go to the whole process group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        installation.drop_privileges(&mut command);
        command.spawn().map(Self).map_err(Error::io("start the watcher of the server"))
    }
}

impl Drop for Guard {
    /// Calls the watch off; the server stays.
    fn drop(&mut self) {
        // An error means that it is gone already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
