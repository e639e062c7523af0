//! `warrantd call`, and the demonstration server: what a newcomer does first.

use std::process::{Command, Output};

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::Value;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::await_record;
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY};
use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file, count_words]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
  count_words: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("call::an_allowed_call_prints_what_the_tool_says", KERNEL, allowed),
        test("call::tools_are_listed_with_their_arguments", KERNEL, listed),
        test("call::a_denial_says_why_and_finds_its_record", KERNEL, denied),
        test("call::a_wrong_key_says_so", KERNEL, wrong_key),
        test("call::more_than_the_warrant_is_withheld", KERNEL, withheld),
        test("call::a_daemon_that_is_not_there_is_named", &[], nobody),
    ]
}

/// A daemon in front of the demonstration server.
fn demo() -> anyhow::Result<Daemon> {
    let rig = Rig::new(POLICY)?;
    let command = [text(&rig.scratch.program("warrantd")?), "demo-server".to_owned()];
    Daemon::with(rig, BOTH, &command)
}

/// `warrantd call files WORDS`, with the key of the actor or another.
fn call(daemon: &Daemon, key: &str, words: &[&str]) -> anyhow::Result<Output> {
    let mut call = Command::new(daemon.rig.scratch.program("warrantd")?);
    call.args(["call", "files"]).args(words).arg("--socket");
    call.arg(daemon.rig.scratch.path("run")?.join("files.sock"));
    Ok(call.env("WARRANTD_API_KEY", key).output()?)
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn allowed() -> anyhow::Result<()> {
    let daemon = demo()?;
    let output = call(&daemon, KEY, &["read_text_file", "path=public/note.txt"])?;
    let (code, out, err) = said(&output);
    ensure!((code, out.trim_end()) == (Some(0), NOTE.trim_end()), "{code:?} {out} {err}");
    let record = await_record(&daemon.rig.audit, |record| record.text("event") == "call")?;
    ensure!(record.verdict() == "WITHIN" && record.text("auth_method") == "api_key", "{record:#?}");
    let output = call(&daemon, KEY, &["read_text_file", "path=public/note.txt", "--json"])?;
    let json: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(json["result"]["content"][0]["text"] == NOTE, "{json:#}");
    Ok(())
}

fn listed() -> anyhow::Result<()> {
    let (code, out, err) = said(&call(&demo()?, KEY, &[])?);
    let expected = "read_text_file path=STRING\n    Reads a text file.\n\
                    count_words path=STRING\n    Counts the words of a text file.\n";
    ensure!((code, out.as_str()) == (Some(0), expected), "{code:?} {out} {err}");
    Ok(())
}

fn denied() -> anyhow::Result<()> {
    let daemon = demo()?;
    let (code, out, err) = said(&call(&daemon, KEY, &["read_text_file", "path=/etc/hostname"])?);
    ensure!(code == Some(1) && out.is_empty(), "{code:?} {out} {err}");
    ensure!(err.contains("denied by policy: argument `path` matches no allowed path"), "{err}");
    ensure!(err.contains("code -31003, policy_denied"), "{err}");
    let record = await_record(&daemon.rig.audit, |record| record.text("event") == "call")?;
    let way = format!("warrantd audit show --correlation {}", record.text("correlation_id"));
    ensure!(err.contains(&way), "{err}");
    Ok(())
}

fn wrong_key() -> anyhow::Result<()> {
    let (code, out, err) =
        said(&call(&demo()?, "wrong", &["read_text_file", "path=public/note.txt"])?);
    ensure!(code == Some(1) && out.is_empty(), "{code:?} {out} {err}");
    ensure!(err.contains("authentication failed (code -31001"), "{err}");
    Ok(())
}

fn withheld() -> anyhow::Result<()> {
    let daemon = demo()?;
    let (code, out, err) = said(&call(&daemon, KEY, &["count_words", "path=public/note.txt"])?);
    ensure!(code == Some(1) && out.is_empty() && !err.contains("words"), "{code:?} {out} {err}");
    ensure!(err.contains("code -31009, warrant_exceeded"), "{err}");
    let record = await_record(&daemon.rig.audit, |record| record.text("event") == "call")?;
    let secret = record.exceeded().iter().any(|effect| effect["path"] == "/etc/passwd");
    ensure!(record.verdict() == "EXCEEDED" && secret, "{record:#?}");
    Ok(())
}

fn nobody() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut call = Command::new(rig.scratch.program("warrantd")?);
    let call = call.args(["call", "files", "--socket", "/no/such/socket"]);
    let (code, _, err) = said(&call.output()?);
    ensure!(code == Some(1) && err.contains("/no/such/socket"), "{code:?} {err}");
    ensure!(err.contains("is the daemon running"), "{err}");
    Ok(())
}
