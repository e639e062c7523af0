//! Running other programs, and saying so.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // As cargo says it, because the checkout may have been moved since this was compiled.
    let own =
        env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    own.parent().map_or(own.clone(), Path::to_owned)
}

/// The cargo that runs this, in the root of the repository.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// Builds with these arguments to cargo, and gives the program of the target with this name.
pub(crate) fn built(arguments: &[&str], target: &str) -> anyhow::Result<String> {
    let mut build = cargo(arguments);
    build.arg("--message-format=json-render-diagnostics");
    let output = build.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "{target} does not build: cargo: {}", output.status);
    let text = String::from_utf8(output.stdout).context("cargo's messages")?;
    executable(&text, target).with_context(|| format!("cargo names no program of {target}"))
}

/// The program of a target as the tests of the workspace are built with it. A package that is asked for alone gets
/// libraries with other features, and would be built once more.
pub(crate) fn built_with_all(target: &str) -> anyhow::Result<String> {
    built(&["build", "--quiet", "--workspace", "--all-targets"], target)
}

/// The program of a target in what cargo says; not that of the unit tests in it.
fn executable(messages: &str, target: &str) -> Option<String> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let unit_tests = |message: &Value| {
        let kind = message["target"]["kind"][0].as_str();
        message["profile"]["test"] == true && matches!(kind, Some("bin" | "lib"))
    };
    let mut ours =
        messages.filter(|message| message["target"]["name"] == target && !unit_tests(message));
    ours.find_map(|message| message["executable"].as_str().map(str::to_owned))
}

/// Says what is being done.
pub(crate) fn say(step: &str) {
    println!("==> {step}");
}

/// Runs a command with its output on the terminal. The error names it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", shown(command)))?;
    ensure!(status.success(), "{} failed: {status}", shown(command));
    Ok(())
}

/// Whether a command runs and succeeds. Its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// What a command prints, without the line's end; nothing when it fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Whether this is root.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn the_program_is_found_in_what_cargo_says() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"warrantd"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"kernel_suite","kind":["test"]},"profile":{"test":true},"executable":"/t/deps/kernel_suite-1"}
{"reason":"compiler-artifact","target":{"name":"probe","kind":["bin"]},"profile":{"test":true},"executable":"/t/deps/probe-1"}
{"reason":"compiler-artifact","target":{"name":"probe","kind":["bin"]},"profile":{"test":false},"executable":"/t/probe"}
{"reason":"build-finished","success":true}"#;
        let found = executable(messages, "kernel_suite");
        assert_eq!(found.as_deref(), Some("/t/deps/kernel_suite-1"));
        assert_eq!(executable(messages, "probe").as_deref(), Some("/t/probe"));
        assert_eq!(executable(messages, "warrantd"), None);
        assert_eq!(executable("{}\nnot json", "kernel_suite"), None);
    }
}
