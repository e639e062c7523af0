//! Alerts: what rules say is told, once, to receivers of alerts and to commands, and is a record like others.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{self, await_record};
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY};
use crate::lifecycle::within_seconds;
use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("alerts::rules_are_told_once_to_receivers_and_commands", &[Need::Kernel], told)]
}

/// Takes one POST of a shipper, acknowledges it, and gives its events.
fn received(listener: &TcpListener) -> anyhow::Result<Vec<Value>> {
    let (stream, _) = listener.accept()?;
    taken(stream)
}

fn taken(mut stream: TcpStream) -> anyhow::Result<Vec<Value>> {
    use std::io::Write as _;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    serde_json::from_slice(&body).with_context(|| String::from_utf8_lossy(&body).into_owned())
}

fn told() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/in", listener.local_addr()?);
    let seen = rig.root.join("out/told");
    let command = rig.scratch.file("tell", format!("#!/bin/sh\ncat >> {}\n", text(&seen)))?;
    fs::set_permissions(&command, Permissions::from_mode(0o755))?;
    let audit = format!(
        "audit:
  dir: {}
  ship:
    - {{name: pager, to: http, url: '{url}', format: ocsf, only: alerts}}
  alerts:
    - {{name: probing, when: {{decision: [DENY]}}, by: [actor], quiet: 1h, to: [pager]}}
    - {{name: new-tool, first_seen: tool, when: {{decision: [ALLOW]}}, run: {{argv: [{}]}}}}
    - {{name: never, when: {{verdict: [EXCEEDED]}}}}",
        text(&rig.audit),
        text(&command)
    );
    let server = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::configured(rig, BOTH, &server, |config| {
        let lines = config.lines();
        let lines =
            lines.map(|line| if line.starts_with("audit:") { audit.as_str() } else { line });
        lines.collect::<Vec<_>>().join("\n")
    })?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.request("tools/list", &json!({}))?.result()?;
    for _ in 0..3 {
        ensure!(
            client.call("read_text_file", &json!({"path": "public/note.txt"}))?.text()? == NOTE
        );
        client.call("read_text_file", &json!({"path": "secret.txt"}))?;
    }
    client.finish()?;
    let dir = &daemon.rig.audit;
    let probing = await_record(dir, |record| record.get("alert")["rule"] == "probing")
        .with_context(|| daemon.process.stderr())?;
    ensure!(probing.text("actor") == "assistant-service", "{probing:#?}");
    let new = await_record(dir, |record| record.get("alert")["rule"] == "new-tool")?;
    ensure!(new.get("alert")["about"] == "files read_text_file", "{new:#?}");
    // The first alert that the receiver of alerts gets is one of these, and nothing else comes there.
    let mut got = received(&listener)?;
    if got.len() < 2 {
        got.extend(received(&listener)?);
    }
    for event in &got {
        ensure!(event["class_uid"] == 2004, "{event}");
    }
    ensure!(within_seconds(20, || seen.exists()), "the command was not told");
    let heard = within_seconds(20, || {
        fs::read_to_string(&seen)
            .is_ok_and(|text| text.contains("new-tool") && text.ends_with('\n'))
    });
    ensure!(heard, "{:?}", fs::read_to_string(&seen));
    let alerts: Vec<_> =
        records::read(dir)?.into_iter().filter(|record| record.text("event") == "alert").collect();
    ensure!(alerts.len() == 2, "each is told once: {alerts:#?}");
    Ok(())
}
