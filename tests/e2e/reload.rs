//! The configuration is read anew while sessions go on; what is wrong with it changes nothing.

use std::net::TcpListener;
use std::process::{Command, Output};

use anyhow::ensure;
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::http::Endpoint;
use warrantd_tests::needs::Need;
use warrantd_tests::probe::{Target, Way};
use warrantd_tests::records::{Record, await_record};
use warrantd_tests::scratch::text;

use crate::daemon::{BOTH, Daemon, KEY, config};
use crate::http_world::listeners;
use crate::processes::running;
use crate::rig::{DENIED, NOTE, Rig, SECRET, expect_error};

const OPEN: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";
/// Another file may be read, and the one that could be may not.
const OTHER: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['secret.txt']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("reload::a_session_goes_on_under_the_new_policy", KERNEL, policy),
        test("reload::a_signal_is_enough", KERNEL, signal),
        test("reload::a_broken_policy_changes_nothing", KERNEL, broken_policy),
        test("reload::the_kernel_closes_what_is_not_listed_any_more", KERNEL, peers),
        test("reload::keys_are_exchanged", KERNEL, keys),
        test("reload::servers_come_and_go_with_drop_ins", KERNEL, drop_ins),
        test("reload::another_command_takes_a_new_session", KERNEL, command),
        test("reload::limits_and_listeners_are_exchanged", KERNEL, http),
        test("reload::what_is_settled_at_the_start_is_refused", KERNEL, settled),
    ]
}

impl Daemon {
    /// `warrantd reload`.
    pub(crate) fn reload(&self) -> anyhow::Result<Output> {
        let mut reload = Command::new(self.rig.scratch.program("warrantd")?);
        reload.args(["reload", "--json", "--runtime-dir"]).arg(self.rig.scratch.path("run")?);
        Ok(reload.output()?)
    }

    /// The same, which must succeed with this number.
    fn reloads(&self, generation: u64) -> anyhow::Result<()> {
        let output = self.reload()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}\n{}", self.process.stderr());
        let done: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        ensure!(done["generation"] == json!(generation) && done["pending"] == json!(0), "{done}");
        Ok(())
    }

    /// The record of a reload with this outcome.
    fn reload_record(&self, status: &str) -> anyhow::Result<Record> {
        await_record(&self.rig.audit, |record| {
            record.text("event") == "reload" && record.text("status") == status
        })
    }
}

/// A daemon in front of the rogue server without misdeeds.
fn daemon(policy: &str) -> anyhow::Result<Daemon> {
    let rig = Rig::new(policy)?;
    let command = [text(&rig.scratch.program("rogue-server")?)];
    Daemon::with(rig, BOTH, &command)
}

fn note(client: &mut Client) -> anyhow::Result<()> {
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    Ok(())
}

fn no_note(client: &mut Client) -> anyhow::Result<()> {
    expect_error(&client.call("read_text_file", &json!({"path": "public/note.txt"}))?, DENIED)
}

fn policy() -> anyhow::Result<()> {
    let daemon = daemon(OPEN)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    note(&mut client)?;
    let server = daemon.rig.scratch.program("rogue-server")?;
    let before = running(&server)?;
    daemon.rig.scratch.file("policy.yaml", OTHER)?;
    note(&mut client)?; // Files alone change nothing.
    daemon.reloads(2)?;
    no_note(&mut client)?;
    let reply = client.call("read_text_file", &json!({"path": "secret.txt"}))?;
    ensure!(reply.text()? == SECRET, "{}", reply.line);
    ensure!(running(&server)? == before, "the server was started anew");
    client.finish()?;

    let record = daemon.reload_record("SUCCESS")?;
    ensure!(record.get("operator_uid") == &json!(0), "{record:#?}");
    ensure!(record.get("policy_generation") == &json!(2), "{record:#?}");
    let changed = record.get("configuration.changed");
    ensure!(changed == &json!([text(&daemon.rig.policy)]), "{record:#?}");
    let files = record.get("configuration.files").as_array().map_or(0, Vec::len);
    ensure!(files == 2, "{record:#?}");
    let calls = warrantd_tests::records::calls(&daemon.rig.audit)?;
    let told: Vec<_> = calls
        .iter()
        .map(|call| (call.text("policy_decision"), call.get("policy_generation").as_u64()))
        .collect();
    let expected = [("ALLOW", Some(1)), ("ALLOW", Some(1)), ("DENY", Some(2)), ("ALLOW", Some(2))];
    ensure!(told == expected, "{told:?}");
    ensure!(calls.iter().filter(|call| call.verdict() == "WITHIN").count() == 3, "{calls:#?}");
    Ok(())
}

fn signal() -> anyhow::Result<()> {
    let daemon = daemon(OPEN)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    note(&mut client)?;
    daemon.rig.scratch.file("policy.yaml", OTHER)?;
    kill(Pid::from_raw(daemon.process.pid().try_into()?), Signal::SIGHUP)?;
    let record = daemon.reload_record("SUCCESS")?;
    ensure!(record.get("operator_uid").is_null(), "{record:#?}");
    no_note(&mut client)?;
    client.finish()?;
    Ok(())
}

fn broken_policy() -> anyhow::Result<()> {
    let daemon = daemon(OPEN)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let broken = format!("{OTHER}efects: {{}}\n");
    daemon.rig.scratch.file("policy.yaml", broken)?;
    let output = daemon.reload()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(78), "{}: {said}", output.status);
    let place = format!("{}:6:1", daemon.rig.policy.display());
    ensure!(said.contains(&place) && said.contains("`effects`"), "{said}");
    ensure!(said.contains("nothing was changed"), "{said}");
    note(&mut client)?;
    let record = daemon.reload_record("FAILURE")?;
    ensure!(record.text("error").contains("efects"), "{record:#?}");
    ensure!(record.get("policy_generation") == &json!(1), "{record:#?}");
    // Mended, it counts.
    daemon.rig.scratch.file("policy.yaml", OTHER)?;
    daemon.reloads(2)?;
    no_note(&mut client)?;
    client.finish()?;
    Ok(())
}

/// A policy that keeps these peers open all the time.
fn peers_policy(peers: &[u16]) -> String {
    let allow: Vec<_> = peers
        .iter()
        .map(|port| format!("{{cidr: 127.0.0.1/32, ports: [{port}], protocol: tcp}}"))
        .collect();
    format!(
        "
actors:
  - {{id: assistant-service, allowed_tools: [try_peers]}}
network: {{allow: [{}]}}
effects: {{network: always, on_exceeded: report}}
",
        allow.join(", ")
    )
}

fn peers() -> anyhow::Result<()> {
    let (kept, closed, opened) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    let (kept, closed, opened) = (port(&kept)?, port(&closed)?, port(&opened)?);
    let daemon = daemon(&peers_policy(&[kept, closed]))?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let targets: Vec<_> = [kept, closed, opened]
        .iter()
        .map(|port| Target { way: Way::Tcp, address: ([127, 0, 0, 1], *port).into() })
        .collect();
    ensure!(reached(&mut client, &targets)? == [true, true, false]);
    daemon.rig.scratch.file("policy.yaml", peers_policy(&[kept, opened]))?;
    daemon.reloads(2)?;
    ensure!(reached(&mut client, &targets)? == [true, false, true]);
    client.finish()?;
    Ok(())
}

/// Which of the peers can be connected to. They have nothing to say.
fn reached(client: &mut Client, peers: &[Target]) -> anyhow::Result<Vec<bool>> {
    let outcomes = crate::network::try_peers(client, peers)?;
    let known = outcomes.iter().all(|outcome| ["no answer", "EPERM"].contains(&outcome.as_str()));
    ensure!(known, "{outcomes:?}");
    Ok(outcomes.iter().map(|outcome| outcome == "no answer").collect())
}

fn keys() -> anyhow::Result<()> {
    const NEXT: &str = "wd-test-1f2e3d4c5b6a7988";
    let daemon = daemon(OPEN)?;
    let mut before = Client::connect(daemon.connect(Some(KEY))?)?;
    ensure!(Client::connect(daemon.connect(Some(NEXT))?).is_err(), "a key that nobody has opens");
    let file = daemon.rig.scratch.path("warrantd.yaml")?;
    let written = std::fs::read_to_string(&file)?;
    let hash = |key: &str| format!("{:x}", <sha2::Sha256 as sha2::Digest>::digest(key));
    std::fs::write(&file, written.replace(&hash(KEY), &hash(NEXT)))?;
    daemon.reloads(2)?;
    ensure!(Client::connect(daemon.connect(Some(KEY))?).is_err(), "the key of before opens");
    let mut after = Client::connect(daemon.connect(Some(NEXT))?)?;
    note(&mut after)?;
    note(&mut before)?; // A session is not its key.
    before.finish()?;
    after.finish()?;
    Ok(())
}

fn drop_ins() -> anyhow::Result<()> {
    let daemon = daemon(OPEN)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    let rig = &daemon.rig;
    let socket = rig.scratch.path("run")?.join("second.sock");
    let server = format!(
        "servers:\n  - {{id: second, command: [{}], root: {}, user: nobody, policy: policy.yaml, \
         auth: [api_key]}}\n",
        rig.scratch.program("rogue-server")?.display(),
        rig.root.display()
    );
    let drop_in = rig.scratch.file("conf.d/second.yaml", server)?;
    daemon.reloads(2)?;
    let record = daemon.reload_record("SUCCESS")?;
    ensure!(record.get("configuration.added") == &json!(["second"]), "{record:#?}");
    let mut connect = daemon.connect(Some(KEY))?;
    connect.arg("--socket").arg(&socket);
    let connect = |to: &str| -> anyhow::Result<Client> {
        let mut command = Command::new(rig.scratch.program("warrantd")?);
        command.args(["connect", to, "--key-file"]).arg(rig.scratch.path("key")?);
        command.arg("--socket").arg(rig.scratch.path("run")?.join(format!("{to}.sock")));
        Client::connect(command)
    };
    let mut second = connect("second")?;
    note(&mut second)?;
    std::fs::remove_file(drop_in)?;
    daemon.reloads(3)?;
    ensure!(!socket.exists(), "the socket is still there");
    ensure!(second.request("tools/list", &json!({})).is_err(), "the session goes on");
    note(&mut client)?;
    client.finish()?;
    Ok(())
}

fn command() -> anyhow::Result<()> {
    let daemon = daemon(OPEN)?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    note(&mut client)?;
    let rig = &daemon.rig;
    let server = text(&rig.scratch.program("rogue-server")?);
    let next = config(rig, BOTH, &[server, "--on".into(), "9".into()])?;
    rig.scratch.file("warrantd.yaml", next)?;
    daemon.reloads(2)?;
    ensure!(client.request("tools/list", &json!({})).is_err(), "the session goes on");
    let end = await_record(&rig.audit, |record| record.text("event") == "session_end")?;
    ensure!(end.text("error").contains("`command`"), "{end:#?}");
    let after = Client::connect(daemon.connect(Some(KEY))?)?;
    after.finish()?;
    Ok(())
}

fn http() -> anyhow::Result<()> {
    let rig = Rig::new(OPEN)?;
    let command = [text(&rig.scratch.program("rogue-server")?)];
    let daemon = Daemon::configured(rig, BOTH, &command, |config| {
        format!("{config}listen: [{{address: '127.0.0.1:0'}}]\nlimits: {{body_bytes: 4096}}\n")
    })?;
    let address = listeners(&daemon, 1)?[0];
    let endpoint = Endpoint::tcp(address, "/files/mcp")
        .with("Authorization", &format!("Bearer {KEY}"))
        .with("Accept", "application/json, text/event-stream")
        .with("Content-Type", "application/json");
    let body = |length: usize| {
        let id = "x".repeat(length);
        format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"ping"}}"#)
    };
    let status = |endpoint: &Endpoint, length: usize| -> anyhow::Result<u16> {
        Ok(endpoint.send("POST", Some(body(length).as_bytes()))?.status)
    };
    ensure!(status(&endpoint, 3000)? != 413, "a body within the limit");
    ensure!(status(&endpoint, 5000)? == 413, "a body beyond it");
    let file = daemon.rig.scratch.path("warrantd.yaml")?;
    let written = std::fs::read_to_string(&file)?;
    let next = written
        .replace("body_bytes: 4096", "body_bytes: 2048")
        .replace("'127.0.0.1:0'}", "'127.0.0.1:0', allowed_hosts: [mcp.example.com]}");
    let named = endpoint.clone().with("Host", "mcp.example.com");
    ensure!(status(&named, 100)? == 403, "a name that is not the listener's");
    std::fs::write(&file, next)?;
    daemon.reloads(2)?;
    ensure!(status(&endpoint, 3000)? == 413, "the limit is the new one");
    ensure!(status(&endpoint, 100)? != 413, "what is within it passes");
    ensure!(status(&named, 100)? != 403, "the name is the listener's");
    let written = std::fs::read_to_string(&file)?;
    std::fs::write(&file, written.replace("listen: [", "listen: []\n#"))?;
    daemon.reloads(3)?;
    ensure!(endpoint.send("POST", Some(b"{}")).is_err(), "it still listens");
    Ok(())
}

fn settled() -> anyhow::Result<()> {
    let daemon = daemon(OPEN)?;
    let file = daemon.rig.scratch.path("warrantd.yaml")?;
    let written = std::fs::read_to_string(&file)?;
    for (before, after, named) in [
        ("kernel: on", "kernel: off", "`kernel`"),
        ("/state", "/elsewhere", "`state_dir`"),
        ("audit: {", "audit: {durability: power, ", "`audit.durability`"),
    ] {
        std::fs::write(&file, written.replacen(before, after, 1))?;
        let output = daemon.reload()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(78), "{named}: {}: {said}", output.status);
        ensure!(said.contains(named) && said.contains("restart"), "{said}");
    }
    std::fs::write(&file, written)?;
    daemon.reloads(2)
}
