//! The kernel tests, put into a virtual machine.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::cpio::Tree;
use super::image;
use crate::shell::cargo;

/// Where the tests are in the machine.
const PLACE: &str = "/usr/lib/warrantd/kernel_suite";

/// Builds the tests, puts them into the tree, and gives their command line.
pub(super) fn argv(tree: &mut Tree, arguments: &[String]) -> anyhow::Result<Vec<String>> {
    image::add(tree, &built()?, PLACE)?;
    Ok([PLACE.to_owned()].into_iter().chain(arguments.iter().cloned()).collect())
}

fn built() -> anyhow::Result<String> {
    let mut build = cargo(&["test", "--quiet", "--package", "warrantd", "--test", "kernel_suite"]);
    build.args(["--no-run", "--message-format=json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the kernel tests do not build: cargo: {}", output.status);
    let text = String::from_utf8(output.stdout).context("cargo's messages")?;
    executable(&text).context("cargo names no program of the kernel tests")
}

/// The program of the kernel tests in what cargo says.
fn executable(messages: &str) -> Option<String> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ours = messages.filter(|message| message["target"]["name"] == "kernel_suite");
    ours.find_map(|message| message["executable"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"warrantd"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"kernel_suite"},"executable":"/t/deps/kernel_suite-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages).as_deref(), Some("/t/deps/kernel_suite-1"));
        assert_eq!(executable("{}\nnot json"), None);
    }
}
