//! What a server cannot do, whatever it tries.

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use libtest_mimic::Failed;
use warrantd::kernel::{KernelError, SpawnSpec, User, spawn_unconfined};
use warrantd::policy::network::Table;

use crate::support::{NOBODY, ensure, equal, kernel, run, run_spec, runtime, spec};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("calls_that_hide_work_are_refused", hidden_work),
    ("no_descriptor_leaks", descriptors),
    ("identity_capabilities_and_limits_are_dropped", identity),
    ("root_is_kept_out_of_sessions_and_has_no_capabilities", root),
    ("unconfined_servers_drop_the_same", unconfined),
    ("a_failed_start_says_which_step", failed_start),
    ("a_server_outlives_the_thread_that_asked_for_it", outlives),
];

fn hidden_work() -> Result<(), Failed> {
    for (words, expected) in [
        (vec!["io-uring"], "ENOSYS"),
        (vec!["user-namespace"], "EPERM"),
        (vec!["trace-parent"], "EPERM"),
        (vec!["become-root"], "EPERM"),
        (vec!["nothing"], "ok"),
    ] {
        let found = run(&format!("hidden-{}", words[0]), &Table::default(), &words)?;
        equal((words[0], found.printed.as_str()), (words[0], expected))?;
    }
    Ok(())
}

fn descriptors() -> Result<(), Failed> {
    // One that is inherited by mistake, as those of other libraries might be.
    let file = std::fs::File::open("/etc/hostname")?;
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    let run = run("descriptors", &Table::default(), &["descriptors"])?;
    ensure(file.as_raw_fd() > 2, "the file has a number of its own")?;
    equal(run.printed.as_str(), "0 1 2")
}

fn identity() -> Result<(), Failed> {
    let mut spec = spec(actor::command(&["status"]));
    spec.user = Some(User { uid: NOBODY, gid: 4711, groups: vec![4712, 4713] });
    spec.env = vec![("ONLY".into(), "this".into())];
    spec.cwd = "/usr".into();
    let session = kernel()?.open_session("identity", &Table::default())?;
    let status = run_spec(&session, &spec)?.printed;
    equal(field(&status, "Uid"), "65534 65534 65534 65534".into())?;
    equal(field(&status, "Gid"), "4711 4711 4711 4711".into())?;
    equal(field(&status, "Groups"), "4712 4713".into())?;
    powerless(&status)?;
    equal(field(&status, "Environment"), "ONLY=this".into())?;
    equal(field(&status, "Directory"), "/usr".into())
}

fn root() -> Result<(), Failed> {
    let mut spec = spec(actor::command(&["status"]));
    spec.user = Some(User { uid: 0, gid: 0, groups: vec![] });
    let _runtime = runtime().enter();
    let session = kernel()?.open_session("as-root", &Table::default())?;
    let refused = session.spawn(&spec);
    ensure(matches!(refused, Err(KernelError::Spec(_))), "root was let into a session")?;
    let output = runtime().block_on(spawn_unconfined(&spec)?.wait_with_output())?;
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    equal(field(&status, "Uid"), "0 0 0 0".into())?;
    powerless(&status)
}

fn unconfined() -> Result<(), Failed> {
    let _runtime = runtime().enter();
    let child = spawn_unconfined(&spec(actor::command(&["status"])))?;
    let output = runtime().block_on(child.wait_with_output())?;
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    equal(field(&status, "Uid"), "65534 65534 65534 65534".into())?;
    powerless(&status)
}

/// A thread of a runtime's pool ends when it was idle for a while, and its servers go on.
fn outlives() -> Result<(), Failed> {
    let session = kernel()?.open_session("outlives", &Table::default())?;
    let asking = || {
        let _runtime = runtime().enter();
        session.spawn(&spec(actor::command(&["wait"])))
    };
    let mut child = std::thread::scope(|scope| scope.spawn(asking).join())
        .map_err(|_| "the thread that asked panicked")??;
    // A thread's end is told to its children after whoever waits for it goes on.
    std::thread::sleep(Duration::from_millis(300));
    let ended = child.try_wait()?;
    child.start_kill()?;
    runtime().block_on(child.wait())?;
    ensure(ended.is_none(), &format!("it ended with the thread: {ended:?}"))
}

fn powerless(status: &str) -> Result<(), Failed> {
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        equal((set, field(status, set)), (set, "0000000000000000".into()))?;
    }
    equal(field(status, "NoNewPrivs"), "1".into())?;
    equal(field(status, "Seccomp"), "2".into())?;
    equal(field(status, "Leader"), "true".into())?;
    let files: u64 = field(status, "Files").parse()?;
    ensure(files <= 4096, "descriptors are not limited")
}

fn failed_start() -> Result<(), Failed> {
    let session = kernel()?.open_session("failed-start", &Table::default())?;
    let said = |spec: &SpawnSpec| -> Result<String, Failed> {
        let _runtime = runtime().enter();
        match session.spawn(spec) {
            Ok(_) => Err("it started".into()),
            Err(error) => Ok(error.to_string()),
        }
    };
    let message = said(&spec(vec!["/no/such/program".into()]))?;
    ensure(message.contains("executing it") && message.contains("/no/such/program"), &message)?;
    let mut elsewhere = spec(vec!["/usr/bin/true".into()]);
    elsewhere.cwd = "/root".into();
    let message = said(&elsewhere)?;
    ensure(message.contains("entering the working directory"), &message)?;
    let message = said(&spec(vec![]))?;
    ensure(message.contains("empty"), &message)
}

/// A line of /proc/self/status, its blanks made one.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or("missing").split_whitespace().collect::<Vec<_>>().join(" ")
}
