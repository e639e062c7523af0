//! Metrics: they say what the audit log says, in numbers, and nothing that a caller chose.

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::http::Endpoint;
use warrantd_tests::needs::Need;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY};
use crate::rig::{DENIED, NOTE, Rig, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file, list_directory]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("metrics::they_agree_with_the_audit_log", KERNEL, agree),
        test("metrics::there_are_none_unless_asked_for", KERNEL, off),
    ]
}

fn get(endpoint: &Endpoint, path: &str) -> anyhow::Result<String> {
    let mut endpoint = endpoint.clone();
    path.clone_into(&mut endpoint.path);
    let response = endpoint.send("GET", None)?;
    ensure!(response.status == 200, "{path}: {}", response.shown());
    response.text()
}

fn agree() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let socket = rig.scratch.path("run")?.join("metrics");
    let command = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::configured(rig, BOTH, &command, |config| {
        format!("{config}metrics: {{unix: {}}}\n", socket.display())
    })?;
    let endpoint = Endpoint::unix(socket, "/metrics");
    ensure!(get(&endpoint, "/live")? == "live\n" && get(&endpoint, "/ready")? == "ready\n");
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.request("tools/list", &json!({}))?.result()?;
    for _ in 0..3 {
        ensure!(
            client.call("read_text_file", &json!({"path": "public/note.txt"}))?.text()? == NOTE
        );
    }
    let secret = json!({"path": "secret.txt"});
    expect_error(&client.call("read_text_file", &secret)?, DENIED)?;
    expect_error(&client.call("tool-that-is-not-there", &secret)?, DENIED)?;
    let told = get(&endpoint, "/metrics")?;
    ensure!(told.contains("warrantd_sessions 1\n"), "{told}");
    client.finish()?;
    let calls = records::calls(&daemon.rig.audit)?;
    ensure!(calls.len() == 5, "{calls:#?}");
    for (labels, count) in [
        (r#"decision="ALLOW",status="SUCCESS",verdict="WITHIN""#, 3),
        (r#"decision="DENY",status="FAILURE",verdict="""#, 2),
    ] {
        let line = format!("warrantd_calls_total{{server=\"files\",{labels}}} {count}\n");
        ensure!(told.contains(&line), "no {line} in {told}");
    }
    let timed = told.lines().find(|line| line.starts_with("warrantd_call_duration_seconds_count"));
    ensure!(timed.context("durations")?.ends_with(" 3"), "{told}");
    for chosen in ["secret.txt", "note.txt", "tool-that", "read_text", "assistant", KEY] {
        ensure!(!told.contains(chosen), "`{chosen}` in {told}");
    }
    Ok(())
}

fn off() -> anyhow::Result<()> {
    let daemon =
        Daemon::configured(Rig::new(POLICY)?, BOTH, &["true".to_owned()], |config| config)?;
    ensure!(!daemon.process.stderr().contains("metrics"), "{}", daemon.process.stderr());
    Ok(())
}
