//! What users copy must work: the shipped policies, and the examples of the documents.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use warrantd_tests::places;

use super::tally::Tally;
use crate::shell::{root, run};

/// Documents whose YAML examples are checked.
const DOCUMENTS: [&str; 1] = ["README.md"];

/// Validates every shipped policy and every example.
pub(super) fn check(tally: &mut Tally) -> anyhow::Result<()> {
    let policies = yaml_files(&root().join("policies"))?;
    tally.step("the shipped policies are valid", || {
        ensure!(!policies.is_empty(), "there are none");
        warrantd("check", &policies)
    });
    let cases = yaml_files(&root().join("policies/tests"))?;
    if !cases.is_empty() {
        tally.step("the shipped policies decide as their tests say", || warrantd("test", &cases));
    }
    tally.step("the examples of the documents are valid", || {
        let scratch = tempfile::tempdir().context("a temporary directory")?;
        let mut examples = Vec::new();
        for document in DOCUMENTS {
            let text = fs::read_to_string(root().join(document)).context(document)?;
            for (number, example) in yaml_blocks(&text).into_iter().enumerate() {
                let file = scratch.path().join(format!("{document}-{}.yaml", number + 1));
                fs::write(&file, example)?;
                examples.push(file);
            }
        }
        ensure!(!examples.is_empty(), "there are none");
        warrantd("check", &examples)
    });
    Ok(())
}

fn warrantd(subcommand: &str, files: &[PathBuf]) -> anyhow::Result<()> {
    run(Command::new(places::program("warrantd")?).arg(subcommand).args(files))
}

/// The YAML files of a directory; none when there is no such directory.
fn yaml_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    Ok(files)
}

/// The blocks of a Markdown text that are fenced as YAML.
fn yaml_blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() == "```yaml" {
            let block: Vec<_> =
                lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            blocks.push(block.join("\n") + "\n");
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_blocks_are_found() {
        let text = "a\n```yaml\nb: 1\nc: 2\n```\n```sh\nd\n```\n```yaml\ne: 3\n```\n";
        assert_eq!(yaml_blocks(text), ["b: 1\nc: 2\n", "e: 3\n"]);
    }
}
