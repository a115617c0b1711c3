//! `docs/tutorial.md`, typed into psql as a reader types it: the browser signs in where the page says so, and every output is the one that
//! the page shows.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use tokio::sync::mpsc;
use url::Url;
use workos_end_to_end::documents::Document;
use workos_end_to_end::documents::markdown::Kind;
use workos_end_to_end::documents::outputs::matches;
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Workos, browser_sign_in};

const WORDS: &str = "sql tutorial";

/// What psql is asked to say behind each block.
const END: &str = "== the block ends here ==";

/// psql, as tools/playground.sh starts it.
struct Terminal {
    psql: Child,
    stdin: ChildStdin,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Terminal {
    fn open(cluster: &Cluster, workos: &Workos) -> Self {
        let psql = cluster.command("psql");
        let mut shell = std::process::Command::new("sh");
        // A line at a time, errors among the answers. `-f -` has \prompt read from there too.
        shell
            .args(["-c", "exec stdbuf -oL \"$0\" \"$@\" 2>&1"])
            .arg(psql.get_program())
            .args(["--no-psqlrc", "--file=-", "--host=127.0.0.1", "--username", SUPERUSER, "--dbname=postgres"])
            .arg(format!("--port={}", cluster.port()))
            .arg(format!("--set=workos={}", workos.url()))
            .arg(format!("--set=root_key={}", cluster.root_key_path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut psql = shell.spawn().unwrap();
        let (stdin, stdout) = (psql.stdin.take().unwrap(), psql.stdout.take().unwrap());
        Self { psql, stdin, lines: lines_of(stdout) }
    }

    /// Types a block, with the code where psql asks for it, and returns what comes of it.
    async fn enter(&mut self, block: &str, code: &str) -> Vec<String> {
        let mut typed = String::new();
        for line in block.lines() {
            typed += &format!("{line}\n");
            if line.starts_with("\\prompt ") {
                typed += &format!("{code}\n");
            }
        }
        writeln!(self.stdin, "{typed}\\echo '{END}'").unwrap();
        self.stdin.flush().unwrap();
        let mut said = Vec::new();
        loop {
            let line = tokio::time::timeout(std::time::Duration::from_secs(60), self.lines.recv()).await;
            let line = line.unwrap_or_else(|_| panic!("psql says nothing:\n{block}\n{said:?}")).expect("psql ended");
            let line = line.strip_prefix("code: ").unwrap_or(&line).to_owned();
            if line == END {
                return said;
            }
            said.push(without_place(&line).trim_end().to_owned());
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

fn lines_of(stdout: ChildStdout) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Without `psql:<stdin>:7: `, which a terminal does not show.
fn without_place(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("psql:<stdin>:") else { return line };
    rest.split_once(": ").map_or(rest, |(_, said)| said)
}

fn person_of(url: &str) -> &'static str {
    let url = Url::parse(url).unwrap();
    let organization = url.query_pairs().find(|(name, _)| name == "organization").map(|(_, value)| value.into_owned());
    match organization.as_deref() {
        Some("org_globex") => "bob@globex.com",
        _ => "alice@acme.com",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_does_what_it_says() {
    let mut cluster = Cluster::start().unwrap();
    let workos = Workos::start().unwrap();
    // As testbed-cluster does it for the playground.
    cluster.append_conf(&format!("workos_auth.root_key_file = '{}'", cluster.root_key_path().display())).unwrap();
    cluster.restart().unwrap();
    let mut terminal = Terminal::open(&cluster, &workos);

    let page = Document::read("docs/tutorial.md");
    let (mut blocks, mut outputs, mut code) = (0, 0, String::new());
    // What the last block said, until it is compared.
    let mut open: Option<(usize, Vec<String>)> = None;
    for piece in page.pieces() {
        match piece.kind {
            Kind::Code(words) if words == WORDS => {
                no_error(open.take());
                let said = terminal.enter(&piece.text, &code).await;
                if let Some(url) = said.iter().find(|line| line.starts_with("http://")) {
                    code = browser_sign_in(url, Some(person_of(url))).await.unwrap().code;
                }
                open = Some((piece.line, said));
                blocks += 1;
            }
            Kind::Code(words) if words == "text output" => {
                let (line, said) = open.take().expect("a block in front of the output");
                let shown: Vec<&str> = piece.text.trim_end().lines().map(str::trim_end).collect();
                let said: Vec<&str> = said.iter().map(String::as_str).collect();
                let said = said.join("\n").trim_end().to_owned();
                let is_shown = shown.len() == said.lines().count()
                    && shown.iter().zip(said.lines()).all(|(shown, said)| matches(shown, said));
                assert!(is_shown, "docs/tutorial.md:{line} says:\n{said}");
                outputs += 1;
            }
            _ => {}
        }
    }
    no_error(open);
    assert!((blocks, outputs) >= (15, 8), "{blocks} blocks and {outputs} outputs were found");
}

/// A block whose answer is not shown meets no error.
fn no_error(said: Option<(usize, Vec<String>)>) {
    if let Some((line, said)) = said {
        assert!(!said.iter().any(|of| of.starts_with("ERROR:")), "docs/tutorial.md:{line} says:\n{}", said.join("\n"));
    }
}
