//! Servers that are spoken to over HTTP: run by warrantd, run by something else in a cgroup of its own, and
//! out of the kernel's sight.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::daemon::{Daemon, KEY};
use crate::lifecycle::within_seconds;
use crate::rig::{NOTE, Rig, WITHHELD, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file, nose, dial]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects:
  tools: {nose: {}, dial: {}}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("upstream::a_server_that_warrantd_runs_is_held_to_its_warrants", KERNEL, managed),
        test("upstream::nobody_else_comes_in_by_the_side_door", KERNEL, side_door),
        test("upstream::a_server_of_others_is_held_to_its_warrants", KERNEL, attached),
        test("upstream::what_the_kernel_cannot_see_is_said", KERNEL, unobserved),
    ]
}

/// A port of loopback that was free a moment ago.
fn port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/mcp")
}

/// Surroundings whose policy lets the server listen there.
fn listening(port: u16) -> anyhow::Result<Rig> {
    Rig::new(&format!("{POLICY}network: {{listen: [{{port: {port}, protocol: tcp}}]}}\n"))
}

/// A daemon that runs the server itself.
fn run(rig: Rig, port: u16, more: &str) -> anyhow::Result<Daemon> {
    let command = [text(&rig.scratch.program("web-server")?), port.to_string()];
    let upstream = format!("    upstream: {{url: '{}'{more}}}\n", url(port));
    Daemon::configured(rig, "[api_key]", &command, |config| config + &upstream)
}

/// A daemon in front of a server that runs already.
fn front(rig: Rig, port: u16, who: &str) -> anyhow::Result<Daemon> {
    Daemon::configured(rig, "[api_key]", &[], |config| {
        let own = ["    command:", "    user:"];
        let kept = config.lines().filter(|line| !own.iter().any(|key| line.starts_with(key)));
        let kept = kept.collect::<Vec<_>>().join("\n");
        format!("{kept}\n    upstream: {{url: '{}', {who}}}\n", url(port))
    })
}

/// Demands that an honest call is answered, and one that does more than it may is found out.
fn is_held_to_warrants(daemon: &Daemon) -> anyhow::Result<()> {
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.request("tools/list", &json!({}))?.result()?;
    let path = text(&daemon.rig.root.join("public/note.txt"));
    ensure!(client.call("read_text_file", &json!({"path": path}))?.text()? == NOTE);
    expect_error(&client.call("nose", &json!({}))?, WITHHELD)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?.to_string();
    expect_error(&client.call("dial", &json!({"peer": peer}))?, WITHHELD)?;
    listener.set_nonblocking(true)?;
    ensure!(listener.accept().is_err(), "it was connected to");
    client.finish()?;
    let calls = records::calls(&daemon.rig.audit)?;
    let verdicts: Vec<_> = calls.iter().map(records::Record::verdict).collect();
    ensure!(verdicts == ["WITHIN", "EXCEEDED", "EXCEEDED"], "{calls:#?}");
    let secret = calls[1].exceeded().iter().any(|effect| effect.to_string().contains("secret.txt"));
    ensure!(secret, "{:#?}", calls[1]);
    ensure!(calls[2].exceeded().iter().any(|e| e.to_string().contains(&peer)), "{:#?}", calls[2]);
    Ok(())
}

fn managed() -> anyhow::Result<()> {
    let port = port()?;
    is_held_to_warrants(&run(listening(port)?, port, "")?)
}

fn side_door() -> anyhow::Result<()> {
    let closed = port()?;
    let daemon = run(listening(closed)?, closed, "")?;
    // It is run and served whether somebody has asked for it or not.
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.request("tools/list", &json!({}))?.result()?;
    let address = format!("127.0.0.1:{closed}").parse()?;
    let direct = TcpStream::connect_timeout(&address, std::time::Duration::from_secs(2));
    ensure!(direct.is_err(), "it was let in");
    client.request("tools/list", &json!({}))?.result()?;
    client.finish()?;
    drop(daemon);
    // The twin: the same, left open.
    let open = port()?;
    let daemon = run(listening(open)?, open, ", side_door: open")?;
    ensure!(within_seconds(20, || TcpStream::connect(("127.0.0.1", open)).is_ok()), "not let in");
    drop(daemon);
    Ok(())
}

/// A server that runs in a cgroup which is none of warrantd's.
struct Service {
    process: Child,
    cgroup: PathBuf,
}

impl Service {
    fn start(rig: &Rig, port: u16) -> anyhow::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let mount = mount.and_then(|line| line.split(' ').nth(1)).context("cgroup v2")?;
        let cgroup = Path::new(mount).join(format!("test-upstream-{}-{port}", std::process::id()));
        fs::create_dir(&cgroup)?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(&cgroup);
        command.arg(rig.scratch.program("web-server")?).arg(port.to_string());
        command.current_dir(&rig.root).stdin(Stdio::null()).process_group(0);
        let process = command.spawn()?;
        let service = Self { process, cgroup };
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        ensure!(within_seconds(20, listens), "it does not listen");
        Ok(service)
    }

    /// As configuration names its cgroup.
    fn named(&self) -> String {
        format!("/{}", self.cgroup.file_name().unwrap_or_default().to_string_lossy())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Ok(pid) = self.process.id().try_into() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.process.wait();
        let _ = within_seconds(20, || fs::remove_dir(&self.cgroup).is_ok());
    }
}

fn attached() -> anyhow::Result<()> {
    let port = port()?;
    let rig = listening(port)?;
    let mut service = Service::start(&rig, port)?;
    let daemon = front(rig, port, &format!("cgroup: {}", service.named()))?;
    is_held_to_warrants(&daemon)?;
    drop(daemon);
    ensure!(service.process.try_wait()?.is_none(), "it was ended with warrantd");
    Ok(())
}

fn unobserved() -> anyhow::Result<()> {
    let port = port()?;
    let rig = listening(port)?;
    let _service = Service::start(&rig, port)?;
    let daemon = front(rig, port, "unobserved: true")?;
    let mut client = Client::connect(daemon.connect(Some(KEY))?)?;
    client.request("tools/list", &json!({}))?.result()?;
    let path = text(&daemon.rig.root.join("public/note.txt"));
    ensure!(client.call("read_text_file", &json!({"path": path}))?.text()? == NOTE);
    client.finish()?;
    let calls = records::calls(&daemon.rig.audit)?;
    ensure!(calls.len() == 1 && calls[0].verdict() == "UNOBSERVED", "{calls:#?}");
    Ok(())
}
