//! The rogue server is caught, and its benign twin is not.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::netns::{ANSWER, Listeners, Namespace};
use warrantd_tests::records::Record;
use warrantd_tests::scratch::text;

use crate::rig::{NOTE, Rig, WITHHELD, expect_error};

/// What the honest tools may do is granted, so that each misdeed is one of the tool, not one that
/// the server could not do at all. 10.0.0.7 is reachable, 10.0.0.1 is not.
pub(crate) const POLICY: &str = r#"
default_action: DENY
actors:
  - id: tester
    allowed_tools: [read_text_file, list_directory, write_file, run_program, http_get, send_datagram]
constraints:
  read_text_file: {allowed_paths: ["public/**"]}
  list_directory: {allowed_paths: ["public", "public/**"]}
  write_file: {allowed_paths: ["out/**"]}
network:
  allow:
    - {cidr: 10.0.0.7/32, ports: [8080]}
effects:
  tools:
    run_program: {exec: ["${arguments.program}"]}
    http_get: {connect: ["${arguments.host}:${arguments.port}"]}
    send_datagram: {connect: ["${arguments.host}:${arguments.port}"]}
"#;

const PROGRAM: &str = "/usr/bin/true";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const NETWORK: &[Need] = &[Need::Kernel, Need::Netns];
    vec![
        test("rogue::file_read_is_exceeded", KERNEL, file_read),
        test("rogue::file_write_is_exceeded", KERNEL, file_write),
        test("rogue::file_create_is_exceeded", KERNEL, file_create),
        test("rogue::exec_is_exceeded", KERNEL, exec),
        test("rogue::blocked_tcp_connect_is_exceeded", NETWORK, || tcp("10.0.0.1:8080", "denied")),
        test("rogue::blocked_tcp6_connect_is_exceeded", NETWORK, || tcp("[::1]:8080", "denied")),
        test("rogue::reachable_tcp_connect_is_exceeded", NETWORK, || {
            tcp("10.0.0.7:8080", "allowed")
        }),
        test("rogue::a_listed_peer_that_the_call_does_not_need_is_closed", NETWORK, || {
            tcp("10.0.0.7:8080", "denied")?;
            udp("10.0.0.7:8080", "denied")
        }),
        test("rogue::blocked_udp_send_is_exceeded", NETWORK, || udp("10.0.0.1:8080", "denied")),
        test("rogue::blocked_udp6_send_is_exceeded", NETWORK, || udp("[::1]:8080", "denied")),
        test("rogue::reachable_udp_send_is_exceeded", NETWORK, || udp("10.0.0.7:8080", "allowed")),
        test("rogue::several_misdeeds_are_all_reported", KERNEL, several),
        test("rogue::only_the_call_with_the_misdeed_is_withheld", KERNEL, second_call_only),
        test("rogue::report_releases_the_response_and_says_exceeded", KERNEL, report),
        test("rogue::terminate_kills_the_server", KERNEL, terminate),
        test("rogue::twin_file_read_is_within", KERNEL, twin_read),
        test("rogue::twin_listing_is_within", KERNEL, twin_list),
        test("rogue::twin_file_write_is_within", KERNEL, twin_write),
        test("rogue::twin_exec_is_within", KERNEL, twin_exec),
        test("rogue::twin_tcp_connect_is_within", NETWORK, twin_tcp),
        test("rogue::twin_udp_send_is_within", NETWORK, twin_udp),
    ]
}

/// Asks for the note.
fn read_note(client: &mut Client) -> anyhow::Result<Reply> {
    client.call("read_text_file", &json!({"path": "public/note.txt"}))
}

/// Lets the rogue server read the note with misdeeds, and demands that it is caught: the response
/// is withheld whole, and the record has exactly one effect too many, which is returned. `log` is
/// how the server itself says that it did it.
fn caught(rig: &Rig, mut client: Client, log: &str) -> anyhow::Result<Value> {
    let reply = read_note(&mut client)?;
    expect_error(&reply, WITHHELD)?;
    for piece in ["note that may be read", "Grüße", "世界"] {
        ensure!(NOTE.contains(piece) && !client.received().contains(piece), "{}", reply.line);
    }
    let ending = client.finish()?;
    ensure!(ending.status.success(), "{ending:?}");
    ensure!(ending.stderr.contains(log), "no `{log}` from the server in: {}", ending.stderr);

    let record = rig.record_of(&reply)?;
    ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
    ensure!(record.text("status") == "FAILURE", "{record:#?}");
    ensure!(record.text("policy_decision") == "ALLOW", "{record:#?}");
    ensure!(record.text("tool_name") == "read_text_file", "{record:#?}");
    ensure!(record.text("actor") == "tester", "{record:#?}");
    ensure!(record.text("effects.attribution") == "exclusive", "{record:#?}");
    let [effect] = deeds(&record)[..] else {
        anyhow::bail!("not one effect too many: {record:#?}");
    };
    ensure!(effect["pid"].as_u64().is_some_and(|pid| pid > 1), "{effect:#}");
    ensure!(effect["uid"] == json!(65534), "the server runs as nobody: {effect:#}");
    Ok(effect.clone())
}

/// What exceeded, but for what running a program does to its file, which some observers tell as well.
fn deeds(record: &Record) -> Vec<&Value> {
    let all = record.exceeded();
    let run = |path: &Value| {
        all.iter().any(|effect| effect["kind"] == json!("exec") && effect["path"] == *path)
    };
    let of_running = |effect: &&Value| {
        ["file_read", "file_map"].iter().any(|kind| effect["kind"] == json!(kind))
            && run(&effect["path"])
    };
    all.iter().filter(|effect| !of_running(effect)).collect()
}

fn expect_file(effect: &Value, kind: &str, path: &Path) -> anyhow::Result<()> {
    let file = path.metadata().with_context(|| text(path))?;
    ensure!(effect["kind"] == json!(kind), "{effect:#}");
    ensure!(effect["path"] == json!(text(path)), "{effect:#}");
    ensure!(effect["ino"] == json!(file.ino()), "inode {}: {effect:#}", file.ino());
    ensure!(effect["dev"] == json!(file.dev()), "device {}: {effect:#}", file.dev());
    ensure!(effect["outcome"] == json!("allowed"), "{effect:#}");
    Ok(())
}

fn file_read() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let secret = rig.root.join("secret.txt");
    let client = Client::connect(rig.run(&rig.rogue(&["--also-read", &text(&secret)])?)?)?;
    expect_file(&caught(&rig, client, ": done")?, "file_read", &secret)
}

fn file_write() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let victim = rig.scratch.file("root/out/victim.txt", "mine")?;
    std::os::unix::fs::chown(&victim, Some(65534), None)?;
    let client = Client::connect(rig.run(&rig.rogue(&["--also-write", &text(&victim)])?)?)?;
    expect_file(&caught(&rig, client, ": done")?, "file_write", &victim)
}

fn file_create() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let new = rig.root.join("out/new.txt");
    let client = Client::connect(rig.run(&rig.rogue(&["--also-write", &text(&new)])?)?)?;
    expect_file(&caught(&rig, client, ": done")?, "file_create", &new)
}

fn exec() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let client = Client::connect(rig.run(&rig.rogue(&["--also-exec", PROGRAM])?)?)?;
    expect_file(&caught(&rig, client, ": done")?, "exec", &Path::new(PROGRAM).canonicalize()?)
}

fn tcp(peer: &str, outcome: &str) -> anyhow::Result<()> {
    network_misdeed("--also-connect", peer, outcome, "connect", "tcp")
}

fn udp(peer: &str, outcome: &str) -> anyhow::Result<()> {
    network_misdeed("--also-udp", peer, outcome, "send", "udp")
}

/// A host of ours on each address that these tests use.
fn hosts(rig: &Rig) -> anyhow::Result<(Namespace, Listeners)> {
    let net = Namespace::new(&["10.0.0.1/32", "10.0.0.7/32"])?;
    let probe = rig.scratch.program("net-probe")?;
    let peers = ["10.0.0.1:8080", "10.0.0.7:8080", "[::1]:8080"];
    let listeners = Listeners::start(&net, &probe, &peers)?;
    Ok((net, listeners))
}

fn network_misdeed(
    flag: &str,
    peer: &str,
    outcome: &str,
    kind: &str,
    protocol: &str,
) -> anyhow::Result<()> {
    // Peers that no call in flight may reach are closed, unless policy leaves all of them open.
    let opening = if outcome == "denied" { "" } else { "  network: always\n" };
    let rig = Rig::new(&format!("{POLICY}{opening}"))?;
    let (net, listeners) = hosts(&rig)?;
    let client = Client::connect(rig.run_inside(&net, &rig.rogue(&[flag, peer])?)?)?;
    let log = if outcome == "denied" { ": EPERM" } else { ": done" };
    let effect = caught(&rig, client, log)?;
    ensure!(effect["kind"] == json!(kind), "{effect:#}");
    ensure!(effect["peer"] == json!(peer), "{effect:#}");
    ensure!(effect["protocol"] == json!(protocol), "{effect:#}");
    ensure!(effect["outcome"] == json!(outcome), "{effect:#}");
    if outcome == "denied" {
        let answered = listeners.answered();
        ensure!(answered.is_empty(), "reached {answered:?}");
    }
    Ok(())
}

fn several() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let secret = rig.root.join("secret.txt");
    let new = rig.root.join("out/new.txt");
    let flags =
        ["--also-read", &text(&secret), "--also-write", &text(&new), "--also-exec", PROGRAM];
    let mut client = Client::connect(rig.run(&rig.rogue(&flags)?)?)?;
    let reply = read_note(&mut client)?;
    expect_error(&reply, WITHHELD)?;
    client.finish()?;
    let record = rig.record_of(&reply)?;
    let kinds: Vec<_> = deeds(&record).iter().map(|effect| &effect["kind"]).collect();
    ensure!(kinds == ["file_read", "file_create", "exec"], "in this order: {record:#?}");
    Ok(())
}

fn second_call_only() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client =
        Client::connect(rig.run(&rig.rogue(&["--also-read", &secret, "--on", "2"])?)?)?;
    ensure!(read_note(&mut client)?.text()? == NOTE);
    expect_error(&read_note(&mut client)?, WITHHELD)?;
    ensure!(read_note(&mut client)?.text()? == NOTE);
    client.finish()?;
    let records = warrantd_tests::records::calls(&rig.audit)?;
    let verdicts: Vec<_> = records.iter().map(Record::verdict).collect();
    ensure!(verdicts == ["WITHIN", "EXCEEDED", "WITHIN"], "{records:#?}");
    Ok(())
}

fn report() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  on_exceeded: report\n"))?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-read", &secret])?)?)?;
    ensure!(read_note(&mut client)?.text()? == NOTE);
    client.finish()?;
    let record = rig.only_record()?;
    ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
    ensure!(record.exceeded().iter().any(|effect| effect["path"] == json!(secret)), "{record:#?}");
    Ok(())
}

fn terminate() -> anyhow::Result<()> {
    let rig = Rig::new(&format!("{POLICY}  on_exceeded: terminate\n"))?;
    let secret = text(&rig.root.join("secret.txt"));
    let mut client = Client::connect(rig.run(&rig.rogue(&["--also-read", &secret])?)?)?;
    expect_error(&read_note(&mut client)?, WITHHELD)?;
    let again = read_note(&mut client);
    ensure!(again.as_ref().map_or(true, |reply| reply.result().is_err()), "alive: {again:?}");
    let server = rig.scratch.program("rogue-server")?;
    ensure!(crate::processes::running(&server)?.is_empty(), "the server still runs");
    let ending = client.finish()?;
    ensure!(!ending.status.success(), "{ending:?}");
    Ok(())
}

/// Calls an honest tool and demands that its answer arrives and that its record says WITHIN, with
/// one effect of this kind that the warrant covers.
fn within(
    rig: &Rig,
    mut client: Client,
    (tool, arguments): (&str, Value),
    answer: &str,
    kind: &str,
) -> anyhow::Result<()> {
    let reply = client.call(tool, &arguments)?;
    ensure!(reply.text().ok() == Some(answer), "{}; stderr: {}", reply.line, client.stderr());
    let ending = client.finish()?;
    ensure!(ending.status.success(), "{ending:?}");
    let record = rig.only_record()?;
    ensure!(record.verdict() == "WITHIN", "{record:#?}");
    ensure!(record.text("status") == "SUCCESS", "{record:#?}");
    ensure!(record.exceeded().is_empty(), "{record:#?}");
    let kinds: Vec<_> = record.warranted().iter().map(|effect| &effect["kind"]).collect();
    ensure!(kinds.contains(&&json!(kind)), "no {kind} in {record:#?}");
    Ok(())
}

fn twin_read() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let call = ("read_text_file", json!({"path": "public/note.txt"}));
    within(&rig, client, call, NOTE, "file_read")
}

fn twin_list() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    within(&rig, client, ("list_directory", json!({"path": "public"})), "note.txt", "file_read")
}

fn twin_write() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let call = ("write_file", json!({"path": "out/new.txt", "content": "mine"}));
    within(&rig, client, call, "written", "file_create")?;
    ensure!(std::fs::read_to_string(rig.root.join("out/new.txt"))? == "mine");
    Ok(())
}

fn twin_exec() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let program = text(&Path::new(PROGRAM).canonicalize()?);
    within(&rig, client, ("run_program", json!({"program": program})), "", "exec")
}

fn twin_tcp() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (net, listeners) = hosts(&rig)?;
    let client = Client::connect(rig.run_inside(&net, &rig.rogue(&[])?)?)?;
    let call = ("http_get", json!({"host": "10.0.0.7", "port": 8080}));
    within(&rig, client, call, ANSWER, "connect")?;
    ensure!(listeners.answered() == ["tcp 10.0.0.7:8080"]);
    Ok(())
}

fn twin_udp() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (net, _listeners) = hosts(&rig)?;
    let client = Client::connect(rig.run_inside(&net, &rig.rogue(&[])?)?)?;
    let call = ("send_datagram", json!({"host": "10.0.0.7", "port": 8080, "text": "hello"}));
    within(&rig, client, call, "sent", "send")
}
