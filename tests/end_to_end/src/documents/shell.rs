//! Commands that a document shows in a block of `sh`. A block stands in a script that tests run, as other code does, or each line of it is
//! one plain call of which a test knows every part: targets and variables of `make`, packages that we make, and programs of ours with their
//! flags. A pipe, a loop or a substitution is no plain call.

use std::fs;
use std::path::{Path, PathBuf};

use super::markdown::Kind;
use super::{Document, root};

/// The gateway's program. Its own tests ask it about flags and variables: they have it built.
pub const GATEWAY: &str = "workos-auth-gateway";

/// What makes a line more than one call. None of it is quoted where it stands.
const OPERATORS: [char; 13] = ['$', '`', '|', '&', ';', '<', '>', '(', ')', '{', '}', '"', '\\'];

/// A line of a block.
#[derive(Debug, PartialEq, Eq)]
pub struct Call {
    /// The document and the block's line.
    pub place: String,
    /// As it stands there, without a comment.
    pub line: String,
    /// What stands in front of the program: `PG_MAJOR=17`.
    pub variables: Vec<(String, String)>,
    /// The program and its arguments; empty where variables are all there is.
    pub words: Vec<String>,
}

impl Call {
    fn read(place: &str, line: &str) -> Option<Self> {
        if line.split('\'').step_by(2).any(|unquoted| unquoted.contains(OPERATORS)) {
            return None;
        }
        let mut words = shlex::split(line)?;
        let variables: Vec<_> = words.iter().map_while(|word| assignment(word)).collect();
        words.drain(..variables.len());
        Some(Self { place: place.to_owned(), line: line.to_owned(), variables, words })
    }

    /// Whether it starts the gateway, or sets what the gateway reads.
    pub fn is_gateways(&self) -> bool {
        let program = self.words.first().map(|program| Path::new(program).file_name().unwrap_or_default());
        program.is_none_or(|program| program == GATEWAY)
    }
}

/// The name and the value of a variable that is set.
fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

/// Each line of a document's blocks that stand in no file: the call, or the line as a fault.
pub fn calls(document: &Document) -> Vec<Result<Call, String>> {
    let mut calls = Vec::new();
    let mut is_included = false;
    for piece in document.pieces() {
        match &piece.kind {
            Kind::Comment => is_included = piece.text.starts_with("include:"),
            Kind::Code(words) => {
                if words == "sh" && !is_included {
                    let place = format!("{}:{}", document.path, piece.line);
                    let text = piece.text.replace("\\\n", " ");
                    let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
                    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
                        calls.push(Call::read(&place, line).ok_or_else(|| fault(&place, line)));
                    }
                }
                is_included = false;
            }
            _ => {}
        }
    }
    calls
}

fn fault(place: &str, line: &str) -> String {
    format!("{place}: no test runs this sh: {line}")
}

/// The lines of a document that no test runs and of which not every part is known.
pub fn faults(document: &Document) -> Vec<String> {
    let known = Known::read();
    let folder = Path::new(&document.path).with_file_name("");
    let of_call = |call: Call| (!known.knows(&call, &folder)).then(|| fault(&call.place, &call.line));
    calls(document).into_iter().filter_map(|call| call.map_or_else(Some, of_call)).collect()
}

/// What calls are held against.
struct Known {
    makefile: String,
    /// The Makefile and the scripts that it calls.
    scripts: String,
    /// The majors of Postgres that packages are made for.
    majors: Vec<String>,
    debian: String,
    rpm: String,
    staged: String,
    trials: String,
    inside_a_backend: String,
    crates: String,
}

impl Known {
    fn read() -> Self {
        let read = |path: &str| fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let makefile = read("Makefile");
        let mut scripts = makefile.clone();
        for folder in ["tools", "packaging"] {
            scripts.extend(files(&root().join(folder), "sh").iter().map(|path| fs::read_to_string(path).unwrap()));
        }
        let environment = read("tools/env.sh");
        let majors = environment.split_once("PG_MAJORS=(").and_then(|(_, rest)| rest.split_once(')')).unwrap().0;
        Self {
            makefile,
            scripts,
            majors: majors.split(' ').map(str::to_owned).collect(),
            debian: read("packaging/debian/control.in"),
            rpm: read("packaging/rpm/workos_auth.spec"),
            staged: read("packaging/stage.sh"),
            trials: read("tools/test-packages.sh"),
            inside_a_backend: read("tools/test-pgrx.sh"),
            crates: read("Cargo.lock"),
        }
    }

    fn knows(&self, call: &Call, folder: &Path) -> bool {
        let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            _ if call.is_gateways() => true,
            ["make", arguments @ ..] => self.knows_make(call, arguments),
            ["npm", arguments @ ..] => knows_npm(call, arguments),
            _ if !call.variables.is_empty() => false,
            ["apt-get", "install", files @ ..] => all(files, |file| self.is_debian_file(file)),
            ["apt-get", "purge", names @ ..] => all(names, |name| self.is_debian_package(name)),
            ["dnf", "install", files @ ..] => all(files, |file| self.is_rpm_file(file)),
            ["pgxn", "install", flags @ .., "workos_auth"] => {
                flags.iter().all(|flag| self.trials.contains(&format!("/pgxn\" install {flag} ")))
            }
            ["cargo", "pgrx", "test", major, arguments @ ..] => {
                major.strip_prefix("pg").is_some_and(|major| self.majors.iter().any(|known| known == major))
                    && flags_of(arguments).all(|flag| self.inside_a_backend.contains(&format!("{flag} ")))
            }
            ["cargo", "build" | "test", arguments @ ..] => self.knows_cargo(arguments),
            [".", script] => root().join(script).is_file(),
            [program] if self.staged.contains(&format!("/bin/{program}\"")) => true,
            [script, arguments @ ..] => knows_script(script, arguments, folder),
            [] => false,
        }
    }

    /// Targets, and variables that the Makefile or a script of ours reads.
    fn knows_make(&self, call: &Call, arguments: &[&str]) -> bool {
        let rules = self.makefile.lines().filter(|line| !line.starts_with(['\t', '#', '.']));
        let targets: Vec<&str> =
            rules.filter_map(|line| line.split_once(':')).flat_map(|(names, _)| names.split(' ')).collect();
        let is_read = |(name, _): &(String, String)| {
            ["$(", "${", "$"].iter().any(|mark| {
                let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
                self.scripts.split(&format!("{mark}{name}")).skip(1).any(ends)
            })
        };
        let (set, goals): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| assignment(word).is_some());
        all(&goals, |goal| targets.contains(goal))
            && call.variables.iter().all(is_read)
            && set.into_iter().filter_map(assignment).all(|variable| is_read(&variable))
    }

    /// `-p` and a package of ours, `--test` and its program of tests; what follows `--` is a part of a test's path.
    fn knows_cargo(&self, arguments: &[&str]) -> bool {
        let mut arguments = arguments.iter();
        let is_ours =
            |package: &str| package.starts_with("workos_") && self.crates.contains(&format!("name = \"{package}\"\n"));
        while let Some(argument) = arguments.next() {
            let is_known = match *argument {
                "--" => return true,
                "--release" => true,
                "-p" => arguments.next().is_some_and(|package| is_ours(package)),
                "--test" => arguments.next().is_some_and(|program| ["all", "gateway"].contains(program)),
                _ => false,
            };
            if !is_known {
                return false;
            }
        }
        true
    }

    /// Whether it is a Debian package, of a major for which they are made.
    fn is_debian_package(&self, name: &str) -> bool {
        let mut names = self.debian.lines().filter_map(|line| line.strip_prefix("Package: "));
        names.any(|known| self.majors.iter().any(|major| known.replace("@MAJOR@", major) == name))
    }

    fn is_debian_file(&self, file: &str) -> bool {
        let name = |of: &str| file.strip_prefix("./")?.strip_suffix(&format!("_{}-1_{of}.deb", version()));
        ["amd64", "arm64"].into_iter().filter_map(name).any(|name| self.is_debian_package(name))
    }

    fn is_rpm_file(&self, file: &str) -> bool {
        let name = |of: &str| file.strip_prefix("./")?.strip_suffix(&format!("-{}-1.{of}.rpm", version()));
        ["x86_64", "aarch64"].into_iter().filter_map(name).any(|name| self.is_rpm(name))
    }

    fn is_rpm(&self, name: &str) -> bool {
        let named =
            |line: &'_ str| line.strip_prefix("%package -n ").or_else(|| line.strip_prefix("Name:")).map(str::to_owned);
        let mut names = self.rpm.lines().filter_map(named);
        names.any(|known| self.majors.iter().any(|major| known.trim().replace("%{major}", major) == name))
    }
}

/// The version as packages write it: one before a release has a tilde.
fn version() -> String {
    env!("CARGO_PKG_VERSION").replace('-', "~")
}

/// There is at least one, and each is good.
fn all(words: &[&str], is_good: impl FnMut(&&str) -> bool) -> bool {
    !words.is_empty() && words.iter().all(is_good)
}

fn flags_of<'a>(arguments: &'a [&str]) -> impl Iterator<Item = &'a str> {
    arguments.iter().copied().filter(|word| word.starts_with('-'))
}

/// `npm ci`, or a script that every example with a package.json has; and variables that the example in Express reads.
fn knows_npm(call: &Call, arguments: &[&str]) -> bool {
    let examples = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut packages = examples.filter_map(|folder| fs::read_to_string(folder.join("package.json")).ok());
    let app = fs::read_to_string(root().join("examples/express/app.js")).unwrap();
    // const { NAME, OTHER = 'a default' } = process.env;
    let read = app.split_once(" } = process.env;").and_then(|(before, _)| before.rsplit_once("{ ")).unwrap().1;
    let is_read = |name: &str| read.split(", ").any(|read| read.split(' ').next() == Some(name));
    let is_known = match arguments {
        ["ci"] => true,
        [script] => packages.all(|package| {
            let package = workos_auth_core::json::parse(&package).unwrap();
            package["scripts"].get(script).is_some()
        }),
        _ => false,
    };
    is_known && call.variables.iter().all(|(name, _)| is_read(name))
}

/// A script of ours, with flags that it takes: `--flag)` in its `case`.
fn knows_script(script: &str, arguments: &[&str], folder: &Path) -> bool {
    let is_ours = ["examples/", "tools/", "tests/", "crates/", "./"].iter().any(|of| script.starts_with(of));
    let read = |path: PathBuf| fs::read_to_string(root().join(path).join(script)).ok();
    let Some(text) = read(PathBuf::new()).or_else(|| read(folder.to_owned())) else { return false };
    is_ours && flags_of(arguments).all(|flag| text.contains(&format!("{flag}) ")))
}

/// The files of a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|of| of == extension)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case;

    fn faults_of(lines: &str) -> Vec<String> {
        faults(&Document { path: "a page".into(), text: format!("```sh\n{lines}\n```\n") })
    }

    #[test]
    fn a_call_of_which_every_part_is_there_is_no_fault() {
        let version = version();
        for line in [
            "make demo",
            "PG_MAJOR=17 make install   # of another version",
            "make test-e2e ONLY=sessions::refresh",
            "make test-format test-lint",
            &format!("apt-get install ./postgresql-17-workos-auth_{version}-1_amd64.deb"),
            "apt-get purge postgresql-15-workos-auth workos-auth-gateway",
            &format!(
                "dnf install ./workos_auth_15-{version}-1.x86_64.rpm ./workos-auth-gateway-{version}-1.x86_64.rpm"
            ),
            "pgxn install --nosudo workos_auth",
            "cargo build --release -p workos_auth_gateway",
            "cargo test --release -p workos_end_to_end --test all -- row_1",
            "cargo test --release -p workos_auth_gateway --test gateway -- linking",
            "cargo pgrx test pg15 --runas postgres a_name",
            "workos-auth-demo",
            "examples/moving/move.sh --from 'postgres://a?b=c&d=e' \\\n  --people-only",
            "# says nothing",
            "DATABASE_URL=postgres://app@localhost/app npm start",
        ] {
            case!(line);
            assert_eq!(faults_of(line), Vec::<String>::new());
        }
    }

    #[test]
    fn anything_else_is_one() {
        for line in [
            "ls /nowhere",
            "make bake",
            "make",
            "make demo; ls",
            "make demo | tee log",
            "make test-e2e ONLI=sessions",
            "PG_MAYOR=17 make install",
            "make test-e2e ONLY=\"$(ls)\"",
            "apt-get install ./workos-auth-gateway_0.0.0-1_amd64.deb",
            "apt-get install ./workos-auth-gatevay_0.3.0-1_amd64.deb",
            "apt-get install ./postgresql-12-workos-auth_0.3.0-1_amd64.deb",
            "apt-get install curl",
            "apt-get remove workos-auth-gateway",
            "apt-get purge",
            "dnf install ./workos_auth_12-0.3.0-1.x86_64.rpm",
            "pgxn install --sudo workos_auth",
            "pgxn install other",
            "cargo build --release -p workos_auth_gate",
            "cargo build --fast",
            "cargo test --release -p workos_end_to_end --test none",
            "cargo run",
            "cargo pgrx test pg12",
            "cargo pgrx test pg15 --runs postgres",
            "workos-auth-tour",
            "workos-auth-demo --fast",
            "examples/moving/move.sh --form 'postgres://a'",
            "tools/none.sh",
            "npm install",
            "DATABASE=x npm start",
            "for a in b; do",
            "an 'open quote",
        ] {
            case!(line);
            assert_eq!(faults_of(line), [format!("a page:1: no test runs this sh: {line}")]);
        }
    }

    #[test]
    fn what_a_file_has_is_that_files() {
        let included = "<!-- include: tests/a.sh#b -->\n\n```sh\nls\n```\n\n```sh\nls\n```\n";
        let faults = faults(&Document { path: "a page".into(), text: included.into() });
        assert_eq!(faults, ["a page:7: no test runs this sh: ls"]);
    }

    #[test]
    fn a_line_that_sets_variables_or_starts_the_gateway_is_the_gateways() {
        let text = "```sh\nDATABASE_URL='a&b'\nA=1 target/release/workos-auth-gateway --listen 1\nA=1 make demo\n```\n";
        let calls = calls(&Document { path: "a page".into(), text: text.into() });
        let gateways: Vec<bool> = calls.iter().map(|call| call.as_ref().unwrap().is_gateways()).collect();
        assert_eq!(gateways, [true, true, false]);
        let words = ["target/release/workos-auth-gateway", "--listen", "1"].map(str::to_owned).to_vec();
        let variables = vec![("A".to_owned(), "1".to_owned())];
        let line = "A=1 target/release/workos-auth-gateway --listen 1".to_owned();
        assert_eq!(calls[1], Ok(Call { place: "a page:1".into(), line, variables, words }));
    }
}
