//! What logs say, each kind of line once.

use std::collections::BTreeMap;

/// What is worth a look: whatever says one of these.
const LEVELS: [&str; 8] = ["WARNING", "ERROR", "FATAL", "PANIC", "WARN", "error=", "panicked", "TRAP"];

/// How often each kind of line is there. Two lines are of a kind where they differ in numbers and ids alone.
pub fn kinds(whose: &str, log: &str) -> String {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.lines().filter(|line| LEVELS.iter().any(|level| line.contains(level))) {
        *kinds.entry(kind(line)).or_default() += 1;
    }
    let lines: Vec<String> = kinds.into_iter().map(|(kind, times)| format!("| {times} | {kind} |")).collect();
    format!("{whose} logged, above what is only told:\n\n| times | |\n|---|---|\n{}", lines.join("\n"))
}

/// The line without its time, and with one `#` for every word that has a digit in it.
fn kind(line: &str) -> String {
    let masked =
        |word: &str| if word.bytes().any(|byte| byte.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() };
    let words: Vec<String> = line.split([' ', '/', '=', ':', ',']).map(masked).collect();
    let mut kind = words.join(" ");
    while kind.contains("# #") {
        kind = kind.replace("# #", "#");
    }
    kind
}
