//! Command lines of the gateway that documents show: it takes each flag with its value, and reads each variable.

use std::process::{Command, Output};

use workos_end_to_end::documents::Document;
use workos_end_to_end::documents::shell::{self, Call};

/// The help of a gateway with these arguments. The arguments in front of `--help` are read first.
fn help(arguments: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workos-auth-gateway"));
    command.env_clear().args(arguments).arg("--help").output().unwrap()
}

/// What is wrong with a call; empty where nothing is.
fn faults(call: &Call) -> Vec<String> {
    let output = help(call.words.get(1..).unwrap_or_default());
    if !output.status.success() {
        return vec![format!("{}: {}\n{}", call.place, call.line, String::from_utf8_lossy(&output.stderr))];
    }
    let help = String::from_utf8(output.stdout).unwrap();
    let is_read = |name: &str| ["=", "]"].iter().any(|end| help.contains(&format!("[env: {name}{end}")));
    let unknown = call.variables.iter().filter(|(name, _)| !is_read(name));
    unknown.map(|(name, _)| format!("{}: {}\nit reads no {name}", call.place, call.line)).collect()
}

#[test]
fn what_documents_show_is_taken() {
    let documents = Document::all();
    let calls = documents.iter().flat_map(shell::calls).filter_map(Result::ok).filter(Call::is_gateways);
    let calls: Vec<Call> = calls.collect();
    assert!(calls.len() >= 3, "{calls:?}");
    let faults: Vec<String> = calls.iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_flag_or_a_variable_that_is_not_there_is_found() {
    for (line, is_good) in [
        ("workos-auth-gateway --pool-size 5", true),
        ("GATEWAY_POOL_SIZE=5 DATABASE_URL=a workos-auth-gateway", true),
        ("DATABASE_URL=a", true),
        ("workos-auth-gateway --pool-sise 5", false),
        ("workos-auth-gateway --pool-size none", false),
        ("GATEWAY_POOL=5 workos-auth-gateway", false),
        ("GATEWAY_POOL_SIZES=5", false),
    ] {
        let page = Document { path: "a page".into(), text: format!("```sh\n{line}\n```\n") };
        let calls: Vec<Call> = shell::calls(&page).into_iter().map(Result::unwrap).collect();
        assert_eq!(calls.len(), 1, "{line}");
        assert_eq!(faults(&calls[0]).is_empty(), is_good, "{line}: {:?}", faults(&calls[0]));
    }
}
