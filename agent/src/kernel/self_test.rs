//! Proof at start: a probe is refused a connection, and both its open and its attempt are seen.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::policy::network::Table;
use crate::warrant::{Effect, EffectKind, Outcome, Target};

use super::file_rules::{Access, FileRules, Reach};
use super::session::Drained;
use super::spawn::SpawnSpec;
use super::{Kernel, KernelError};

/// What the probe opens.
const OPENED: &str = "/dev/null";
/// What the probe tries to reach: discard, on which nothing needs to listen.
const REFUSED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
/// What it prints then.
const EXPECTED: &str = "open ok connect EPERM";
/// What it prints where files are enforced and it may not open that.
const ENFORCED: &str = "open EPERM connect EPERM";
/// How long it may take on a busy host.
const WITHIN: Duration = Duration::from_secs(10);
/// How often it is tried when events are lost. On a preemptible kernel a busy host loses one now and then, which
/// is told and proves nothing about the next time.
const ATTEMPTS: u32 = 5;

/// Runs the probe, and once more with files enforced where the observer can do that.
pub(super) fn run(kernel: &Kernel, probe: &[OsString]) -> Result<(), KernelError> {
    prove(kernel, probe, None)?;
    if kernel.backend().enforces_files() {
        let rules = everything_but_devices().map_err(KernelError::file("reading", "/"))?;
        prove(kernel, probe, Some(&rules))?;
    }
    Ok(())
}

/// Tries until the probe was seen whole.
fn prove(
    kernel: &Kernel,
    probe: &[OsString],
    rules: Option<&FileRules>,
) -> Result<(), KernelError> {
    let mut lost = 0;
    for _ in 0..ATTEMPTS {
        match attempt(kernel, probe, rules.cloned())? {
            0 => return Ok(()),
            more => lost += more,
        }
    }
    let missing =
        format!("events of the probe were lost in each of {ATTEMPTS} attempts, {lost} in all");
    Err(KernelError::SelfTest { missing })
}

/// Lets the probe run once. Returns how many of its events were lost; when none were, it was seen whole.
fn attempt(
    kernel: &Kernel,
    probe: &[OsString],
    rules: Option<FileRules>,
) -> Result<u64, KernelError> {
    let session = kernel.open_session("self-test", &Table::default())?;
    let expected = if rules.is_some() { ENFORCED } else { EXPECTED };
    let outcome = if rules.is_some() { Outcome::Denied } else { Outcome::Allowed };
    session.set_files(rules)?;
    let spec = SpawnSpec {
        argv: probe.to_vec(),
        cwd: "/".into(),
        env: Vec::new(),
        user: None,
        unix_sockets: false,
        floor: None,
    };
    let printed = output(session.spawn_blocking(&spec)?);
    let drained = session.drain();
    let lost = drained.lost.max(u64::from(drained.incomplete));
    match missing(&printed, expected, outcome, &drained) {
        None => Ok(lost),
        Some(missing) => Err(KernelError::SelfTest { missing }),
    }
}

/// Rules that let the probe run.
fn everything_but_devices() -> std::io::Result<FileRules> {
    let mut rules = FileRules::default();
    rules.allow(Path::new("/"), Access::READ, Reach::This)?;
    for entry in std::fs::read_dir("/")?.flatten() {
        // Some are links to nowhere.
        if entry.file_name() != "dev" && entry.path().exists() {
            rules.allow(&entry.path(), Access::EXEC.and(Access::WRITE), Reach::Tree)?;
        }
    }
    Ok(rules)
}

/// What the probe's run should have shown and did not, as far as events were not lost.
fn missing(printed: &str, expected: &str, outcome: Outcome, drained: &Drained) -> Option<String> {
    let words = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    if words != expected {
        return Some(format!(
            "the probe, which opens {OPENED} and connects to {REFUSED}, was to print {expected:?}, and \
             printed {words:?}"
        ));
    }
    // Which event was lost, nobody knows.
    if drained.incomplete || drained.lost > 0 {
        return None;
    }
    if !drained.effects.iter().any(|effect| is_open(effect) && effect.outcome == outcome) {
        return Some(format!("the probe's open of {OPENED} was not reported"));
    }
    if !drained.effects.iter().any(is_refusal) {
        return Some(format!("the probe's refused connection to {REFUSED} was not reported"));
    }
    None
}

fn is_open(effect: &Effect) -> bool {
    let opened =
        matches!(&effect.target, Target::File(file) if file.path == OPENED && !file.truncated);
    effect.kind == EffectKind::FileRead && opened
}

fn is_refusal(effect: &Effect) -> bool {
    let refused = matches!(&effect.target, Target::Peer(peer) if peer.peer == REFUSED);
    effect.kind == EffectKind::Connect && effect.outcome == Outcome::Denied && refused
}

/// Waits for the probe, kills it when it takes too long, and returns what it printed.
fn output(mut probe: Child) -> String {
    let deadline = Instant::now() + WITHIN;
    while matches!(probe.try_wait(), Ok(None)) {
        if Instant::now() > deadline {
            // The session's end would kill it as well.
            let _ = probe.kill();
            let _ = probe.wait();
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let mut printed = String::new();
    if let Some(stdout) = probe.stdout.take() {
        // A probe that prints something unreadable has failed all the same.
        let _ = stdout.take(4096).read_to_string(&mut printed);
    }
    printed
}
