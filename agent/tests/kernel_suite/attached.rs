//! Cgroups that something else runs: enforced and observed while warrantd is attached, left alone otherwise.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use warrantd::kernel::{Kernel, KernelError, KernelOptions, Session};
use warrantd::policy::network::{Table, compile};
use warrantd::warrant::{Effect, Outcome, Target};

use crate::lifecycle::within;
use crate::network::allow_both;
use crate::support::{cgroup_root, ensure, equal, kernel, options};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("an_attached_cgroup_is_enforced_and_observed", enforced),
    ("an_attached_cgroup_is_left_as_it_was", left_alone),
    ("a_cgroup_with_others_below_it_is_refused_or_told", nested),
    ("a_cgroup_that_was_replaced_is_told", replaced),
    ("paths_that_are_no_cgroup_of_a_server_are_refused", paths),
    ("attached_programs_outlive_a_crash_until_the_next_attachment", crash),
    ("attached_programs_outlive_an_end_that_another_follows", hand_over),
];

/// A cgroup of the test's own, away when dropped, its processes with it.
struct Foreign(PathBuf);

impl Foreign {
    fn new(purpose: &str) -> Result<Self, Failed> {
        let root = cgroup_root();
        let parent = root.parent().ok_or("the mount")?;
        let path = parent.join(format!("test-{purpose}-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Its path as configuration names it.
    fn named(&self) -> PathBuf {
        Path::new("/").join(self.0.file_name().unwrap_or_default())
    }

    fn attach(&self, network: &Table) -> Result<Session, Failed> {
        let session = kernel()?.prepare_attached("attached", &self.named(), network)?;
        session.attach()?;
        Ok(session)
    }

    /// Starts an actor in it, as whoever runs the server would.
    fn start(&self, words: &[&str]) -> Result<Child, Failed> {
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        let this = std::env::current_exe()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).arg(&self.0).arg(this).arg(actor::MARK).args(words);
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }

    /// Runs an actor in it to its end, and returns what it printed.
    fn run(&self, words: &[&str]) -> Result<String, Failed> {
        let output = self.start(words)?.wait_with_output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("below"));
        for _ in 0..200 {
            let procs = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            for pid in procs.lines().filter_map(|line| line.parse().ok()) {
                let pid = nix::unistd::Pid::from_raw(pid);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            if fs::remove_dir(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn listener() -> Result<(TcpListener, String), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = listener.local_addr()?.to_string();
    Ok((listener, peer))
}

fn is_connect(effect: &Effect, to: &str, outcome: Outcome) -> bool {
    matches!(&effect.target, Target::Peer(peer) if peer.peer.to_string() == to)
        && effect.outcome == outcome
}

fn is_open(effect: &Effect, of: &str) -> bool {
    matches!(&effect.target, Target::File(file) if file.path == of)
}

fn enforced() -> Result<(), Failed> {
    let foreign = Foreign::new("enforced")?;
    let (_listener, peer) = listener()?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "ok")?;
    let session = foreign.attach(&Table::default())?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    equal(foreign.run(&["read", "/etc/hostname"])?.as_str(), "ok")?;
    let drained = session.drain();
    equal((drained.lost, drained.incomplete), (0, false))?;
    let seen = &drained.effects;
    ensure(seen.iter().any(|e| is_connect(e, &peer, Outcome::Denied)), "no refusal is reported")?;
    ensure(seen.iter().any(|e| is_open(e, "/etc/hostname")), "no open is reported")?;
    // The twin: the same peer, listed.
    session.set_network(&allow_both(&[&peer])?)?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "ok")?;
    let seen = session.drain().effects;
    ensure(seen.iter().any(|e| is_connect(e, &peer, Outcome::Allowed)), "it is not reported")?;
    // Another server cannot have the same one.
    let twice = kernel()?.prepare_attached("twice", &foreign.named(), &Table::default());
    ensure(matches!(twice, Err(KernelError::Attach { .. })), "attached twice")
}

fn left_alone() -> Result<(), Failed> {
    let foreign = Foreign::new("alone")?;
    let (_listener, peer) = listener()?;
    let mut server = foreign.start(&["wait"])?;
    let inside = || fs::read_to_string(foreign.0.join("cgroup.procs")).unwrap_or_default();
    within("the server is in its cgroup", || !inside().is_empty())?;
    let session = foreign.attach(&Table::default())?;
    ensure(session.kill().is_err() && session.freeze(true).is_err(), "it can be stopped")?;
    ensure(session.populated(), "its server is not seen")?;
    equal(session.pids(), vec![server.id()])?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    drop(session);
    // What was pinned ends a grace period after its name (kernel/bpf/inode.c, bpf_free_inode).
    within("it can connect again", || foreign.run(&["tcp", &peer]).is_ok_and(|said| said == "ok"))?;
    ensure(server.try_wait()?.is_none(), "the server has ended")?;
    // And once more, as after a restart in order.
    let session = foreign.attach(&Table::default())?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    drop(session);
    ensure(server.try_wait()?.is_none(), "the server has ended")?;
    server.kill()?;
    server.wait()?;
    Ok(())
}

fn nested() -> Result<(), Failed> {
    let foreign = Foreign::new("nested")?;
    let session = foreign.attach(&Table::default())?;
    ensure(session.is_whole() && !session.drain().incomplete, "a plain cgroup is not whole")?;
    fs::create_dir(foreign.0.join("below"))?;
    ensure(!session.is_whole() && session.drain().incomplete, "one below it goes unnoticed")?;
    drop(session);
    match kernel()?.prepare_attached("nested", &foreign.named(), &Table::default()) {
        Err(error @ KernelError::Attach { .. }) => {
            ensure(error.to_string().contains("below it"), &error.to_string())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err("attached above others".into()),
    }
}

fn replaced() -> Result<(), Failed> {
    let foreign = Foreign::new("replaced")?;
    let (_listener, peer) = listener()?;
    let session = foreign.attach(&Table::default())?;
    fs::remove_dir(&foreign.0)?;
    ensure(!session.is_whole(), "its end goes unnoticed")?;
    fs::create_dir(&foreign.0)?;
    ensure(!session.is_whole() && session.drain().incomplete, "its twin is taken for it")?;
    drop(session);
    let _session = foreign.attach(&Table::default())?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")
}

fn paths() -> Result<(), Failed> {
    let kernel = kernel()?;
    for path in ["/", "", "relative", "/../..", "/warrantd", "/warrantd/x"] {
        let refused = kernel.prepare_attached("paths", Path::new(path), &Table::default());
        ensure(matches!(refused, Err(KernelError::Attach { .. })), path)?;
    }
    let missing = kernel.prepare_attached("paths", Path::new("/not-there"), &Table::default());
    ensure(matches!(missing, Err(KernelError::File { .. })), "what is not there")?;
    let foreign = Foreign::new("named")?;
    let named = kernel.prepare_attached("a.b", &foreign.named(), &Table::default());
    ensure(matches!(named, Err(KernelError::Name { .. })), "a name that cannot be pinned")
}

/// A warrantd of its own that attaches and then waits to be killed, or to be told how to end.
pub(crate) fn run_instance(pin_root: &str, name: &str, cgroup: &str) {
    let kernel = Kernel::start(&KernelOptions { pin_root: pin_root.into(), ..options(name) })
        .expect("it starts");
    let session = kernel
        .prepare_attached("service-1", Path::new(cgroup), &Table::default())
        .expect("it prepares");
    session.attach().expect("it attaches");
    println!("ready");
    let _ = std::io::stdout().flush();
    let mut order = String::new();
    let _ = std::io::stdin().read_line(&mut order);
    if order.trim() == "hand over" {
        kernel.hand_over();
    }
}

/// Such a warrantd, once it has attached.
fn instance(pin_root: &str, name: &str, foreign: &Foreign) -> Result<Child, Failed> {
    let cgroup = foreign.named().display().to_string();
    let argv = actor::command(&["attach", pin_root, name, &cgroup]);
    let mut owner = Command::new(&argv[0]);
    owner.args(&argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut owner = owner.spawn()?;
    let stdout = owner.stdout.take().ok_or("it has an output")?;
    let said = BufReader::new(stdout).lines().next().transpose()?;
    equal(said.as_deref(), Some("ready"))?;
    Ok(owner)
}

fn crash() -> Result<(), Failed> {
    let foreign = Foreign::new("crash")?;
    let (_listener, peer) = listener()?;
    let pin_root = format!("/sys/fs/bpf/warrantd-crash-{}", std::process::id());
    let name = format!("crash-{}", std::process::id());
    let mut owner = instance(&pin_root, &name, &foreign)?;
    owner.kill()?;
    owner.wait()?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;

    let own = KernelOptions { pin_root: pin_root.clone().into(), ..options(&name) };
    let next = Kernel::start(&own)?;
    let gaps = next.take_gaps();
    let [gap] = gaps.as_slice() else { return Err(format!("{gaps:#?}").into()) };
    let [session] = gap.sessions.as_slice() else { return Err(format!("{gap:#?}").into()) };
    equal((session.name.as_str(), session.outlived), ("service-1", true))?;
    let refused = session.effects.iter().any(|e| is_connect(e, &peer, Outcome::Denied));
    ensure(refused, "what was refused meanwhile is not told")?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;

    // The new policy takes the place of the old one; it has opened the peer.
    let session = next.prepare_attached("service-2", &foreign.named(), &allow_both(&[&peer])?)?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    session.attach()?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "ok")?;
    session.set_network(&compile(&[])?)?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    drop(session);
    // What was pinned ends a grace period after its name (kernel/bpf/inode.c, bpf_free_inode).
    within("it can connect again", || foreign.run(&["tcp", &peer]).is_ok_and(|said| said == "ok"))?;
    drop(next);
    fs::remove_dir(&pin_root)?;
    Ok(())
}

/// An instance that ends for another leaves in force what it had attached.
fn hand_over() -> Result<(), Failed> {
    let foreign = Foreign::new("hand-over")?;
    let (_listener, peer) = listener()?;
    let pin_root = format!("/sys/fs/bpf/warrantd-hand-{}", std::process::id());
    let name = format!("hand-{}", std::process::id());
    let mut owner = instance(&pin_root, &name, &foreign)?;
    let mut orders = owner.stdin.take().ok_or("it has an input")?;
    writeln!(orders, "hand over")?;
    ensure(owner.wait()?.success(), "it did not end well")?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;

    let own = KernelOptions { pin_root: pin_root.clone().into(), ..options(&name) };
    let next = Kernel::start(&own)?;
    equal(next.take_gaps().len(), 1)?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    let session = next.prepare_attached("service-2", &foreign.named(), &allow_both(&[&peer])?)?;
    session.attach()?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "ok")?;
    session.set_network(&compile(&[])?)?;
    drop(session);
    drop(next);

    // The twin ends for good.
    let mut owner = instance(&pin_root, &name, &foreign)?;
    equal(foreign.run(&["tcp", &peer])?.as_str(), "EPERM")?;
    drop(owner.stdin.take());
    ensure(owner.wait()?.success(), "it did not end well")?;
    within("it can connect again", || foreign.run(&["tcp", &peer]).is_ok_and(|said| said == "ok"))?;
    fs::remove_dir(&pin_root)?;
    Ok(())
}
