//! What remains when warrantd ends, however it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::netns::{Listeners, Namespace};
use warrantd_tests::scratch::text;

use crate::processes::{alive, running};
use crate::rig::{NOTE, Rig};

const POLICY: &str = r#"
actors:
  - {id: tester, allowed_tools: [read_text_file, leave_behind]}
effects:
  tools:
    leave_behind: {exec: ["/**"], write: ["out/**"]}
  on_exceeded: report
"#;

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const NETWORK: &[Need] = &[Need::Kernel, Need::Netns];
    vec![
        test("lifecycle::killing_warrantd_kills_the_server", KERNEL, killed),
        test("lifecycle::what_a_server_left_behind_stays_confined", NETWORK, left_behind),
        test("lifecycle::a_signal_ends_the_server", KERNEL, terminated),
        test("lifecycle::nothing_remains_after_a_session", KERNEL, clean_end),
        test("lifecycle::a_server_that_dies_ends_the_session", KERNEL, server_dies),
    ]
}

/// Waits until a condition holds.
pub(crate) fn within_seconds(seconds: u64, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn nothing_runs(program: &Path) -> bool {
    running(program).is_ok_and(|pids| pids.is_empty())
}

/// A session with the rogue server whose process is seen to run.
fn session(rig: &Rig) -> anyhow::Result<(Client, PathBuf)> {
    let mut client = Client::connect(rig.run(&rig.rogue(&[])?)?)?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE);
    let server = rig.scratch.program("rogue-server")?;
    ensure!(running(&server)?.len() == 1, "not one server runs");
    Ok((client, server))
}

fn killed() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (mut client, server) = session(&rig)?;
    client.kill()?;
    ensure!(within_seconds(20, || nothing_runs(&server)), "the server outlived warrantd");

    // The next start takes away what the dead one could not.
    let remains = places_of(client.pid())?;
    ensure!(remains.iter().all(|place| place.exists()), "{remains:?} are not there");
    session(&Rig::new(POLICY)?)?.0.finish()?;
    ensure!(!remains.iter().any(|place| place.exists()), "{remains:?} remain");
    Ok(())
}

fn left_behind() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let inside = Namespace::new(&["10.0.0.1/32"])?;
    let probe = rig.scratch.program("net-probe")?;
    let listeners = Listeners::start(&inside, &probe, &["10.0.0.1:8080"])?;
    let report = rig.root.join("out/report.txt");
    let lines = || fs::read_to_string(&report).unwrap_or_default().lines().count();

    let mut client = Client::connect(rig.run_inside(&inside, &rig.rogue(&[])?)?)?;
    let arguments = json!({"peer": "10.0.0.1:8080", "report": text(&report)});
    let reply = client.call("leave_behind", &arguments)?;
    let pid: u32 = reply.text()?.parse().with_context(|| reply.line.clone())?;
    ensure!(within_seconds(20, || lines() > 2), "the process left behind does not try");

    client.kill()?;
    // It may live on, but then it must go on failing.
    thread::sleep(Duration::from_secs(1));
    let tries = fs::read_to_string(&report)?;
    ensure!(tries.lines().all(|outcome| outcome == "EPERM"), "{tries}");
    ensure!(listeners.answered().is_empty(), "it reached the peer");

    // The next start finds what the dead one left, and ends it.
    let next = Rig::new(POLICY)?;
    session(&next)?.0.finish()?;
    let gone = within_seconds(20, || !alive(pid));
    if !gone {
        kill(Pid::from_raw(pid.try_into()?), Signal::SIGKILL)?;
    }
    ensure!(gone, "the next start left the process {pid} of a dead instance running");
    ensure!(listeners.answered().is_empty(), "it reached the peer meanwhile");
    Ok(())
}

fn terminated() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (client, server) = session(&rig)?;
    kill(Pid::from_raw(client.pid().try_into()?), Signal::SIGTERM)?;
    ensure!(within_seconds(20, || nothing_runs(&server)), "the server outlived SIGTERM");
    client.ending()?;
    Ok(())
}

fn clean_end() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (client, server) = session(&rig)?;
    let places = places_of(client.pid())?;
    ensure!(places.iter().all(|place| place.exists()), "{places:?} are not there");
    let ending = client.finish()?;
    ensure!(ending.status.success(), "{ending:?}");
    ensure!(nothing_runs(&server), "the server still runs");
    ensure!(!places.iter().any(|place| place.exists()), "{places:?} remain");
    Ok(())
}

/// The cgroup and the pins of a `warrantd run` with this process id.
fn places_of(pid: u32) -> anyhow::Result<[PathBuf; 2]> {
    let instance = format!("run-{pid}");
    let pins = Path::new("/sys/fs/bpf/warrantd").join(&instance);
    Ok([cgroups()?.join("warrantd").join(instance), pins])
}

/// Where the cgroup2 file system is mounted.
pub(crate) fn cgroups() -> anyhow::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mount = mounts.lines().find(|mount| mount.split(' ').nth(2) == Some("cgroup2"));
    let dir = mount.and_then(|mount| mount.split(' ').nth(1)).context("no cgroup2 mount")?;
    Ok(dir.into())
}

fn server_dies() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (client, server) = session(&rig)?;
    for pid in running(&server)? {
        kill(Pid::from_raw(pid.try_into()?), Signal::SIGKILL)?;
    }
    let ending = client.ending()?;
    ensure!(!ending.status.success(), "{ending:?}");
    ensure!(ending.stderr.contains("the server ended"), "{ending:?}");
    Ok(())
}
