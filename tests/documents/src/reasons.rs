//! Every error that warrantd answers with is explained.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

use crate::root;

/// Where errors are explained.
const PAGE: &str = "docs/troubleshooting.md";
/// What makes an error, in the source. The reason is a word among the arguments.
const MAKERS: [&str; 7] = [
    "RpcError::new(",
    "Refusal::new(",
    "Self::new(StatusCode",
    "Self::new(status",
    "Refusal::forbidden(",
    "Refusal::not_found(",
    "reason = \"",
];
/// What has such words besides.
const REASONS: [&str; 1] = ["fn reason("];

/// A reason that nobody is given: what was not observed is released.
const NEVER: &str = "effects_unobserved";

/// Says which codes and reasons of the source the page does not have.
pub(crate) fn wrong() -> anyhow::Result<Vec<String>> {
    let page = fs::read_to_string(root().join(PAGE)).context(PAGE)?;
    let known: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let mut wrong = Vec::new();
    let codes = fs::read_to_string(root().join("agent/src/mcp/error.rs"))?;
    let codes: Vec<_> = codes.lines().filter_map(code).collect();
    ensure!(codes.len() > 10, "the codes are not where they were");
    for code in codes {
        if !page.lines().any(|line| line.starts_with("| ") && line.contains(code)) {
            wrong.push(format!("{PAGE} does not explain code {code}"));
        }
    }
    let mut reasons = BTreeSet::new();
    for dir in ["session", "serve", "transport"] {
        collect(&root().join("agent/src").join(dir), &mut reasons)?;
    }
    ensure!(reasons.len() > 20, "the reasons are not where they were: {reasons:?}");
    let unknown = reasons.iter().filter(|reason| !known.contains(reason.as_str()));
    let unknown = unknown.filter(|reason| *reason != NEVER);
    wrong.extend(unknown.map(|reason| format!("{PAGE} does not explain `{reason}`")));
    Ok(wrong)
}

/// The code that a line defines and that something uses.
fn code(line: &str) -> Option<&str> {
    let (name, code) = line.trim().strip_prefix("pub const ")?.split_once(": i64 = ")?;
    // Of the protocol, and passed on only.
    (name != "MISSING_CAPABILITY").then(|| code.trim_end_matches(';'))
}

fn collect(dir: &Path, reasons: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, reasons)?;
        } else {
            let text = fs::read_to_string(&path)?;
            reasons.extend(found(&text));
        }
    }
    Ok(())
}

/// The reasons in a file of source.
fn found(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = BTreeSet::new();
    for maker in MAKERS {
        for (at, _) in text.match_indices(maker) {
            let statement = text[at..].split(';').next().unwrap_or_default();
            found.extend(words(statement));
        }
    }
    for start in REASONS.iter().filter_map(|start| text.find(start)) {
        found.extend(words(text[start..].split("\n    }\n").next().unwrap_or_default()));
    }
    found
}

/// Words of programs in quotes: `policy_denied`.
fn words(text: &str) -> impl Iterator<Item = String> {
    let quoted = text.split('"').skip(1).step_by(2);
    let is_word = |word: &&str| {
        word.contains('_') && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    quoted.filter(is_word).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_found_where_errors_are_made() {
        let text = "
let error = RpcError::new(code::DENIED, \"denied\", \"policy_denied\");
let other = \"not_a_reason\";
fn reason(verdict: Verdict) -> &'static str {
    match verdict {
        Exceeded => \"warrant_exceeded\",
    }
}
#[cfg(test)]
mod tests { RpcError::new(0, \"x\", \"of_a_test\"); }
";
        let found: Vec<_> = found(text).into_iter().collect();
        assert_eq!(found, ["policy_denied", "warrant_exceeded"]);
    }
}
