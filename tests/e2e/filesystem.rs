//! The real filesystem server behind `warrantd run`, used by the real client.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::python::{MODES, session};
use crate::rig::{DENIED, NOTE, Rig, SECRET};

const POLICY: &str = r#"
actors:
  - id: assistant-service
    allowed_tools: [read_text_file, list_directory, write_file]
global_deny_list: [move_file]
constraints:
  read_text_file: {allowed_paths: ["public/**"], denied_paths: ["**/.env"]}
  list_directory: {allowed_paths: ["public", "public/**"]}
  write_file: {allowed_paths: ["out/**"]}
effects:
  tools:
    # The server looks for other spellings of a new name in the directories that lead to it, and
    # replaces a file by renaming a temporary one.
    write_file:
      read: ["out", "${arguments.path}", "${arguments.path}.*"]
      write: ["${arguments.path}", "${arguments.path}.*"]
"#;

pub(crate) fn tests() -> Vec<Trial> {
    const NEEDS: &[Need] = &[Need::Kernel, Need::FilesystemServer, Need::PythonClient];
    const OWN_CLIENT: &[Need] = &[Need::Kernel, Need::FilesystemServer];
    vec![
        test("filesystem::an_allowed_read_gives_the_exact_bytes", NEEDS, exact_bytes),
        test("filesystem::traversal_is_denied", NEEDS, traversal),
        test("filesystem::a_symlink_out_of_the_allowed_paths_is_denied", NEEDS, symlink_out),
        test("filesystem::a_symlink_within_the_allowed_paths_is_followed", NEEDS, symlink_within),
        test("filesystem::tools_that_are_not_allowed_are_denied", NEEDS, tools),
        test("filesystem::a_write_where_it_is_allowed_is_within", OWN_CLIENT, write),
        test("filesystem::the_shipped_profile_fits_the_server", OWN_CLIENT, profile),
        test("filesystem::the_bytes_of_the_server_are_not_changed", OWN_CLIENT, same_bytes),
    ]
}

fn server(rig: &Rig) -> anyhow::Result<Vec<PathBuf>> {
    server_of(rig, "")
}

/// The server for one directory of the root.
fn server_of(rig: &Rig, directory: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = places::filesystem_server().map_err(anyhow::Error::msg)?;
    command.push(rig.root.join(directory));
    Ok(command)
}

fn read(rig: &Rig, path: &str) -> (&'static str, Value) {
    ("read_text_file", json!({"path": text(&rig.root.join(path))}))
}

/// The real client makes one call, in both modes.
fn one_call(rig: &Rig, call: &(&str, Value)) -> anyhow::Result<Vec<Value>> {
    let mut results = Vec::new();
    for mode in MODES {
        let answer = session(&rig.run(&server(rig)?)?, mode, std::slice::from_ref(call))?;
        match answer["results"].as_array().map(Vec::as_slice) {
            Some([result]) => results.push(result.clone()),
            _ => bail!("{mode}: {answer:#}"),
        }
    }
    Ok(results)
}

/// Demands that the call is denied in both modes, that neither gets a byte of the secret, and that
/// the records say which rule denied it.
fn denied(rig: &Rig, call: &(&str, Value)) -> anyhow::Result<()> {
    for result in one_call(rig, call)? {
        ensure!(result["code"] == json!(DENIED), "{result:#}");
        ensure!(!result.to_string().contains(SECRET), "{result:#}");
    }
    let records = records::calls(&rig.audit)?;
    ensure!(records.len() == MODES.len(), "{records:#?}");
    for record in records {
        ensure!(record.text("tool_name") == call.0, "{record:#?}");
        ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
        ensure!(!record.text("policy_rule_matched").is_empty(), "{record:#?}");
        ensure!(record.text("status") == "FAILURE", "{record:#?}");
        ensure!(record.get("effects").is_null(), "nothing ran: {record:#?}");
    }
    Ok(())
}

fn exact_bytes() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    for result in one_call(&rig, &read(&rig, "public/note.txt"))? {
        ensure!(result == json!({"text": NOTE, "is_error": false}), "{result:#}");
    }
    for record in records::calls(&rig.audit)? {
        ensure!(record.verdict() == "WITHIN", "{record:#?}");
        let note = text(&rig.root.join("public/note.txt"));
        let read: Vec<_> = record.warranted().iter().map(|effect| &effect["path"]).collect();
        ensure!(read.contains(&&json!(note)), "the kernel saw no read of {note}: {record:#?}");
    }
    Ok(())
}

fn traversal() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    denied(&rig, &read(&rig, "public/../secret.txt"))
}

fn symlink_out() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    symlink("../secret.txt", rig.root.join("public/innocent.txt"))?;
    denied(&rig, &read(&rig, "public/innocent.txt"))
}

fn symlink_within() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    symlink("note.txt", rig.root.join("public/alias.txt"))?;
    for result in one_call(&rig, &read(&rig, "public/alias.txt"))? {
        ensure!(result["text"] == json!(NOTE), "{result:#}");
    }
    for record in records::calls(&rig.audit)? {
        ensure!(record.verdict() == "WITHIN", "{record:#?}");
    }
    Ok(())
}

fn tools() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (from, to) = (rig.root.join("public/note.txt"), rig.root.join("out/note.txt"));
    denied(&rig, &("move_file", json!({"source": text(&from), "destination": text(&to)})))?;
    ensure!(from.exists() && !to.exists());
    let rig = Rig::new(POLICY)?;
    denied(&rig, &("directory_tree", json!({"path": text(&rig.root.join("public"))})))
}

fn write() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&server_of(&rig, "out")?)?)?;
    let target = rig.root.join("out/new.txt");
    for content in ["first", "second"] {
        let arguments = json!({"path": text(&target), "content": content});
        client.call("write_file", &arguments)?.result()?;
        ensure!(std::fs::read_to_string(&target)? == content);
    }
    client.finish()?;
    for record in records::calls(&rig.audit)? {
        ensure!(record.verdict() == "WITHIN", "{record:#?}");
    }
    Ok(())
}

/// What the shipped profile allows works, and stays within the warrants that follow from it.
fn profile() -> anyhow::Result<()> {
    let rig = Rig::new(include_str!("../../policies/filesystem.yaml"))?;
    rig.scratch.file("root/data/a.md", NOTE)?;
    rig.scratch.writable_directory("root/data/drafts")?;
    let mut client = Client::connect(rig.run(&server_of(&rig, "data")?)?)?;
    let path = |relative: &str| text(&rig.root.join(relative));
    let draft = path("data/drafts/new.md");
    let edit = json!([{"oldText": "first", "newText": "second"}]);
    let calls = [
        ("read_text_file", json!({"path": path("data/a.md")})),
        ("read_multiple_files", json!({"paths": [path("data/a.md")]})),
        ("get_file_info", json!({"path": path("data/a.md")})),
        ("list_directory", json!({"path": path("data")})),
        ("directory_tree", json!({"path": path("data")})),
        ("search_files", json!({"path": path("data"), "pattern": "*.md"})),
        ("list_allowed_directories", json!({})),
        ("write_file", json!({"path": draft, "content": "first"})),
        ("write_file", json!({"path": draft, "content": "first again"})),
        ("edit_file", json!({"path": draft, "edits": edit})),
        ("create_directory", json!({"path": path("data/drafts/more")})),
    ];
    let mut wrong = Vec::new();
    for (tool, arguments) in &calls {
        let reply = client.call(tool, arguments)?;
        if reply.result().map_or(true, |result| result["isError"] == json!(true)) {
            wrong.push(format!("{tool}: {}", reply.line));
        }
    }
    client.finish()?;
    for record in records::calls(&rig.audit)? {
        if record.verdict() != "WITHIN" {
            wrong.push(format!("{}: {:?}", record.text("tool_name"), record.exceeded()));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A response that is released is the line that the server wrote, byte for byte.
fn same_bytes() -> anyhow::Result<()> {
    // Of the list of tools, too, where the actor may call them all.
    let policy = format!("default_action: ALLOW\n{POLICY}").replace("[move_file]", "[]");
    let rig = Rig::new(&policy)?;
    let arguments = json!({"path": text(&rig.root.join("public/note.txt"))});
    let mut behind = Client::connect(rig.run(&server(&rig)?)?)?;
    let command = server(&rig)?;
    let mut bare = std::process::Command::new(&command[0]);
    bare.args(&command[1..]).current_dir(&rig.root);
    let mut direct = Client::connect(bare)?;
    for client in [&mut behind, &mut direct] {
        client.request("tools/list", &json!({}))?.result()?;
        client.call("read_text_file", &arguments)?.result()?;
    }
    ensure!(behind.received() == direct.received());
    Ok(())
}
