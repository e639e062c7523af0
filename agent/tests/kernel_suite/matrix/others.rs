//! Ways out that are neither files nor the network: other calling conventions, other processes, other
//! places.

use std::fs;

use libtest_mimic::Failed;
use warrantd::policy::network::Table;
use warrantd::warrant::{EffectKind, Outcome};

use super::{Answer, Row};
use crate::lifecycle;
use crate::support::{cgroup_root, ensure, equal, kernel, public_dir, run, run_in, runtime, spec};
use crate::{actor, support};

/// The rows of this file.
pub(crate) const ROWS: &[Row] = &[
    ("io_uring", |_| refused(&["io-uring"], "ENOSYS")),
    ("32-bit system calls", |_| thirty_two_bits()),
    ("user namespace", |_| refused(&["user-namespace"], "EPERM")),
    ("bind mount", |_| mount(&["mount", "{}", "{}"])),
    ("new mount calls", |_| mount(&["open-tree", "{}"])),
    ("open by file handle", |_| refused(&["handle", "/etc/hostname"], "EPERM")),
    ("process outside traced", |_| refused(&["trace-parent"], "EPERM")),
    ("memory of a process outside read", |_| refused(&["read-parent"], "EPERM")),
    ("descriptor taken from a process outside", |_| refused(&["take-descriptor"], "EPERM")),
    ("descriptor inherited", |_| inherited()),
    ("cgroup left by itself", |_| leave()),
    ("cgroup left with help", |_| carried_out()),
    ("ring flooded", |_| flooded()),
    ("daemon killed", |_| lifecycle::killed().map(|()| Answer::Blocked)),
];

fn refused(words: &[&str], how: &str) -> Result<Answer, Failed> {
    equal(run("matrix-other-twin", &Table::default(), &["nothing"])?.printed.as_str(), "ok")?;
    let attack = run("matrix-other-attack", &Table::default(), words)?;
    equal(attack.printed.as_str(), how)?;
    Ok(Answer::Blocked)
}

fn thirty_two_bits() -> Result<Answer, Failed> {
    // Outside, it works, or the kernel was built without.
    if support::outside(&actor::command(&["ia32"]))? != "ok" {
        return Ok(Answer::NotCovered("this kernel has no 32-bit system calls"));
    }
    match run("matrix-other-attack", &Table::default(), &["ia32"]) {
        Err(killed) if killed.message().is_some_and(|why| why.contains("SIGSYS")) => {
            Ok(Answer::Blocked)
        }
        Err(other) => Err(other),
        Ok(run) => Err(format!("it went on: {}", run.printed).into()),
    }
}

fn mount(words: &[&str]) -> Result<Answer, Failed> {
    let place = public_dir()?;
    let path = place.path().display().to_string();
    let words: Vec<String> = words.iter().map(|word| word.replace("{}", &path)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    refused(&words, "EPERM")
}

fn inherited() -> Result<Answer, Failed> {
    let file = fs::File::open("/etc/hostname")?;
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    let run = run("matrix-other-attack", &Table::default(), &["descriptors"])?;
    equal(run.printed.as_str(), "0 1 2")?;
    Ok(Answer::Blocked)
}

fn leave() -> Result<Answer, Failed> {
    let procs = cgroup_root().parent().map(|top| top.join("cgroup.procs")).unwrap_or_default();
    refused(&["join-cgroup", &procs.display().to_string()], "EACCES")
}

/// Somebody with the right to do so moves a process out.
fn carried_out() -> Result<Answer, Failed> {
    let session = kernel()?.open_session("matrix-carried", &Table::default())?;
    let _runtime = runtime().enter();
    let mut child = session.spawn(&spec(actor::command(&["wait"])))?;
    let pid = child.id().ok_or("the actor has no pid")?;
    ensure(!session.drain().effects.is_empty(), "it has not begun")?;
    let procs = cgroup_root().parent().map(|top| top.join("cgroup.procs")).unwrap_or_default();
    fs::write(procs, pid.to_string())?;
    let drained = session.drain();
    child.start_kill()?;
    runtime().block_on(child.wait())?;
    let left: Vec<u32> = drained
        .effects
        .iter()
        .filter(|effect| effect.kind == EffectKind::LeaveCgroup)
        .map(|effect| effect.process.pid)
        .collect();
    equal(left, vec![pid])?;
    Ok(Answer::Reported)
}

/// A flood changes no verdict: what is refused stays so, and what was lost is counted.
fn flooded() -> Result<Answer, Failed> {
    let session = kernel()?.open_session("matrix-flood", &Table::default())?;
    let _runtime = runtime().enter();
    let flood = actor::command(&["read-many", "/etc/hostname", "60000"]);
    let flood = session.spawn(&spec(flood))?;
    let attempt = session.spawn(&spec(actor::command(&["tcp", "127.0.0.1:9"])))?;
    let attempt = runtime().block_on(attempt.wait_with_output())?;
    runtime().block_on(flood.wait_with_output())?;
    equal(String::from_utf8_lossy(&attempt.stdout).trim(), "EPERM")?;
    let drained = session.drain();
    let refused = drained.effects.iter().any(|effect| effect.outcome == Outcome::Denied);
    ensure(refused || drained.lost > 0, "a refusal is neither reported nor counted as lost")?;
    // The twin: what comes after the flood is seen as ever.
    let after = run_in(&session, &["read", "/etc/hostname"])?;
    equal((after.drained.lost, after.drained.incomplete), (0, false))?;
    Ok(Answer::Blocked)
}
