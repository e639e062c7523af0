//! What must hold before anything starts.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::text;

use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

/// A user without any privilege.
const NOBODY: u32 = 65534;

pub(crate) fn tests() -> Vec<Trial> {
    const NONE: &[Need] = &[];
    let mut tests = vec![
        test("startup::without_privileges_nothing_starts", NONE, unprivileged),
        test("startup::kernel_off_is_unobserved", NONE, kernel_off),
        test("startup::kernel_off_still_decides", NONE, kernel_off_decides),
        test("startup::an_unknown_actor_is_a_configuration_error", NONE, unknown_actor),
        test("startup::a_missing_policy_is_a_configuration_error", NONE, missing_policy),
        test("startup::a_command_line_without_server_is_a_usage_error", NONE, no_server),
        test("startup::a_server_that_is_not_installed_is_named", NONE, no_program),
    ];
    for (name, policy, place) in BROKEN {
        let name = format!("startup::broken_policy_{name}");
        tests.push(test(&name, NONE, move || broken(policy, place)));
    }
    tests
}

/// Policies that must not load, and the line and column that the message must name.
const BROKEN: [(&str, &str, &str); 7] = [
    ("yaml", "actors:\n  - {id: tester, allowed_tools: [a, b}\n", ":2:"),
    ("unknown_key", "default_action: DENY\nactors: []\nglobal_denylist: []\n", ":3:1"),
    ("unknown_nested_key", "actors:\n  - id: tester\n    allow_tools: [a]\n", ":3:5"),
    ("wrong_type", "actors:\n  - id: tester\n    allowed_tools: all\n", ":3:20"),
    ("wrong_value", "default_action: MAYBE\nactors: []\n", ":1:17"),
    ("bad_address", "actors: []\nnetwork:\n  allow:\n    - {cidr: 10.0.0.300/8}\n", ":4:"),
    ("bad_template", "effects:\n  tools:\n    a:\n      read: ['${path}']\n", ":4:"),
];

/// `warrantd run` around a server that would leave a mark.
fn marking(rig: &Rig) -> anyhow::Result<Command> {
    rig.run(&["/usr/bin/touch", &text(&rig.root.join("out/started"))])
}

fn output(mut command: Command) -> anyhow::Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))
}

/// Demands an exit code and that no server was started; gives what was said on stderr.
fn refused(rig: &Rig, command: Command, code: i32) -> anyhow::Result<String> {
    let output = output(command)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code), "{}: {said}", output.status);
    ensure!(output.stdout.is_empty(), "stdout is for messages of the protocol: {output:?}");
    ensure!(!rig.root.join("out/started").exists(), "the server was started: {said}");
    Ok(said)
}

/// Makes it run as a user without privileges, when it would not anyway.
fn without_privileges(command: &mut Command) {
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
}

fn unprivileged() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut command = marking(&rig)?;
    without_privileges(&mut command);
    let said = refused(&rig, command, 1)?;
    for word in ["root", "CAP_BPF", "--kernel off"] {
        ensure!(said.contains(word), "`{word}` is not mentioned: {said}");
    }
    // The same command with privileges starts the server, so that nothing else kept it back.
    if nix::unistd::geteuid().is_root() {
        output(marking(&rig)?)?;
        ensure!(rig.root.join("out/started").exists(), "the server was not started");
    }
    Ok(())
}

/// `warrantd run --kernel off` without privileges.
fn unwatched(rig: &Rig, server: &[std::ffi::OsString]) -> anyhow::Result<Command> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(["run", "--kernel", "off", "--policy"]).arg(&rig.policy);
    command.arg("--audit").arg(&rig.audit).arg("--root").arg(&rig.root).arg("--").args(server);
    without_privileges(&mut command);
    Ok(command)
}

fn kernel_off() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client = Client::connect(unwatched(&rig, &rig.rogue(&["--also-read", &secret])?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE);
    client.finish()?;
    let record = rig.only_record()?;
    ensure!(record.verdict() == "UNOBSERVED", "{record:#?}");
    ensure!(record.text("effects.backend") == "off", "{record:#?}");
    for record in warrantd_tests::records::read(&rig.audit)? {
        let effects = record.get("effects");
        ensure!(effects.is_null() || record.verdict() == "UNOBSERVED", "{record:#?}");
    }
    Ok(())
}

fn kernel_off_decides() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(unwatched(&rig, &rig.rogue(&[])?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/../secret.txt"}))?;
    crate::rig::expect_error(&reply, crate::rig::DENIED)?;
    client.finish()?;
    ensure!(rig.record_of(&reply)?.text("policy_decision") == "DENY");
    Ok(())
}

/// Demands that both `run` and `check` point at the place.
fn broken(policy: &str, place: &str) -> anyhow::Result<()> {
    let rig = Rig::new(policy)?;
    let place = format!("policy.yaml{place}");
    let said = refused(&rig, marking(&rig)?, 78)?;
    ensure!(said.contains(&place), "`{place}` is not mentioned: {said}");
    ensure!(said.contains('^'), "no caret: {said}");
    let mut check = Command::new(rig.scratch.program("warrantd")?);
    check.arg("check").arg(&rig.policy);
    let said = refused(&rig, check, 78)?;
    ensure!(said.contains(&place), "`{place}` is not mentioned by check: {said}");
    Ok(())
}

fn unknown_actor() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(["run", "--actor", "testr", "--policy"]).arg(&rig.policy).arg("--audit");
    command.arg(&rig.audit).arg("--root").arg(&rig.root).args(["--", "/usr/bin/touch"]);
    command.arg(rig.root.join("out/started"));
    let said = refused(&rig, command, 78)?;
    ensure!(said.contains("policy.yaml:2:") || said.contains("policy.yaml:3:"), "{said}");
    ensure!(said.contains("testr") && said.contains("tester"), "no suggestion: {said}");
    Ok(())
}

fn missing_policy() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    std::fs::remove_file(&rig.policy)?;
    let said = refused(&rig, marking(&rig)?, 78)?;
    ensure!(said.contains(&text(&rig.policy)), "{said}");
    Ok(())
}

fn no_server() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    refused(&rig, rig.run::<&str>(&[])?, 2)?;
    Ok(())
}

fn no_program() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let said = refused(&rig, rig.run(&["mcp-server-that-is-not-installed"])?, 78)?;
    ensure!(said.contains("mcp-server-that-is-not-installed"), "{said}");
    Ok(())
}
