//! `warrantd status`: a daemon as a whole, while it works.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY};
use crate::lifecycle::within_seconds;
use crate::rig::{DENIED, NOTE, Rig, expect_error};

pub(crate) const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("status::a_daemon_tells_what_it_serves_and_what_is_in_flight", KERNEL, whole),
        test("status::peers_are_told_that_are_open_and_that_were_reached", KERNEL, peers),
        test("status::receivers_that_do_not_answer_are_told", KERNEL, receivers),
        test("status::names_that_others_chose_do_not_reach_the_terminal", KERNEL, hostile),
    ]
}

/// A command of an operator.
pub(crate) fn operator(rig: &Rig, words: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(words).env("WARRANTD_RUNTIME_DIR", rig.scratch.path("run")?);
    command.env_remove("WARRANTD_LOG");
    Ok(command)
}

pub(crate) fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// What the daemon tells.
pub(crate) fn told(rig: &Rig) -> anyhow::Result<Value> {
    let output = operator(rig, &["status", "--json"])?.output()?;
    ensure!(output.status.success(), "{}", said(&output));
    let mut told: Value = serde_json::from_slice(&output.stdout)?;
    Ok(told[0].take())
}

fn shown(rig: &Rig) -> anyhow::Result<String> {
    let output = operator(rig, &["status"])?.output()?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(said(&output))
}

/// A file that a call reads for as long as nobody writes to it.
pub(crate) fn pipe(rig: &Rig) -> anyhow::Result<PathBuf> {
    let pipe = rig.root.join("public/pipe");
    mkfifo(&pipe, Mode::from_bits_truncate(0o644))?;
    Ok(pipe)
}

/// Lets the call go on.
pub(crate) fn release(pipe: &PathBuf) -> anyhow::Result<()> {
    Ok(OpenOptions::new().write(true).open(pipe)?.write_all(b"through the pipe")?)
}

fn whole() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let pipe = pipe(&rig)?;
    let server = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::with(rig, BOTH, &server)?;
    let rig = &daemon.rig;
    let idle = told(rig)?;
    ensure!(idle["servers"][0]["counts"]["calls"] == 0, "{idle:#}");
    ensure!(idle["sessions"] == json!([]) && idle["instance"] == "serve", "{idle:#}");
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let note = json!({"path": "public/note.txt"});
    for _ in 0..3 {
        ensure!(client.call("read_text_file", &note)?.text()? == NOTE);
    }
    expect_error(&client.call("read_text_file", &json!({"path": "secret.txt"}))?, DENIED)?;
    let params = json!({"name": "read_text_file", "arguments": {"path": "public/pipe"}});
    client.send(&json!({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": params}))?;
    let flies = || told(rig).is_ok_and(|told| told["servers"][0]["in_flight"] == 1);
    ensure!(within_seconds(20, flies), "{:#}", told(rig)?);
    let busy = told(rig)?;
    for (key, expected) in [
        ("/version", json!(env!("CARGO_PKG_VERSION"))),
        ("/pid", json!(daemon.process.pid())),
        ("/configuration/generation", json!(1)),
        ("/configuration/file", json!(text(&rig.scratch.path("warrantd.yaml")?))),
        ("/servers/0/id", json!("files")),
        ("/servers/0/policy", json!(text(&rig.policy))),
        ("/servers/0/mode", json!("enforce")),
        ("/servers/0/manner", json!("per_session")),
        ("/servers/0/state", json!("ready")),
        ("/servers/0/sessions", json!(1)),
        ("/servers/0/counts/calls", json!(4)),
        ("/servers/0/counts/within", json!(3)),
        ("/servers/0/counts/succeeded", json!(3)),
        ("/servers/0/counts/denied", json!(1)),
        ("/sessions/0/actor", json!("assistant-service")),
        ("/sessions/0/in_flight/0/tool", json!("read_text_file")),
        ("/sessions/0/in_flight/0/actor", json!("assistant-service")),
        ("/sessions/0/in_flight/0/warrant/read/0", json!(text(&pipe))),
        ("/log/file", json!(text(&rig.audit.join("audit.jsonl")))),
        ("/log/trouble", json!(null)),
        ("/receivers", json!([])),
    ] {
        ensure!(busy.pointer(key) == Some(&expected), "{key}: {busy:#}");
    }
    ensure!(busy["log"]["last"].as_u64() > Some(4), "{busy:#}");
    ensure!(busy["kernel"]["observer"].is_string(), "{busy:#}");
    let text = shown(rig)?;
    for part in [
        "serve: warrantd",
        "network enforced",
        "4: 3 within, 1 denied",
        "in flight  read_text_file",
    ] {
        ensure!(text.contains(part), "no `{part}` in {text}");
    }
    release(&pipe)?;
    client.replies_until(&json!(99))?;
    let landed = told(rig)?;
    ensure!(landed["servers"][0]["in_flight"] == 0, "{landed:#}");
    ensure!(landed["servers"][0]["counts"]["calls"] == 5, "{landed:#}");
    client.finish()?;
    Ok(())
}

/// Answers HTTP for as long as the test runs.
fn web() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    Ok(port)
}

fn peers() -> anyhow::Result<()> {
    let port = web()?;
    let rig = Rig::new(&format!(
        "
actors:
  - {{id: assistant-service, allowed_tools: [http_get, read_text_file]}}
network:
  allow: [{{cidr: 127.0.0.1/32, ports: [{port}], protocol: tcp}}]
effects:
  tools: {{http_get: {{connect: ['127.0.0.1:{port}']}}}}
"
    ))?;
    let pipe = pipe(&rig)?;
    let server = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::with(rig, BOTH, &server)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let get = |port: u16| json!({"host": "127.0.0.1", "port": port});
    client.call("http_get", &get(port))?.result()?;
    let other = if port == 9 { 10 } else { 9 };
    client.call("http_get", &get(other))?;
    let told = told(&daemon.rig)?;
    let peers = told["servers"][0]["peers"].as_array().context("peers")?;
    let of = |port: u16| {
        let place = format!("127.0.0.1:{port}");
        peers.iter().find(|peer| peer["peer"] == json!(place)).context("the peer")
    };
    ensure!(of(port)?["allowed"].as_u64() >= Some(1) && of(port)?["denied"] == 0, "{told:#}");
    ensure!(of(other)?["denied"].as_u64() >= Some(1) && of(other)?["allowed"] == 0, "{told:#}");
    ensure!(told["sessions"][0]["open"] == json!([]), "no call is in flight: {told:#}");
    let text = shown(&daemon.rig)?;
    ensure!(text.contains(&format!("127.0.0.1:{other} tcp, REFUSED")), "{text}");
    drop(pipe);
    client.finish()?;
    Ok(())
}

fn receivers() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    // Nobody listens on a port that was given back.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let server = [text(&rig.scratch.program("rogue-server")?)];
    let ship = format!("ship: [{{name: siem, to: syslog, url: 'tcp://127.0.0.1:{port}'}}]");
    let daemon = Daemon::configured(rig, BOTH, &server, |config| {
        config.replace("checkpoint:", &format!("{ship}, checkpoint:"))
    })?;
    let down =
        || told(&daemon.rig).is_ok_and(|told| told["receivers"][0]["failures"].as_u64() > Some(0));
    ensure!(within_seconds(20, down), "{:#}", told(&daemon.rig)?);
    let told = told(&daemon.rig)?;
    let siem = &told["receivers"][0];
    ensure!(siem["name"] == "siem" && siem["up"] == false, "{told:#}");
    ensure!(siem["behind"].as_u64() > Some(0) && siem["last_error"].is_string(), "{told:#}");
    let text = shown(&daemon.rig)?;
    ensure!(text.contains("siem: DOWN") && text.contains("behind"), "{text}");
    Ok(())
}

/// Names of a tool and an actor that would clear the screen, colour it and turn the line round.
pub(crate) const HOSTILE: &str = "a\\e[2J\\e[31m\\r\\n\\u202Eb\\u009B7m";

/// A daemon whose server holds every call, with names that others chose; a client with a call in flight.
pub(crate) fn with_hostile_names() -> anyhow::Result<(Daemon, Client)> {
    let rig = Rig::new(&format!(
        "
actors:
  - {{id: \"{HOSTILE}\", allowed_tools: [\"{HOSTILE}\"]}}
effects:
  ambient: {{read: ['hold']}}
"
    ))?;
    mkfifo(&rig.root.join("hold"), Mode::from_bits_truncate(0o644))?;
    let script = rig.scratch.file(
        "root/server.sh",
        r#"while IFS= read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}
  case $line in
    *'"method":"initialize"'*)
      printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1"}}}\n' "$id";;
    *'"method":"tools/call"'*) read -r wait < hold;;
  esac
done
"#,
    )?;
    let server = ["/bin/sh".to_owned(), text(&script)];
    let daemon = Daemon::configured(rig, BOTH, &server, |config| {
        config.replace("id: assistant-service", &format!("id: \"{HOSTILE}\""))
    })?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let name = "a\u{1b}[2J\u{1b}[31m\r\n\u{202e}b\u{9b}7m";
    let params = json!({"name": name, "arguments": {}});
    client.send(&json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}))?;
    let flies = || told(&daemon.rig).is_ok_and(|told| told["servers"][0]["in_flight"] == 1);
    ensure!(within_seconds(20, flies), "{:#}\n{}", told(&daemon.rig)?, daemon.process.stderr());
    Ok((daemon, client))
}

fn hostile() -> anyhow::Result<()> {
    let (daemon, _client) = with_hostile_names()?;
    let text = shown(&daemon.rig)?;
    ensure!(text.contains(r"\u{1b}[2J") && text.contains(r"\u{202e}b\u{9b}7m"), "{text}");
    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    ensure!(!text.chars().any(acts), "{text:?}");
    Ok(())
}
