//! Proof at start: a probe is refused a connection, and both its open and its attempt are seen.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use crate::policy::network::Table;
use crate::warrant::{Effect, EffectKind, Outcome, Target};

use super::session::Drained;
use super::spawn::SpawnSpec;
use super::{Kernel, KernelError};

/// What the probe opens.
const OPENED: &str = "/dev/null";
/// What the probe tries to reach: discard, on which nothing needs to listen.
const REFUSED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
/// What it prints then.
const EXPECTED: &str = "connect EPERM";
/// How long it may take on a busy host.
const WITHIN: Duration = Duration::from_secs(10);

/// Runs the probe.
pub(super) fn run(kernel: &Kernel, probe: Vec<OsString>) -> Result<(), KernelError> {
    let session = kernel.open_session("self-test", &Table::default())?;
    let spec = SpawnSpec {
        argv: probe,
        cwd: "/".into(),
        env: Vec::new(),
        user: None,
        unix_sockets: false,
    };
    let printed = output(session.spawn_blocking(&spec)?);
    let drained = session.drain();
    match missing(&printed, &drained) {
        None => Ok(()),
        Some(missing) => Err(KernelError::SelfTest { missing }),
    }
}

/// What the probe's run should have shown and did not.
fn missing(printed: &str, drained: &Drained) -> Option<String> {
    if printed.trim() != EXPECTED {
        return Some(format!(
            "the probe's connection to {REFUSED} was to end in {EXPECTED:?}, it printed {:?}",
            printed.trim()
        ));
    }
    if drained.incomplete || drained.lost > 0 {
        return Some(format!("{} events of the probe were lost", drained.lost));
    }
    if !drained.effects.iter().any(is_open) {
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
