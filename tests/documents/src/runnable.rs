//! Examples that are run: the blocks of a page in their order, in one scratch directory.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use warrantd_tests::needs::{Need, missing};
use warrantd_tests::places;

use crate::markdown::{Block, Document};

/// What running the examples of a page gave.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) wrong: Vec<String>,
    /// Blocks that need root.
    pub(crate) skipped: usize,
}

/// Whether a page has examples to run.
pub(crate) fn has_some(document: &Document) -> bool {
    document.blocks.iter().any(|block| block.language == "sh" && block.says("run"))
}

/// Writes the files of a page and runs what is to be run.
pub(crate) fn run(document: &Document) -> anyhow::Result<Ran> {
    let mut ran = Ran::default();
    let scratch = tempfile::tempdir().context("a temporary directory")?;
    // Servers under test run as another user.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(scratch.path(), open)?;
    let mut printed = None;
    for block in &document.blocks {
        let place = document.at(block.line);
        if let Some(name) = block.value("file") {
            let file = scratch.path().join(name);
            if let Some(dir) = file.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::write(&file, &block.text)?;
        }
        if block.language == "text" && block.says("output") {
            let wanted = printed.take();
            ran.wrong.extend(wanted.and_then(|printed: String| {
                let line = first_difference(&block.text, &printed)?;
                Some(format!("{place}: {line}"))
            }));
        }
        if block.language != "sh" || !block.says("run") {
            continue;
        }
        if block.says("root") && missing(&[Need::Kernel]).is_some() {
            ran.skipped += 1;
            printed = None;
            continue;
        }
        match execute(block, scratch.path()) {
            Ok(output) => printed = Some(output),
            Err(error) => {
                ran.wrong.push(format!("{place}: {error:#}"));
                printed = None;
            }
        }
    }
    Ok(ran)
}

fn execute(block: &Block, scratch: &Path) -> anyhow::Result<String> {
    let program = places::program("warrantd")?;
    let own = program.parent().unwrap_or(Path::new("/"));
    let path = env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "-c", &block.text]).current_dir(scratch);
    shell.env("PATH", format!("{}:{path}", own.display())).env("HOME", scratch);
    let output = shell.output().context("bash")?;
    let wanted = block.value("exit").map_or(Ok(0), str::parse).context("exit=NUMBER")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(wanted), "{}: {}", output.status, said.trim_end());
    let mut printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // What fails says so on standard error.
    if wanted != 0 {
        printed.push_str(&said);
    }
    Ok(printed)
}

/// How what is shown differs from what was printed; `…` stands for anything within a line, and alone on a
/// line for any lines.
fn first_difference(shown: &str, printed: &str) -> Option<String> {
    let mut printed = printed.lines().peekable();
    let mut shown = shown.lines().peekable();
    while let Some(line) = shown.next() {
        if line.trim() == "…" {
            let next = shown.peek()?;
            while printed.peek().is_some_and(|line| !fits(next, line)) {
                printed.next();
            }
            continue;
        }
        match printed.next() {
            Some(is) if fits(line, is) => {}
            Some(is) => return Some(format!("shown is `{line}`, printed was `{is}`")),
            None => return Some(format!("shown is `{line}`, and nothing more was printed")),
        }
    }
    printed.next().map(|line| format!("`{line}` was printed, too"))
}

fn fits(shown: &str, line: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let Some(mut rest) = line.trim_end().strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let at = if index + 1 == parts.len() { rest.rfind(part) } else { rest.find(part) };
        match at {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_may_leave_out_what_changes() {
        assert!(fits("a … c", "a b c") && fits("a", "a") && fits("…c", "abc") && fits("a…", "a"));
        assert!(!fits("a … c", "a b d") && !fits("a", "ab"));
        assert_eq!(first_difference("a\n…\nd\n", "a\nb\nc\nd\n"), None);
        assert_eq!(first_difference("a\n…\n", "a\nb\n"), None);
        assert!(first_difference("a\n", "a\nb\n").is_some());
        assert!(first_difference("a\nb\n", "a\n").is_some());
    }

    #[test]
    fn a_page_is_run_in_one_directory() {
        let text = "```text file=d/a\nx\n```\n```sh run\ncat d/a\n```\n```text output\nx\n```
```sh run exit=3\necho y; exit 3\n```\n```text output\nz\n```\n```sh run\nfalse\n```\n```sh\nexit 1\n```\n";
        if places::program("warrantd").is_err() {
            return; // Without it nothing is run; the step of the documents says so.
        }
        let ran = run(&Document::parse(Path::new("x.md"), text)).expect("runs");
        let [output, code] = &ran.wrong[..] else { panic!("{ran:?}") };
        assert!(output.contains("shown is `z`, printed was `y`"), "{output}");
        assert!(code.starts_with("x.md:16: exit status: 1"), "{code}");
    }
}
