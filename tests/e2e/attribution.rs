//! Whose effects they are: calls one at a time, effects of no call, calls of several rounds.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{Record, await_record, calls};
use warrantd_tests::scratch::text;

use crate::rig::{DENIED, NOTE, Rig, WITHHELD};

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file, confirm_and_read]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
  confirm_and_read: {allowed_paths: ['public/**']}
methods: {allow: [elicitation/create]}
effects:
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("attribution::calls_at_once_share_their_warrants", KERNEL, shared),
        test("attribution::serialized_calls_are_exclusive_and_in_order", KERNEL, serialized),
        test("attribution::a_waiting_call_can_be_cancelled", KERNEL, cancelled),
        test("attribution::waiting_calls_are_answered_at_the_end", KERNEL, left_waiting),
        test(
            "attribution::an_unsolicited_effect_terminates_if_policy_says_so",
            KERNEL,
            unsolicited,
        ),
        test("attribution::an_unsolicited_effect_is_reported_by_default", KERNEL, tolerated),
        test("attribution::twin_ambient_effects_terminate_nothing", KERNEL, ambient),
        test("attribution::a_continued_call_names_the_one_before", KERNEL, rounds),
    ]
}

/// A file that can be read once somebody writes to it.
struct Pipe(std::path::PathBuf);

impl Pipe {
    fn new(rig: &Rig) -> anyhow::Result<Self> {
        let path = rig.root.join("public/pipe");
        ensure!(Command::new("mkfifo").args(["-m", "644"]).arg(&path).status()?.success());
        Ok(Self(path))
    }

    /// Lets the reader go on.
    fn open(self) -> anyhow::Result<()> {
        // Waits until somebody reads.
        File::create(&self.0)?.write_all(b"from the pipe").context("pipe")
    }
}

fn call(id: u64, path: &str) -> Value {
    let params = json!({"name": "read_text_file", "arguments": {"path": path}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

fn attributions(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.text("effects.attribution")).collect()
}

/// The lines with these ids, in the order in which they arrived.
fn answers(received: &str) -> Vec<Value> {
    let messages = received.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter(|message| message["id"].as_u64().is_some_and(|id| id > 100)).collect()
}

/// Waits until everything that was sent has been heard: what comes after it is refused at once.
fn all_heard(client: &mut Client) -> anyhow::Result<()> {
    let refused = client.request("prompts/get", &json!({}))?;
    ensure!(refused.error_code() == Some(DENIED), "{}", refused.line);
    Ok(())
}

fn shared() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  serialize_calls: false\n"))?;
    let pipe = Pipe::new(&rig)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    client.send(&call(101, "public/pipe"))?;
    client.send(&call(102, "public/note.txt"))?;
    all_heard(&mut client)?;
    pipe.open()?;
    client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    client.finish()?;
    let records = calls(&rig.audit)?;
    let first = records.iter().find(|record| record.get("arguments.path") == "public/pipe");
    let first = first.context("no record of the first")?;
    ensure!(first.text("effects.attribution") == "shared", "{records:#?}");
    Ok(())
}

fn serialized() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  serialize_calls: true\n"))?;
    let pipe = Pipe::new(&rig)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    client.send(&call(101, "public/pipe"))?;
    client.send(&call(102, "public/note.txt"))?;
    client.send(&call(103, "public/note.txt"))?;
    pipe.open()?;
    let last = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(last.text()? == NOTE);
    let ids: Vec<_> = answers(client.received()).iter().map(|m| m["id"].clone()).collect();
    ensure!(ids == [101, 102, 103], "{ids:?}");
    client.finish()?;
    let records = calls(&rig.audit)?;
    ensure!(attributions(&records) == ["exclusive"; 4], "{records:#?}");
    ensure!(records.iter().all(|record| record.verdict() == "WITHIN"), "{records:#?}");
    Ok(())
}

fn cancelled() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  serialize_calls: true\n"))?;
    let pipe = Pipe::new(&rig)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    client.send(&call(101, "public/pipe"))?;
    client.send(&call(102, "public/note.txt"))?;
    let params = json!({"requestId": 102});
    client
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))?;
    // An id that is in flight cannot be used twice.
    client.send(&call(101, "public/note.txt"))?;
    let refused = client.request("ping", &json!({}))?;
    ensure!(refused.message["id"].is_null(), "{}", refused.line);
    pipe.open()?;
    client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    let ids: Vec<_> = answers(client.received()).iter().map(|m| m["id"].clone()).collect();
    ensure!(ids == [101], "{ids:?}");
    client.finish()?;
    let records = calls(&rig.audit)?;
    ensure!(records.len() == 3, "{records:#?}");
    let gone =
        records.iter().find(|record| record.text("error").contains("before it was forwarded"));
    let gone = gone.context("no record of the cancelled call")?;
    ensure!(gone.get("effects").is_null() && gone.text("policy_decision") == "ALLOW", "{gone:#?}");
    Ok(())
}

fn left_waiting() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  serialize_calls: true\n  on_exceeded: terminate\n"))?;
    let pipe = Pipe::new(&rig)?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-read", &secret])?)?)?;
    client.send(&call(101, "public/pipe"))?;
    client.send(&call(102, "public/note.txt"))?;
    all_heard(&mut client)?;
    pipe.open()?;
    let ending = client.ending()?;
    let answers = answers(&ending.received);
    let codes: Vec<_> = answers.iter().map(|m| m["error"]["code"].clone()).collect();
    ensure!(codes == [WITHHELD, -31010], "{}", ending.received);
    let records = calls(&rig.audit)?;
    // The first one is what was refused at once.
    ensure!(records.len() == 3 && records[2].get("effects").is_null(), "{records:#?}");
    Ok(())
}

/// A session whose server reads this file while it is asked nothing, and then once more a call.
fn provoked(rig: &Rig, path: &str) -> anyhow::Result<bool> {
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    client.call("read_text_file", &json!({"path": "public/note.txt"}))?.result()?;
    let params = json!({"progressToken": 1, "progress": 1, "message": path});
    client
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))?;
    let goes_on = if path.contains("secret") {
        await_record(&rig.audit, |record| record.text("event") == "unsolicited")?;
        client
            .call("read_text_file", &json!({"path": "public/note.txt"}))
            .is_ok_and(|r| r.text().is_ok())
    } else {
        client.call("read_text_file", &json!({"path": "public/note.txt"}))?.text()? == NOTE
    };
    client.finish()?;
    Ok(goes_on)
}

fn unsolicited() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  on_exceeded: terminate\n"))?;
    ensure!(!provoked(&rig, &text(&rig.root.join("secret.txt")))?, "the session went on");
    let seen = await_record(&rig.audit, |record| record.text("event") == "unsolicited")?;
    ensure!(seen.verdict() == "EXCEEDED" && seen.text("status") == "FAILURE", "{seen:#?}");
    ensure!(seen.text("error").starts_with("terminated: "), "{seen:#?}");
    Ok(())
}

fn tolerated() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  on_exceeded: withhold\n"))?;
    ensure!(provoked(&rig, &text(&rig.root.join("secret.txt")))?, "the session ended");
    let seen = await_record(&rig.audit, |record| record.text("event") == "unsolicited")?;
    ensure!(seen.verdict() == "EXCEEDED" && seen.get("error").is_null(), "{seen:#?}");
    Ok(())
}

fn ambient() -> anyhow::Result<()> {
    let rig = Rig::new(&format!(
        "{POLICY}  on_exceeded: terminate\n  ambient: {{read: [/etc/hostname]}}\n"
    ))?;
    ensure!(provoked(&rig, "/etc/hostname")?, "the session ended");
    Ok(())
}

fn rounds() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  on_exceeded: withhold\n"))?;
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let arguments = json!({"path": "public/note.txt"});
    let asked = client.call("confirm_and_read", &arguments)?;
    let state = asked.result()?["requestState"].clone();
    ensure!(asked.result()?["resultType"] == "input_required", "{}", asked.line);
    let mut params = json!({"name": "confirm_and_read", "arguments": arguments});
    params["requestState"] = state;
    params["inputResponses"] = json!({"sure": {"action": "accept"}});
    ensure!(client.request("tools/call", &params)?.text()? == NOTE);
    // The next round is decided anew.
    params["arguments"]["path"] = json!("secret.txt");
    ensure!(client.request("tools/call", &params)?.error_code() == Some(crate::rig::DENIED));
    params["arguments"]["path"] = json!("public/note.txt");
    params["requestState"] = json!("of somebody else");
    ensure!(client.request("tools/call", &params)?.text()? == NOTE);
    client.finish()?;
    let records = calls(&rig.audit)?;
    ensure!(records[0].get("continues").is_null(), "{records:#?}");
    ensure!(records[1].get("continues") == records[0].get("correlation_id"), "{records:#?}");
    ensure!(records[3].get("continues").is_null(), "{records:#?}");
    Ok(())
}
