//! The pages that are made from the types and the command line, so that they cannot say something else.

mod commands;
mod keys;
mod page;

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;
use warrantd_tests::places;

use self::keys::Schema;
use crate::root;

/// A file that is made, and what it holds.
#[derive(Debug)]
pub struct Made {
    /// From the root of the repository on.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// The pages about files: the schema, the page, and what stands at its beginning.
const FILES: [(&str, &str, &str); 4] = [
    ("config", "docs/reference/configuration.md", include_str!("configuration.md")),
    ("policy", "docs/reference/policy.md", include_str!("policy.md")),
    ("cases", "docs/reference/policy-tests.md", include_str!("policy-tests.md")),
    ("record", "docs/reference/audit-record.md", include_str!("audit-record.md")),
];

/// Everything that is made, as it has to be.
pub fn made() -> anyhow::Result<Vec<Made>> {
    let mut made = Vec::new();
    for (name, path, head) in FILES {
        let text = schema(name)?;
        let schema: Value = serde_json::from_str(&text)?;
        made.push(Made { path: format!("policies/schema/{name}.schema.json"), text });
        let page = page::render(head, &Schema::new(schema), name == "record");
        made.push(Made { path: path.to_owned(), text: page.with_context(|| path)? });
    }
    let text = commands::render(include_str!("cli.md"), warrantd::cli::command());
    made.push(Made { path: "docs/reference/cli.md".to_owned(), text });
    Ok(made)
}

/// Writes what is not as it has to be, and gives its paths.
pub fn write(made: &[Made]) -> anyhow::Result<Vec<&str>> {
    let mut new = Vec::new();
    for Made { path, text } in made {
        let file = root().join(path);
        if fs::read_to_string(&file).is_ok_and(|old| old == *text) {
            continue;
        }
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(&file, text).with_context(|| path.clone())?;
        new.push(path.as_str());
    }
    Ok(new)
}

/// Compares what is committed.
pub fn check(made: &[Made]) -> anyhow::Result<()> {
    for Made { path, text } in made {
        let committed = fs::read_to_string(root().join(path)).unwrap_or_default();
        let differs = committed.lines().zip(text.lines()).position(|(was, is)| was != is);
        let line = differs.unwrap_or(committed.lines().count().min(text.lines().count())) + 1;
        ensure!(
            committed == *text,
            "{path} line {line} is not what the types say; run `cargo xtask docs` and commit it"
        );
    }
    Ok(())
}

/// A schema as `warrantd schema` prints it.
fn schema(name: &str) -> anyhow::Result<String> {
    let output = Command::new(places::program("warrantd")?).args(["schema", name]).output()?;
    ensure!(output.status.success(), "warrantd schema {name}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
