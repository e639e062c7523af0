//! Servers are observed, a policy is learned from what they did, and they are run under it: what was seen
//! is within, what was not is refused.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::netns::{Listeners, Namespace};
use warrantd_tests::places;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::rig::{DENIED, NOTE, Rig, SECRET, WITHHELD, expect_error};

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const NETWORK: &[Need] = &[Need::Kernel, Need::Netns];
    const REAL: &[Need] = &[Need::Kernel, Need::FilesystemServer];
    vec![
        test("learn::observed_calls_are_recorded_and_not_held_back", KERNEL, observed),
        test("learn::an_enforced_policy_holds_them_back", KERNEL, enforced),
        test("learn::special_addresses_stay_closed_to_the_observed", NETWORK, special),
        test("learn::the_rogue_server_runs_under_what_was_learned", KERNEL, rogue),
        test("learn::the_filesystem_server_runs_under_what_was_learned", REAL, filesystem),
        test("learn::peers_are_learned", NETWORK, peers),
        test("learn::a_changed_log_is_refused", KERNEL, changed_log),
    ]
}

/// `warrantd run --observe` without a policy.
fn observe<S: AsRef<OsStr>>(rig: &Rig, server: &[S]) -> anyhow::Result<Command> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    wrap(rig, &mut command, server);
    Ok(command)
}

fn wrap<S: AsRef<OsStr>>(rig: &Rig, command: &mut Command, server: &[S]) {
    command.args(["run", "--observe", "--audit"]).arg(&rig.audit);
    command.arg("--root").arg(&rig.root).arg("--").args(server);
    command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
}

/// `warrantd learn` of the rig's log.
fn learn(rig: &Rig, more: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.arg("learn").arg(&rig.audit).args(more).output().context("warrantd learn")
}

/// A rig whose policy was learned from the other's log, and whose root is the same.
fn under(observed: &Rig, more: &[&str]) -> anyhow::Result<Rig> {
    let output = learn(observed, more)?;
    let policy = String::from_utf8(output.stdout)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    ensure!(policy.contains("all of these calls are allowed and WITHIN"), "{policy}");
    let mut rig = Rig::new(&policy)?;
    rig.root.clone_from(&observed.root);
    let mut check = Command::new(rig.scratch.program("warrantd")?);
    let checked = check.arg("check").arg(&rig.policy).output()?;
    ensure!(checked.status.success(), "{checked:?}\n{policy}");
    // The same log and this policy do not differ.
    let same = learn(observed, &["--diff", &text(&rig.policy)])?;
    let said = String::from_utf8_lossy(&same.stdout).into_owned();
    ensure!(same.status.success(), "{}: {said}\n{policy}", same.status);
    Ok(rig)
}

/// Makes the calls and demands a result of each.
fn play(command: Command, calls: &[(&str, Value)]) -> anyhow::Result<()> {
    let mut client = Client::connect(command)?;
    client.request("tools/list", &json!({}))?.result()?;
    for (tool, arguments) in calls {
        let reply = client.call(tool, arguments)?;
        let result = reply.result().with_context(|| format!("{tool} {arguments}"))?;
        ensure!(result["isError"] != json!(true), "{tool}: {}", reply.line);
    }
    client.finish()?;
    Ok(())
}

/// Plays a session under a learned policy: nothing is beyond it.
fn replay<S: AsRef<OsStr>>(rig: &Rig, server: &[S], calls: &[(&str, Value)]) -> anyhow::Result<()> {
    let policy = std::fs::read_to_string(&rig.policy)?;
    play(rig.run(server)?, calls).with_context(|| policy.clone())?;
    for record in records::read(&rig.audit)? {
        ensure!(record.verdict() != "EXCEEDED", "{policy}\n{record:#?}");
        ensure!(record.text("policy_decision") != "DENY", "{policy}\n{record:#?}");
    }
    Ok(())
}

fn observed() -> anyhow::Result<()> {
    let rig = Rig::new("")?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client = Client::connect(observe(&rig, &rig.rogue(&["--also-read", &secret])?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    // A method that no policy covers reaches the server, which does not know it.
    let reply = client.request("prompts/get", &json!({"name": "x"}))?;
    ensure!(reply.error_code() == Some(-32601), "{}", reply.line);
    // What is no message does not.
    client.send_line("{\"jsonrpc\": \"2.0\", \"id\": 77, \"id\": 78, \"method\": \"ping\"}")?;
    client.request("ping", &json!({}))?;
    let ending = client.finish()?;
    ensure!(ending.stderr.contains("only observed"), "{}", ending.stderr);
    let all = records::read(&rig.audit)?;
    // What a killed warrantd left is told by whoever starts next.
    // Checkpoints are of the log itself.
    let own = |record: &&records::Record| !["gap", "checkpoint"].contains(&record.text("event"));
    ensure!(all.iter().filter(own).all(|record| record.text("mode") == "observe"), "{all:#?}");
    let calls = records::calls(&rig.audit)?;
    let [call, method] = calls.as_slice() else { anyhow::bail!("{calls:#?}") };
    ensure!(call.text("policy_decision") == "DENY", "{call:#?}");
    ensure!(call.text("policy_rule_matched") == "actors", "{call:#?}");
    ensure!(call.text("status") == "SUCCESS" && call.verdict() == "EXCEEDED", "{call:#?}");
    let read = call.exceeded().iter().any(|effect| effect["path"] == json!(secret));
    ensure!(read, "{call:#?}");
    ensure!(method.text("policy_rule_matched") == "methods", "{method:#?}");
    ensure!(all.iter().any(|record| record.text("event") == "protocol_error"), "{all:#?}");
    Ok(())
}

/// The twin: the same policy, which is none, enforced.
fn enforced() -> anyhow::Result<()> {
    let rig = Rig::new("actors: [{id: client}]")?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    expect_error(&reply, DENIED)?;
    client.finish()?;
    ensure!(rig.only_record()?.text("mode") == "enforce");
    Ok(())
}

fn special() -> anyhow::Result<()> {
    let rig = Rig::new("")?;
    let net = Namespace::new(&["10.0.0.1/32", "169.254.169.254/32"])?;
    let mut command = net.enter(rig.scratch.program("warrantd")?);
    wrap(&rig, &mut command, &rig.rogue(&[])?);
    let mut client = Client::connect(command)?;
    let targets = json!({"targets": ["tcp 169.254.169.254:80", "tcp 10.0.0.1:80"]});
    let reply = client.call("try_peers", &targets)?;
    for line in reply.text()?.lines() {
        ensure!(line.ends_with("EPERM"), "{}", reply.line);
    }
    client.finish()?;
    let output = learn(&rig, &[])?;
    let policy = String::from_utf8(output.stdout)?;
    ensure!(
        policy.contains("REVIEW: connect tcp 169.254.169.254:80: the kernel refused it"),
        "{policy}"
    );
    ensure!(!policy.contains("cidr"), "{policy}");
    Ok(())
}

fn rogue() -> anyhow::Result<()> {
    let rig = Rig::new("")?;
    rig.scratch.file("root/public/other.txt", "another")?;
    let calls = [
        ("read_text_file", json!({"path": "public/note.txt"})),
        ("read_text_file", json!({"path": "public/other.txt"})),
        ("list_directory", json!({"path": "public"})),
        ("write_file", json!({"path": "out/new.txt", "content": "first"})),
        ("write_file", json!({"path": "out/new.txt", "content": "second"})),
        ("run_program", json!({"program": "/usr/bin/true"})),
    ];
    play(observe(&rig, &rig.rogue(&[])?)?, &calls)?;
    let learned = under(&rig, &[])?;
    replay(&learned, &learned.rogue(&[])?, &calls)?;
    // What was not seen is refused: by policy, and by the warrant.
    let secret = text(&learned.root.join("secret.txt"));
    let server = learned.rogue(&["--also-read", &secret, "--on", "2"])?;
    let mut client = Client::connect(learned.run(&server)?)?;
    for (tool, arguments) in [
        ("read_text_file", json!({"path": "secret.txt"})),
        ("write_file", json!({"path": "out/other.txt", "content": "x"})),
        ("run_program", json!({"program": "/usr/bin/id"})),
        ("leave_behind", json!({"peer": "127.0.0.1:9", "report": "/dev/null"})),
    ] {
        expect_error(&client.call(tool, &arguments)?, DENIED)?;
    }
    let read = json!({"path": "public/note.txt"});
    ensure!(client.call("read_text_file", &read)?.text()? == NOTE);
    let caught = client.call("read_text_file", &read)?;
    expect_error(&caught, WITHHELD)?;
    ensure!(!client.received().contains(SECRET));
    client.finish()?;
    ensure!(learned.record_of(&caught)?.verdict() == "EXCEEDED");
    let policy = std::fs::read_to_string(&learned.policy)?;
    ensure!(policy.contains("\"${arguments.program}\" # REVIEW: runs a program"), "{policy}");
    Ok(())
}

fn filesystem_server(rig: &Rig) -> anyhow::Result<Vec<OsString>> {
    let mut command: Vec<PathBuf> = places::filesystem_server().map_err(anyhow::Error::msg)?;
    command.push(rig.root.join("data"));
    Ok(command.into_iter().map(PathBuf::into_os_string).collect())
}

fn filesystem() -> anyhow::Result<()> {
    let rig = Rig::new("")?;
    rig.scratch.file("root/data/a.md", NOTE)?;
    rig.scratch.file("root/data/b.md", "b")?;
    rig.scratch.file("root/data/private/key.md", SECRET)?;
    rig.scratch.writable_directory("root/data/drafts")?;
    let path = |relative: &str| text(&rig.root.join("data").join(relative));
    let draft = path("drafts/new.md");
    let edit = json!([{"oldText": "first", "newText": "second"}]);
    let calls = [
        ("read_text_file", json!({"path": path("a.md")})),
        ("read_text_file", json!({"path": path("b.md")})),
        ("read_multiple_files", json!({"paths": [path("a.md"), path("b.md")]})),
        ("list_directory", json!({"path": path("drafts")})),
        ("get_file_info", json!({"path": path("a.md")})),
        ("write_file", json!({"path": draft, "content": "first"})),
        ("write_file", json!({"path": draft, "content": "first again"})),
        ("edit_file", json!({"path": draft, "edits": edit})),
        ("list_allowed_directories", json!({})),
    ];
    play(observe(&rig, &filesystem_server(&rig)?)?, &calls)?;
    std::fs::remove_file(&draft)?;
    // It serves one directory of that in which it was started.
    let learned = under(&rig, &["--root", &path("")])?;
    replay(&learned, &filesystem_server(&learned)?, &calls)?;
    let mut client = Client::connect(learned.run(&filesystem_server(&learned)?)?)?;
    for (tool, arguments) in [
        ("read_text_file", json!({"path": path("private/key.md")})),
        ("write_file", json!({"path": path("a.md"), "content": "x"})),
        ("list_directory", json!({"path": path("")})),
        ("move_file", json!({"source": path("a.md"), "destination": path("drafts/a.md")})),
    ] {
        let reply = client.call(tool, &arguments)?;
        ensure!(reply.error_code() == Some(DENIED), "{tool}: {}", reply.line);
    }
    ensure!(!client.received().contains(SECRET));
    client.finish()?;
    Ok(())
}

fn peers() -> anyhow::Result<()> {
    // A private peer must be listed to be reached at all, so the policy lists it and nothing else.
    let policy = "{actors: [{id: client}], network: {allow: [{cidr: 10.0.0.7/32, ports: [8080]}]}}";
    let rig = Rig::new(policy)?;
    let net = Namespace::new(&["10.0.0.7/32"])?;
    let probe = places::program("net-probe")?;
    let _listeners = Listeners::start(&net, &probe, &["10.0.0.7:8080"])?;
    let calls = [("http_get", json!({"host": "10.0.0.7", "port": 8080}))];
    let mut command = net.enter(rig.scratch.program("warrantd")?);
    command.args(["run", "--observe", "--policy"]).arg(&rig.policy).arg("--audit").arg(&rig.audit);
    command.arg("--root").arg(&rig.root).arg("--").args(rig.rogue(&[])?);
    play(command, &calls)?;
    let learned = under(&rig, &[])?;
    let policy = std::fs::read_to_string(&learned.policy)?;
    ensure!(policy.contains("\"${arguments.host}:${arguments.port}\""), "{policy}");
    ensure!(policy.contains("cidr: \"10.0.0.7/32\", ports: [8080], protocol: tcp"), "{policy}");
    play(learned.run_inside(&net, &learned.rogue(&[])?)?, &calls)?;
    ensure!(learned.only_record()?.verdict() == "WITHIN");
    Ok(())
}

fn changed_log() -> anyhow::Result<()> {
    let rig = Rig::new("")?;
    let calls = [("read_text_file", json!({"path": "public/note.txt"}))];
    play(observe(&rig, &rig.rogue(&[])?)?, &calls)?;
    ensure!(learn(&rig, &[])?.status.success());
    let file = std::fs::read_dir(&rig.audit)?.next().context("a log")??.path();
    let log = std::fs::read_to_string(&file)?;
    std::fs::write(&file, log.replace("public/note.txt", "public/else.txt"))?;
    let output = learn(&rig, &[])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && output.stdout.is_empty(), "{said}");
    ensure!(said.contains("not as it was written") && said.contains("--unverified"), "{said}");
    ensure!(learn(&rig, &["--unverified"])?.status.success());
    Ok(())
}
