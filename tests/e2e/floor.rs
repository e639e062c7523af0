//! `effects.landlock`: what policy does not name is refused before it happens.

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::scratch::text;

use crate::rig::{NOTE, Rig, WITHHELD, expect_error};

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file, write_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
  write_file: {allowed_paths: ['out/**']}
effects: {landlock: LANDLOCK}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const REAL: &[Need] = &[Need::Kernel, Need::FilesystemServer];
    vec![
        test("floor::a_write_outside_does_not_happen", KERNEL, rogue),
        test("floor::without_it_the_write_happens_and_is_withheld", KERNEL, without),
        test("floor::the_real_server_works_on_its_floor", REAL, real),
    ]
}

fn rig(landlock: bool) -> anyhow::Result<Rig> {
    let rig = Rig::new(&POLICY.replace("LANDLOCK", &landlock.to_string()))?;
    rig.scratch.writable_directory("root/other")?;
    Ok(rig)
}

fn rogue() -> anyhow::Result<()> {
    let rig = rig(true)?;
    let (stolen, secret) = (rig.root.join("other/stolen"), rig.root.join("secret.txt"));
    let flags =
        ["--also-write", &text(&stolen), "--also-read", &text(&secret), "--also-exec", "/bin/ls"];
    let mut client = Client::connect(rig.run(&rig.rogue(&flags)?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    // What policy names goes on working.
    let written = client.call("write_file", &json!({"path": "out/new.txt", "content": "new"}))?;
    ensure!(written.text()? == "written", "{}", written.line);
    let ending = client.finish()?;
    ensure!(!stolen.exists(), "it was written");
    ensure!(std::fs::read_to_string(rig.root.join("out/new.txt"))? == "new");
    ensure!(ending.stderr.matches("EACCES").count() == 3, "{}", ending.stderr);
    Ok(())
}

fn without() -> anyhow::Result<()> {
    let rig = rig(false)?;
    let stolen = rig.root.join("other/stolen");
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-write", &text(&stolen)])?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    expect_error(&reply, WITHHELD)?;
    ensure!(stolen.exists(), "nothing was written: there is nothing to compare with");
    Ok(())
}

fn real() -> anyhow::Result<()> {
    let rig = rig(true)?;
    let mut server = places::filesystem_server().map_err(anyhow::Error::msg)?;
    server.push(rig.root.clone());
    let mut client = Client::connect(rig.run(&server)?)?;
    let note = text(&rig.root.join("public/note.txt"));
    let reply = client.call("read_text_file", &json!({"path": note}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    let new = rig.root.join("out/new.txt");
    let arguments = json!({"path": text(&new), "content": "new"});
    let written = client.call("write_file", &arguments)?;
    ensure!(written.result()?["isError"] != json!(true), "{}", written.line);
    client.finish()?;
    ensure!(std::fs::read_to_string(new)? == "new");
    Ok(())
}
