//! Sessions and instances from beginning to end, violent ends included.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use warrantd::kernel::{Kernel, KernelError};
use warrantd::policy::network::Table;

use crate::support::{
    cgroup_root, ensure, equal, kernel, options, public_dir, runtime, spec, start, starting,
};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("a_session_ends_with_its_processes", session_ends),
    ("a_session_is_frozen_and_killed", frozen_and_killed),
    ("names_are_checked_and_unique", names),
    ("an_instance_leaves_nothing_behind", instance_ends),
    ("a_second_instance_of_a_name_is_refused", busy),
    ("a_killed_warrantd_leaves_nothing_unenforced", killed),
    ("a_probe_that_lies_stops_the_start", lying_probe),
];

fn session_ends() -> Result<(), Failed> {
    let session = kernel()?.open_session("ends", &Table::default())?;
    let path = own_cgroup().join("ends");
    let _runtime = runtime().enter();
    let child = session.spawn(&spec(actor::command(&["wait"])))?;
    let pid = child.id().unwrap_or(0);
    ensure(session.populated() && alive(pid), "the server does not run")?;
    drop(session);
    ensure(!path.exists(), "the cgroup is still there")?;
    drop(child);
    within("the server is gone", || !alive(pid))
}

fn frozen_and_killed() -> Result<(), Failed> {
    let session = kernel()?.open_session("frozen", &Table::default())?;
    let path = own_cgroup().join("frozen/cgroup.events");
    let _runtime = runtime().enter();
    let mut child = session.spawn(&spec(actor::command(&["wait"])))?;
    let frozen = |state: &str| fs::read_to_string(&path).is_ok_and(|events| events.contains(state));
    session.freeze(true)?;
    within("the session is frozen", || frozen("frozen 1"))?;
    session.freeze(false)?;
    within("the session goes on", || frozen("frozen 0"))?;
    session.kill()?;
    let status = runtime().block_on(child.wait())?;
    ensure(!status.success(), "the server ended by itself")?;
    within("the session is empty", || !session.populated())
}

fn names() -> Result<(), Failed> {
    let kernel = kernel()?;
    for bad in ["", "..", "a/b", "-x", "cgroup procs"] {
        let refused = kernel.open_session(bad, &Table::default());
        ensure(matches!(refused, Err(KernelError::Name { .. })), bad)?;
    }
    let _first = kernel.open_session("twice", &Table::default())?;
    ensure(kernel.open_session("twice", &Table::default()).is_err(), "two sessions of one name")
}

fn instance_ends() -> Result<(), Failed> {
    let name = format!("leaves-{}", std::process::id());
    let kernel = start(&options(&name))?;
    let (pins, cgroup) = (pins(&name), cgroup_root().join(&name));
    ensure(
        pins.join("link_connect4").exists() && pins.join("map_sessions").exists(),
        "nothing is pinned",
    )?;
    let session = kernel.open_session("last", &Table::default())?;
    drop(kernel);
    ensure(pins.exists() && cgroup.exists(), "the session lost its instance")?;
    drop(session);
    ensure(!pins.exists() && !cgroup.exists(), "something was left behind")
}

fn busy() -> Result<(), Failed> {
    let name = format!("busy-{}", std::process::id());
    let first = start(&options(&name))?;
    match start(&options(&name)) {
        Err(KernelError::InstanceBusy { pid, .. }) => equal(pid, std::process::id())?,
        Err(error) => return Err(error.into()),
        Ok(_) => return Err("two instances of one name".into()),
    }
    drop(first);
    start(&options(&name)).map(drop).map_err(Failed::from)
}

/// A warrantd is killed with a server that has a child. The server dies with it; the child goes on, still
/// refused; the next start, of whatever instance, ends it and removes what was left.
pub(crate) fn killed() -> Result<(), Failed> {
    let directory = public_dir()?;
    let log = directory.path().join("log");
    fs::write(&log, "")?;
    fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let peer = listener.local_addr()?.to_string();
    let name = format!("killed-{}", std::process::id());

    let log_text = log.display().to_string();
    let _nobody_else = starting()?;
    let (mut warrantd, server) = victim(&name, &log_text, &peer)?;
    within("the server's child tries", || lines(&log).len() > 3)?;
    let child: u32 = lines(&log)[0].split(' ').next().unwrap_or_default().parse()?;
    warrantd.kill()?;
    warrantd.wait()?;
    within("the server dies with warrantd", || !alive(server))?;
    ensure(alive(child), "the server's child is gone, there is nothing to test")?;
    let seen = lines(&log).len();
    within("the child goes on trying", || lines(&log).len() > seen + 5)?;
    ensure(
        lines(&log).iter().all(|line| line.ends_with(" EPERM")),
        "a connection was not refused",
    )?;
    ensure(listener.accept().is_err(), "a connection arrived")?;

    let next = Kernel::start(&options(&format!("next-{}", std::process::id())))?;
    within("the child is killed", || !alive(child))?;
    ensure(!pins(&name).exists(), "pins are left")?;
    ensure(!cgroup_root().join(&name).exists(), "cgroups are left")?;
    drop(next);
    Ok(())
}

fn lying_probe() -> Result<(), Failed> {
    let name = format!("lying-{}", std::process::id());
    for (words, missing) in [
        (vec!["/bin/echo", "open ok connect EPERM"], "the probe's open of /dev/null"),
        (vec!["/bin/echo", "open ok connect ok"], "was to print"),
        (
            vec!["/bin/sh", "-c", "cat </dev/null; echo open ok connect EPERM"],
            "the probe's refused connection",
        ),
    ] {
        let mut options = options(&name);
        options.probe = words.into_iter().map(Into::into).collect();
        match start(&options) {
            Err(error @ KernelError::SelfTest { .. }) => {
                ensure(error.to_string().contains(missing), &error.to_string())?;
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Err("it started".into()),
        }
        ensure(
            !pins(&name).exists() && !cgroup_root().join(&name).exists(),
            "something was left behind",
        )?;
    }
    Ok(())
}

/// A warrantd in a process of its own, and the pid of its server.
fn victim(name: &str, log: &str, peer: &str) -> Result<(Child, u32), Failed> {
    let argv = actor::command(&["instance", name, log, peer]);
    let mut child = Command::new(&argv[0]).args(&argv[1..]).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    Ok((child, line.trim().parse()?))
}

fn own_cgroup() -> PathBuf {
    cgroup_root().join(format!("test-{}", std::process::id()))
}

fn pins(name: &str) -> PathBuf {
    options(name).pin_root.join(name)
}

pub(crate) fn lines(path: &Path) -> Vec<String> {
    // The last line may still be in the making.
    let text = fs::read_to_string(path).unwrap_or_default();
    text.rsplit_once('\n')
        .map_or(Vec::new(), |(whole, _)| whole.lines().map(str::to_owned).collect())
}

/// Whether a process exists and is no zombie.
fn alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits for something that must happen soon.
pub(crate) fn within(what: &str, happens: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !happens() {
        if Instant::now() > deadline {
            return Err(format!("in vain waited until {what}").into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
