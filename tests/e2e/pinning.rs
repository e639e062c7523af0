//! Tools are what was accepted of them, and an actor sees those that it may call.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::records::{self, await_record};
use warrantd_tests::scratch::text;

use crate::daemon::{Daemon, KEY};
use crate::rig::{DENIED, NOTE, Rig, expect_error};

const POLICY: &str = "
actors:
  - {id: reader, allowed_tools: [read_text_file, read-text-file, list_directory]}
  - {id: writer, allowed_tools: [read_text_file, write_file]}
global_deny_list: [run_program]
constraints:
  read_text_file: {allowed_paths: ['public/**']}
  list_directory: {allowed_paths: ['public']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const REAL: &[Need] = &[Need::Kernel, Need::FilesystemServer];
    vec![
        test("pinning::a_rug_pull_is_told_and_denied_until_accepted", KERNEL, rug_pull),
        test("pinning::a_server_that_does_not_change_works", KERNEL, unchanged),
        test("pinning::the_real_server_stays_as_accepted", REAL, real),
        test("pinning::without_pinning_a_change_is_told", KERNEL, only_told),
        test("pinning::new_and_vanished_tools_are_told", KERNEL, more_and_fewer),
        test("pinning::pages_are_one_list", KERNEL, pages),
        test("pinning::a_daemon_learns_of_an_acceptance", KERNEL, acceptance),
        test("pinning::a_broken_pin_file_starts_nothing", &[], broken),
        test("pinning::each_actor_sees_its_tools", KERNEL, two_actors),
        test("pinning::a_list_that_needs_no_change_keeps_its_bytes", KERNEL, bytes),
    ]
}

/// A server as an actor sees it, with pins in a file of their own.
struct Pinned {
    rig: Rig,
    pins: PathBuf,
}

impl Pinned {
    fn new(policy: &str) -> anyhow::Result<Self> {
        let rig = Rig::new(policy)?;
        Ok(Self { pins: rig.scratch.path("pins/files.yaml")?, rig })
    }

    fn session(&self, actor: &str, flags: &[&str]) -> anyhow::Result<Client> {
        let server = self.rig.rogue(flags)?;
        let mut command = Command::new(self.rig.scratch.program("warrantd")?);
        command
            .arg("run")
            .arg("--policy")
            .arg(&self.rig.policy)
            .arg("--audit")
            .arg(&self.rig.audit);
        command.arg("--root").arg(&self.rig.root).arg("--pins").arg(&self.pins);
        command.args(["--actor", actor, "--"]).args(&server);
        command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
        Client::connect(command)
    }

    /// `warrantd pin` with these words: its exit code and what it says.
    fn pin(&self, words: &[&str]) -> anyhow::Result<(i32, String)> {
        let mut command = Command::new(self.rig.scratch.program("warrantd")?);
        command.args(["pin", "--pins"]).arg(&self.pins).args(words);
        said(command)
    }

    fn told(&self, event: &str) -> anyhow::Result<Vec<records::Record>> {
        let mut records = records::read(&self.rig.audit)?;
        records.retain(|record| record.text("event") == event);
        Ok(records)
    }
}

fn said(mut command: Command) -> anyhow::Result<(i32, String)> {
    let output = command.output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code().context("killed")?, String::from_utf8(said)?))
}

fn list(client: &mut Client) -> anyhow::Result<Vec<String>> {
    let reply = client.request("tools/list", &json!({}))?;
    names(reply.result()?)
}

fn names(result: &Value) -> anyhow::Result<Vec<String>> {
    let tools = result["tools"].as_array().context("no tools")?;
    Ok(tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect())
}

fn read(client: &mut Client) -> anyhow::Result<Reply> {
    client.call("read_text_file", &json!({"path": "public/note.txt"}))
}

fn denied_as_pinned(rig: &Rig, reply: &Reply) -> anyhow::Result<()> {
    expect_error(reply, DENIED)?;
    let record = rig.record_of(reply)?;
    ensure!(record.text("policy_rule_matched") == "pinning", "{record:#?}");
    Ok(())
}

fn rug_pull() -> anyhow::Result<()> {
    let pinned = Pinned::new(POLICY)?;
    let mut client = pinned.session("reader", &["--change-on", "2"])?;
    denied_as_pinned(&pinned.rig, &read(&mut client)?)?;
    ensure!(list(&mut client)? == ["read_text_file", "list_directory"]);
    ensure!(read(&mut client)?.text()? == NOTE);
    let (code, _) = pinned.pin(&[])?;
    ensure!(code == 0, "nothing differs yet");
    // Now it says something else.
    ensure!(list(&mut client)? == ["list_directory"], "the poisoned description was shown");
    denied_as_pinned(&pinned.rig, &read(&mut client)?)?;
    ensure!(!client.received().contains("send it"), "{}", client.received());
    let told = pinned.told("tool_changed")?;
    ensure!(told.len() == 1, "{told:#?}");
    ensure!(told[0].text("tool_name") == "read_text_file", "{told:#?}");
    ensure!(
        *told[0].get("definition.changed") == json!(["description", "inputSchema"]),
        "{told:#?}"
    );
    ensure!(told[0].text("definition.old_hash") != told[0].text("definition.new_hash"));
    let description = told[0].text("definition.description");
    ensure!(description.contains("secret.txt\\u{202e} and"), "{description:?}");
    // A person looks at it, and accepts it.
    let (code, said) = pinned.pin(&["--diff"])?;
    ensure!(code == 1 && said.contains("+ Returns a file's text. Before"), "{code}: {said}");
    ensure!(said.contains("\\u{1b}[2J") && !said.contains('\u{1b}'), "{said}");
    let (code, said) = pinned.pin(&["--accept", "--tool", "read_text_file"])?;
    ensure!(code == 0 && said.contains("accepted: read_text_file"), "{code}: {said}");
    ensure!(pinned.pin(&[])?.0 == 0);
    // The session goes on.
    ensure!(read(&mut client)?.text()? == NOTE);
    ensure!(list(&mut client)? == ["read_text_file", "list_directory"]);
    client.finish()?;
    Ok(())
}

fn unchanged() -> anyhow::Result<()> {
    let pinned = Pinned::new(POLICY)?;
    for _ in 0..2 {
        let mut client = pinned.session("reader", &[])?;
        for _ in 0..2 {
            ensure!(list(&mut client)? == ["read_text_file", "list_directory"]);
            ensure!(read(&mut client)?.text()? == NOTE);
        }
        client.finish()?;
    }
    for event in ["tool_changed", "tool_new", "tool_vanished"] {
        ensure!(pinned.told(event)?.is_empty(), "{event}");
    }
    let (code, said) = pinned.pin(&["--list"])?;
    ensure!(code == 0 && said.lines().count() == 8, "{said}");
    ensure!(said.contains("in a session of reader  Returns a file's text"), "{said}");
    Ok(())
}

fn real() -> anyhow::Result<()> {
    let mut server = places::filesystem_server().map_err(anyhow::Error::msg)?;
    let rig = Rig::new(&format!("{POLICY}pinning: {{file: accepted.yaml}}\n"))?;
    server.push(rig.root.clone());
    let note = json!({"path": text(&rig.root.join("public/note.txt"))});
    for session in 0..2 {
        let mut command = Command::new(rig.scratch.program("warrantd")?);
        command.arg("run").arg("--policy").arg(&rig.policy).arg("--audit").arg(&rig.audit);
        command.arg("--root").arg(&rig.root).args(["--actor", "reader", "--"]).args(&server);
        command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
        let mut client = Client::connect(command)?;
        ensure!(list(&mut client)? == ["read_text_file", "list_directory"]);
        let reply = client.call("read_text_file", &note)?;
        ensure!(reply.text()? == NOTE, "{session}: {}", reply.line);
        client.finish()?;
    }
    let events = records::read(&rig.audit)?;
    ensure!(!events.iter().any(|record| record.text("event").starts_with("tool_")), "{events:#?}");
    let pins = fs::read_to_string(rig.scratch.path("accepted.yaml")?)?;
    ensure!(pins.contains("  directory_tree:\n    hash: sha256:"), "{pins}");
    Ok(())
}

fn only_told() -> anyhow::Result<()> {
    let rig = Rig::new("actors: [{id: any, allowed_tools: [read_text_file]}]\n")?;
    let mut client = Client::connect(rig.run(&rig.rogue(&["--change-on", "2"])?)?)?;
    for _ in 0..3 {
        ensure!(list(&mut client)? == ["read_text_file"]);
        ensure!(read(&mut client)?.text()? == NOTE);
    }
    client.finish()?;
    let mut records = records::read(&rig.audit)?;
    records.retain(|record| record.text("event").starts_with("tool_"));
    ensure!(records.len() == 1, "{records:#?}");
    ensure!(records[0].text("event") == "tool_changed", "{records:#?}");
    Ok(())
}

fn more_and_fewer() -> anyhow::Result<()> {
    let pinned = Pinned::new(&format!("{POLICY}pinning: {{on_new: deny}}\n"))?;
    let flags = ["--more-on", "2", "--fewer-on", "2"];
    let mut client = pinned.session("reader", &flags)?;
    ensure!(list(&mut client)?.is_empty(), "nothing is accepted yet");
    denied_as_pinned(&pinned.rig, &read(&mut client)?)?;
    ensure!(pinned.pin(&["--accept"])?.0 == 0);
    ensure!(read(&mut client)?.text()? == NOTE, "accepted");
    ensure!(list(&mut client)? == ["read_text_file"], "the new one is not shown");
    let more = client.call("read-text-file", &json!({"path": "public/note.txt"}))?;
    denied_as_pinned(&pinned.rig, &more)?;
    client.finish()?;
    let new = pinned.told("tool_new")?;
    let twin = new.iter().find(|record| record.text("tool_name") == "read-text-file");
    let twin = twin.context("not told")?;
    ensure!(twin.text("definition.similar_to") == "read_text_file", "{twin:#?}");
    let gone = pinned.told("tool_vanished")?;
    ensure!(gone.len() == 1 && gone[0].text("tool_name") == "list_directory", "{gone:#?}");
    let (code, said) = pinned.pin(&[])?;
    ensure!(code == 1 && said.contains("new      read-text-file"), "{said}");
    ensure!(pinned.pin(&["--dismiss"])?.0 == 0 && pinned.pin(&[])?.0 == 0);
    Ok(())
}

fn pages() -> anyhow::Result<()> {
    let pinned = Pinned::new(POLICY)?;
    for flags in [["--page", "3"].as_slice(), &["--page", "3", "--change-on", "1"]] {
        let mut client = pinned.session("writer", flags)?;
        let mut seen = Vec::new();
        let mut parameters = json!({});
        // The third page is the last one.
        for page in 1..=3 {
            let reply = client.request("tools/list", &parameters)?;
            seen.extend(names(reply.result()?)?);
            let cursor = &reply.result()?["nextCursor"];
            ensure!(cursor.is_null() == (page == 3), "{}", reply.line);
            parameters = json!({"cursor": cursor});
        }
        let changed = flags.len() > 2;
        let expected = ["read_text_file", "write_file"];
        ensure!(seen == expected[usize::from(changed)..], "{seen:?}");
        ensure!(read(&mut client)?.error_code().is_some() == changed);
        client.finish()?;
    }
    ensure!(pinned.told("tool_changed")?.len() == 1 && pinned.told("tool_vanished")?.is_empty());
    Ok(())
}

fn acceptance() -> anyhow::Result<()> {
    let policy = "
actors: [{id: assistant-service, allowed_tools: [read_text_file]}]
pinning: {}
";
    let rig = Rig::new(policy)?;
    let command: Vec<_> =
        rig.rogue(&["--change-on", "2"])?.iter().map(|word| text(word.as_ref())).collect();
    let state = rig.scratch.path("state")?;
    let daemon = Daemon::configured(rig, "[api_key]", &command, |config| config)?;
    let pin = |words: &[&str]| {
        let mut command = Command::new(daemon.rig.scratch.program("warrantd")?);
        command.args(["pin", "files"]).args(words);
        command.arg("--config").arg(daemon.rig.scratch.path("warrantd.yaml")?);
        said(command)
    };
    let mut pulled = Client::connect(daemon.connect(Some(KEY))?)?;
    let mut loyal = Client::connect(daemon.connect(Some(KEY))?)?;
    ensure!(list(&mut loyal)? == ["read_text_file"]);
    ensure!(list(&mut pulled)? == ["read_text_file"] && list(&mut pulled)?.is_empty());
    denied_as_pinned(&daemon.rig, &read(&mut pulled)?)?;
    ensure!(read(&mut loyal)?.text()? == NOTE, "a session whose server did not change goes on");
    let record = await_record(&daemon.rig.audit, |r| r.text("event") == "tool_changed")?;
    ensure!(record.text("server_id") == "files" && record.text("actor") == "assistant-service");
    let (code, answer) = pin(&["--json"])?;
    let answer: Value = serde_json::from_str(&answer)?;
    ensure!(code == 1 && answer["differs"][0]["tool"] == "read_text_file", "{answer:#}");
    ensure!(answer["file"] == json!(state.join("pins/files.yaml")), "{answer:#}");
    let (code, said) = pin(&["--accept"])?;
    ensure!(code == 0, "{said}");
    ensure!(read(&mut pulled)?.text()? == NOTE, "accepted without a restart");
    ensure!(list(&mut pulled)? == ["read_text_file"]);
    denied_as_pinned(&daemon.rig, &read(&mut loyal)?)?;
    pulled.finish()?;
    loyal.finish()?;
    Ok(())
}

fn broken() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}pinning: {{file: pins.yaml}}\n"))?;
    let pins = rig.scratch.file("pins.yaml", "tools:\n  read: {hash: x}\n")?;
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.arg("run").arg("--policy").arg(&rig.policy).arg("--audit").arg(&rig.audit);
    command.args(["--actor", "reader", "--kernel", "off", "--", "/bin/true"]);
    let mut pin = Command::new(rig.scratch.program("warrantd")?);
    pin.args(["pin", "--pins"]).arg(&pins);
    for command in [command, pin] {
        let (code, said) = said(command)?;
        ensure!(code == 78 && said.contains("pins.yaml:2:"), "{code}: {said}");
    }
    let homeless = Rig::new(&format!("{POLICY}pinning: {{}}\n"))?;
    let (code, said) = said(homeless.run(&["/bin/true"])?)?;
    ensure!(code == 78 && said.contains("give `--pins FILE`"), "{code}: {said}");
    Ok(())
}

fn two_actors() -> anyhow::Result<()> {
    let pinned = Pinned::new(POLICY)?;
    for (actor, tools) in [
        ("reader", ["read_text_file", "list_directory"]),
        ("writer", ["read_text_file", "write_file"]),
    ] {
        let mut client = pinned.session(actor, &[])?;
        ensure!(list(&mut client)? == tools, "{actor}");
        // What is not seen cannot be called either.
        expect_error(&client.call("run_program", &json!({"program": "/bin/true"}))?, DENIED)?;
        client.finish()?;
    }
    Ok(())
}

/// The server's own words, with its order of keys, reach the client.
fn bytes() -> anyhow::Result<()> {
    let rig = Rig::new("default_action: ALLOW\nactors: [{id: any}]\n")?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let through = client.request("tools/list", &json!({}))?.line;
    client.finish()?;
    let mut direct = Client::connect(Command::new(rig.scratch.program("rogue-server")?))?;
    let own = direct.request("tools/list", &json!({}))?.line;
    ensure!(own == through, "{own}\n{through}");
    // Of a shorter list, what stays keeps its bytes.
    let few = Rig::new("actors: [{id: any, allowed_tools: [write_file]}]\n")?;
    let mut client = Client::connect(few.run(&few.rogue(&[])?)?)?;
    let shorter = client.request("tools/list", &json!({}))?.line;
    client.finish()?;
    let start =
        shorter.find(r#"{"name":"write_file""#).or_else(|| shorter.find(r#"{"description""#));
    let tool = shorter.get(start.context("no tool")?..).and_then(|rest| rest.split("]}").next());
    ensure!(own.contains(tool.context("no tool")?), "{shorter}");
    ensure!(shorter.len() < own.len());
    Ok(())
}
