//! What a killed warrantd had not read is read by the next one, to the last event.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use warrantd::kernel::{Gap, Kernel, KernelOptions, SessionGap};
use warrantd::policy::network::Table;
use warrantd::warrant::{Effect, EffectKind, Outcome, Target};

use crate::lifecycle::{lines, within};
use crate::support::{self, ensure, equal, kernel, options, public_dir, run_in, runtime};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("what_a_killed_warrantd_had_not_read_is_told", told),
    ("records_of_another_version_are_not_guessed_at", other_version),
    ("a_warrantd_that_ended_in_order_leaves_no_gap", no_gap),
];

/// What happens in the sessions: `early` is read by the owner, `late` is not, `survivor` goes on after it.
const SESSIONS: [&str; 3] = ["early", "late", "survivor"];

/// A warrantd of its own that does known things in three sessions and then waits to be killed.
pub(crate) fn run_instance(pin_root: &str, name: &str, path: &str, peer: &str, log: &str) {
    let kernel = Kernel::start(&KernelOptions { pin_root: pin_root.into(), ..options(name) })
        .expect("it starts");
    let [early, late, survivor] =
        SESSIONS.map(|name| kernel.open_session(name, &Table::default()).expect("it opens"));
    let done = run_in(&early, &["tcp", peer]).expect("it runs").drained;
    println!("{}", done.effects.last().map_or(0, |effect| effect.seq));
    deeds(&late, path, peer).expect("they are done");
    run_in_silence(&early, &["tcp", peer]).expect("it runs");
    let _runtime = runtime().enter();
    let words = actor::command(&["linger", log, peer]);
    let _child = survivor.spawn(&support::spec(words)).expect("it starts");
    println!("ready");
    let _ = std::io::stdout().flush();
    std::thread::sleep(Duration::from_secs(60));
}

/// Known things, without a drain.
fn deeds(session: &warrantd::kernel::Session, path: &str, peer: &str) -> Result<(), Failed> {
    for words in [&["read", path], &["tcp", peer], &["read", "/etc/hostname"], &["udp", peer]] {
        run_in_silence(session, words)?;
    }
    Ok(())
}

fn run_in_silence(session: &warrantd::kernel::Session, words: &[&str]) -> Result<(), Failed> {
    let _runtime = runtime().enter();
    let child = session.spawn(&support::spec(actor::command(words)))?;
    runtime().block_on(child.wait_with_output())?;
    Ok(())
}

/// A warrantd that has been killed, its pins, and what it said before.
struct Dead {
    pins: Pins,
    name: String,
    pid: u32,
    /// Events that it had read of the first session.
    read: u64,
    path: String,
    peer: String,
    log: PathBuf,
    _directory: tempfile::TempDir,
    listener: TcpListener,
}

/// A pin root of its own: other tests clean up after dead instances, too.
struct Pins(PathBuf);

impl Pins {
    fn new(purpose: &str) -> Self {
        Self(format!("/sys/fs/bpf/warrantd-{purpose}-{}", std::process::id()).into())
    }

    fn options(&self, instance: &str) -> KernelOptions {
        KernelOptions { pin_root: self.0.clone(), ..options(instance) }
    }

    fn start(&self, instance: &str) -> Result<std::sync::Arc<Kernel>, Failed> {
        Ok(Kernel::start(&self.options(instance))?)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn dead(purpose: &str) -> Result<Dead, Failed> {
    let directory = public_dir()?;
    let place = directory.path().canonicalize()?;
    let (path, log) = (place.join("known"), place.join("log"));
    for file in [&path, &log] {
        fs::write(file, "")?;
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let peer = listener.local_addr()?.to_string();
    let pins = Pins::new(purpose);
    let name = format!("{purpose}-{}", std::process::id());
    let path = path.display().to_string();
    let text = |path: &Path| path.display().to_string();
    let argv = actor::command(&["gap", &text(&pins.0), &name, &path, &peer, &text(&log)]);
    let mut owner = Command::new(&argv[0]).args(&argv[1..]).stdout(Stdio::piped()).spawn()?;
    let stdout = owner.stdout.take().ok_or("it has an output")?;
    let said: Vec<String> = BufReader::new(stdout).lines().take(2).collect::<Result<_, _>>()?;
    within("the survivor tries", || lines(&log).len() > 2)?;
    owner.kill()?;
    owner.wait()?;
    equal(said.get(1).map(String::as_str), Some("ready"))?;
    let tries = lines(&log).len();
    within("the survivor goes on", || lines(&log).len() > tries + 2)?;
    let (pid, read) = (owner.id(), said[0].parse()?);
    Ok(Dead { pins, name, pid, read, path, peer, log, _directory: directory, listener })
}

fn told() -> Result<(), Failed> {
    let dead = dead("gap")?;
    // One that only looks at the host leaves it to the next.
    let looking = dead.pins.options(&format!("looking-{}", dead.name));
    let looker = Kernel::start(&KernelOptions { cleans_up: false, ..looking })?;
    equal(looker.take_gaps().len(), 0)?;
    drop(looker);
    let next = dead.pins.start(&format!("after-{}", dead.name))?;
    let gaps = next.take_gaps();
    ensure(next.take_gaps().is_empty(), "a gap is told twice")?;
    let [gap] = gaps.as_slice() else { return Err(format!("{gaps:#?}").into()) };
    equal((gap.instance.as_str(), gap.owner), (dead.name.as_str(), Some(dead.pid)))?;
    equal((gap.unreadable.as_deref(), gap.observer), (None, Some(kernel()?.backend())))?;
    equal(gap.sessions.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), SESSIONS.to_vec())?;
    let [early, late, survivor] = gap.sessions.as_slice() else { return Err("three".into()) };

    // The first session had been read once: the numbers go on where the owner stopped.
    equal((early.read, early.lost, early.outlived), (dead.read, 0, false))?;
    equal(early.effects.first().map(|effect| effect.seq), Some(dead.read + 1))?;
    equal(early.effects.last().map(|effect| effect.seq), Some(early.read + early.unread))?;
    equal(refused(early), 1)?;

    // The second had not: it tells what the same deeds tell a warrantd that lives.
    equal((late.read, late.lost, late.outlived), (0, 0, false))?;
    let twin = kernel()?.open_session(&format!("twin-{}", dead.name), &Table::default())?;
    deeds(&twin, &dead.path, &dead.peer)?;
    let twin = twin.drain();
    equal((twin.lost, twin.incomplete), (0, false))?;
    equal(outline(&late.effects), outline(&twin.effects))?;
    ensure(outline(&late.effects).iter().any(|line| line.contains(&dead.path)), "no open")?;

    // The third worked on after the owner's end, until the next start ended it.
    ensure(survivor.outlived, "nobody outlived the owner")?;
    let noted = lines(&dead.log).len() as u64;
    let seen = refused(survivor);
    ensure(seen == noted || seen == noted + 1, &format!("{seen} refusals, {noted} noted"))?;
    ensure(dead.listener.accept().is_err(), "a connection arrived")?;
    println!("unread: early {}, late {}, survivor {}", early.unread, late.unread, survivor.unread);
    Ok(())
}

fn other_version() -> Result<(), Failed> {
    let dead = dead("stamp")?;
    let pins = dead.pins.0.join(&dead.name);
    let stamp = fs::read_dir(&pins)?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("object_"))
        .ok_or("there is a stamp")?;
    fs::remove_dir(stamp.path())?;
    fs::create_dir(pins.join("object_0123456789abcdef"))?;
    let next = dead.pins.start(&format!("after-{}", dead.name))?;
    let gaps = next.take_gaps();
    let [gap] = gaps.as_slice() else { return Err(format!("{gaps:#?}").into()) };
    ensure(gap.unreadable.is_some(), "records of another version were read")?;
    equal(gap.sessions.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), SESSIONS.to_vec())?;
    ensure(gap.sessions.iter().all(|session| session.effects.is_empty()), "effects were guessed")?;
    ensure(!pins.exists(), "pins are left")
}

fn no_gap() -> Result<(), Failed> {
    let pins = Pins::new("ended");
    let name = format!("ended-{}", std::process::id());
    let first = pins.start(&name)?;
    let session = first.open_session("peaceful", &Table::default())?;
    run_in_silence(&session, &["tcp", "127.0.0.1:9"])?;
    drop(session);
    drop(first);
    let gaps: Vec<Gap> = pins.start(&name)?.take_gaps();
    ensure(gaps.is_empty(), &format!("{gaps:#?}"))
}

/// How many connections were refused.
fn refused(session: &SessionGap) -> u64 {
    let denied =
        |effect: &&Effect| effect.kind == EffectKind::Connect && effect.outcome == Outcome::Denied;
    session.effects.iter().filter(denied).count() as u64
}

/// Effects without what differs between two runs.
fn outline(effects: &[Effect]) -> Vec<String> {
    let line = |effect: &Effect| {
        let target = match &effect.target {
            Target::File(file) => file.path.clone(),
            Target::Peer(peer) => peer.peer.to_string(),
        };
        let (kind, process) = (effect.kind, &effect.process);
        let own = format!("/proc/{}/", process.pid);
        // Before it runs its own program, a process is called as the one that started it.
        let exe = if process.exe.starts_with('/') { process.exe.as_str() } else { "[...]" };
        format!("{kind} {} {:?} by {exe}", target.replace(&own, "/proc/self/"), effect.outcome)
    };
    effects.iter().map(line).collect()
}
