//! What a server does at its start, and what follows when it does more than it may.

use std::ffi::OsString;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{Record, read};

use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects:
";

/// All that the start does.
const LEAVE: &str = "read: [secret.txt], exec: [{program: '**/rogue-server', args: ['--on', '1']}]";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("start_effects::by_default_they_are_reported", KERNEL, reported),
        test("start_effects::terminate_lets_no_call_through", KERNEL, terminated),
        test("start_effects::twin_within_leave_goes_on", KERNEL, within),
        test("start_effects::other_arguments_of_a_program_are_exceeded", KERNEL, arguments),
        test("start_effects::the_leave_ends_with_the_start", KERNEL, over),
    ]
}

/// A server that reads a file and runs a program before it speaks.
fn server(rig: &Rig, more: &str) -> anyhow::Result<Vec<OsString>> {
    let rogue = rig.scratch.program("rogue-server")?;
    let script = format!("read line < secret.txt; exec {} --on 1 {more}", rogue.display());
    Ok(["/bin/sh", "-c", &script].iter().map(OsString::from).collect())
}

fn start(rig: &Rig) -> anyhow::Result<Record> {
    let records = read(&rig.audit)?;
    let start = records.into_iter().find(|record| record.text("event") == "startup");
    start.context("no record of the start")
}

fn reported() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  on_exceeded: terminate\n"))?;
    let mut client = Client::connect(rig.run(&server(&rig, "")?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    client.finish()?;
    let start = start(&rig)?;
    ensure!(start.verdict() == "EXCEEDED", "{start:#?}");
    let kinds: Vec<_> = start.exceeded().iter().map(|effect| &effect["kind"]).collect();
    ensure!(kinds.contains(&&json!("file_read")) && kinds.contains(&&json!("exec")), "{start:#?}");
    Ok(())
}

fn terminated() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  startup: {{on_exceeded: terminate}}\n"))?;
    let mut client = Client::start(rig.run(&server(&rig, "")?)?)?;
    let reply = client.initialize();
    ensure!(reply.is_err(), "answered: {reply:?}");
    let ending = client.finish()?;
    ensure!(ending.status.code() == Some(1) && ending.received.is_empty(), "{ending:?}");
    let start = start(&rig)?;
    ensure!(start.verdict() == "EXCEEDED" && start.text("status") == "FAILURE", "{start:#?}");
    ensure!(start.text("error").starts_with("terminated: "), "{start:#?}");
    Ok(())
}

fn within() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  startup: {{{LEAVE}, on_exceeded: terminate}}\n"))?;
    let mut client = Client::connect(rig.run(&server(&rig, "")?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    client.finish()?;
    let start = start(&rig)?;
    ensure!(start.verdict() == "WITHIN", "{start:#?}");
    ensure!(start.warranted().len() >= 2, "{start:#?}");
    Ok(())
}

fn arguments() -> anyhow::Result<()> {
    let leave = LEAVE.replace("'1'", "'2'");
    let rig = Rig::new(&format!("{POLICY}  startup: {{{leave}, on_exceeded: terminate}}\n"))?;
    let mut client = Client::start(rig.run(&server(&rig, "")?)?)?;
    ensure!(client.initialize().is_err(), "it went on");
    client.finish()?;
    let start = start(&rig)?;
    let [effect] = start.exceeded() else { anyhow::bail!("not one effect: {start:#?}") };
    ensure!(effect["kind"] == json!("exec") && effect["argv"][2] == json!("1"), "{effect:#}");
    Ok(())
}

fn over() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  startup: {{{LEAVE}}}\n"))?;
    let mut client = Client::connect(rig.run(&server(&rig, "--also-read secret.txt")?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.error_code() == Some(crate::rig::WITHHELD), "{}", reply.line);
    client.finish()?;
    ensure!(start(&rig)?.verdict() == "WITHIN", "{:#?}", start(&rig));
    Ok(())
}
