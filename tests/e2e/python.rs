//! The real client: the MCP package for Python, driven by a script.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use warrantd_tests::places;

/// How the client finds out which revision the server speaks: by asking, or as older ones do.
pub(crate) const MODES: [&str; 2] = ["auto", "legacy"];

/// Lets the client start a command, list the tools and make the calls.
///
/// The result is `{"tools": […], "results": […]}`, each result `{"text", "is_error"}` or
/// `{"code", "message"}`; or `{"failed": {"code", "message"}}` when there was no session.
pub(crate) fn session(
    command: &Command,
    mode: &str,
    calls: &[(&str, Value)],
) -> anyhow::Result<Value> {
    let line: Vec<OsString> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsString::from)
        .collect();
    let line: Vec<_> = line.iter().map(|word| word.to_string_lossy()).collect();
    let calls: Vec<_> = calls
        .iter()
        .map(|(tool, arguments)| json!({"tool": tool, "arguments": arguments}))
        .collect();
    let order = json!({"command": line, "mode": mode, "calls": calls});
    let python = places::python().map_err(anyhow::Error::msg)?;
    let output = Command::new(python)
        .arg(places::client_script("stdio_session.py"))
        .arg(order.to_string())
        .output()
        .context("starting the client")?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the client failed: {complaints}");
    let answer = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&answer).with_context(|| format!("`{answer}`; stderr: {complaints}"))
}
