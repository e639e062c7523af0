//! One kernel layer for all tests, and sessions with actors in them.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};

use libtest_mimic::Failed;
use nix::fcntl::{Flock, FlockArg};
use tokio::runtime::Runtime;
use warrantd::kernel::{
    Backend, Drained, Kernel, KernelError, KernelOptions, Session, SpawnSpec, User,
};
use warrantd::policy::network::Table;
use warrantd::warrant::{Effect, EffectKind, FileTarget, Outcome, Target};

use crate::actor;

/// A user that owns nothing.
pub(crate) const NOBODY: u32 = 65_534;

static KERNEL: Mutex<Option<Arc<Kernel>>> = Mutex::new(None);
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Why no kernel test can run here, if so. A kernel layer that does not start although the privileges are
/// there is no obstacle but a failure of every test.
pub(crate) fn obstacle() -> Option<String> {
    let root = std::fs::metadata("/proc/self").is_ok_and(|metadata| {
        use std::os::unix::fs::MetadataExt as _;
        metadata.uid() == 0
    });
    if !root {
        return Some("they need root".into());
    }
    match std::fs::read_to_string("/proc/self/mountinfo") {
        Ok(table) if !table.contains(" - cgroup2 ") => {
            Some("no cgroup2 hierarchy is mounted".into())
        }
        Err(error) => Some(format!("/proc/self/mountinfo: {error}")),
        Ok(_) if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() => {
            Some("the kernel has no BTF".into())
        }
        Ok(_) => match kernel_or_error() {
            Err(error @ KernelError::NotPrivileged { .. }) => Some(error.to_string()),
            _ => None,
        },
    }
}

/// The runtime that children belong to.
pub(crate) fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime starts"))
}

/// The shared instance.
pub(crate) fn kernel() -> Result<Arc<Kernel>, Failed> {
    Ok(kernel_or_error()?)
}

fn kernel_or_error() -> Result<Arc<Kernel>, KernelError> {
    let mut kernel = KERNEL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(kernel) = &*kernel {
        return Ok(Arc::clone(kernel));
    }
    let started = start(&options(&format!("test-{}", std::process::id())))?;
    *kernel = Some(Arc::clone(&started));
    Ok(started)
}

/// Ends the shared instance: statics are not dropped.
pub(crate) fn stop() {
    if let Ok(mut kernel) = KERNEL.lock() {
        kernel.take();
    }
}

/// Held while an instance starts: every start cleans up after dead ones, also those of other tests. It is a lock
/// on this program since some tests are processes of their own.
pub(crate) fn starting() -> std::io::Result<Flock<File>> {
    let lock = File::open(std::env::current_exe()?)?;
    Ok(Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?)
}

/// Starts an instance.
pub(crate) fn start(options: &KernelOptions) -> Result<Arc<Kernel>, KernelError> {
    let _one_at_a_time = starting().expect("starts take turns");
    Kernel::start(options)
}

/// Options of an instance with this name.
pub(crate) fn options(instance: &str) -> KernelOptions {
    KernelOptions {
        pin_root: PathBuf::from("/sys/fs/bpf/warrantd-test"),
        instance: instance.into(),
        probe: actor::command(&["probe"]),
        backends: backends(),
        cleans_up: true,
        service: false,
    }
}

/// The observers to try: the one that the environment names, else all.
fn backends() -> Vec<Backend> {
    let wanted = std::env::var("WARRANTD_BACKEND").unwrap_or_default();
    let named = Backend::ALL.into_iter().find(|backend| backend.name() == wanted);
    named.map_or_else(|| Backend::ALL.to_vec(), |backend| vec![backend])
}

/// A program to run as nobody in `/`.
pub(crate) fn spec(argv: Vec<OsString>) -> SpawnSpec {
    SpawnSpec {
        argv,
        cwd: "/".into(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        user: Some(User { uid: NOBODY, gid: NOBODY, groups: Vec::new() }),
        floor: None,
        unix_sockets: false,
    }
}

/// What an actor printed, and what was seen of it.
pub(crate) struct Run {
    pub(crate) printed: String,
    pub(crate) pid: u32,
    pub(crate) drained: Drained,
}

/// Runs an actor with these words to its end, in a session of its own, and drains.
pub(crate) fn run(id: &str, network: &Table, words: &[&str]) -> Result<Run, Failed> {
    let session = kernel()?.open_session(id, network)?;
    run_in(&session, words)
}

/// Runs an actor with these words to its end.
pub(crate) fn run_in(session: &Session, words: &[&str]) -> Result<Run, Failed> {
    run_spec(session, &spec(actor::command(words)))
}

/// Runs a program to its end, and drains. What it printed must be complete when it ends.
pub(crate) fn run_spec(session: &Session, spec: &SpawnSpec) -> Result<Run, Failed> {
    let _runtime = runtime().enter();
    let mut child = session.spawn(spec)?;
    drop(child.stdin.take());
    let pid = child.id().unwrap_or(0);
    let output = runtime().block_on(child.wait_with_output())?;
    let drained = session.drain();
    let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(
            format!("{:?} ended with {}: {printed} {errors}", spec.argv, output.status).into()
        );
    }
    if drained.incomplete || drained.lost > 0 {
        return Err(
            format!("drain: lost {}, incomplete {}", drained.lost, drained.incomplete).into()
        );
    }
    Ok(Run { printed, pid, drained })
}

/// The effects of one kind on files, as (path, effect).
pub(crate) fn files(run: &Run, kind: EffectKind) -> Vec<(&FileTarget, &Effect)> {
    run.drained
        .effects
        .iter()
        .filter(|effect| effect.kind == kind)
        .filter_map(|effect| match &effect.target {
            Target::File(file) => Some((file, effect)),
            Target::Peer(_) => None,
        })
        .collect()
}

/// The one effect of this kind on this path.
pub(crate) fn file<'a>(
    run: &'a Run,
    kind: EffectKind,
    path: &str,
) -> Result<(&'a FileTarget, &'a Effect), Failed> {
    let found: Vec<_> =
        files(run, kind).into_iter().filter(|(file, _)| file.path == path).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        _ => {
            Err(format!("{} times {kind} {path} in {:#?}", found.len(), run.drained.effects).into())
        }
    }
}

/// The effects on peers as `kind protocol address outcome`.
pub(crate) fn peers(run: &Run) -> Vec<String> {
    run.drained
        .effects
        .iter()
        .filter_map(|effect| match &effect.target {
            Target::File(_) => None,
            Target::Peer(peer) => {
                let outcome = if effect.outcome == Outcome::Denied { "denied" } else { "allowed" };
                Some(format!("{} {} {} {outcome}", effect.kind, peer.protocol, peer.peer))
            }
        })
        .collect()
}

/// Fails unless the two are equal.
#[allow(clippy::needless_pass_by_value, reason = "values made on the spot read best")]
pub(crate) fn equal<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), Failed> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("found {found:?}, expected {expected:?}").into())
    }
}

/// Fails unless the claim holds.
pub(crate) fn ensure(claim: bool, otherwise: &str) -> Result<(), Failed> {
    if claim { Ok(()) } else { Err(otherwise.into()) }
}

/// Waits until a child has printed this word as its first.
pub(crate) fn wait_for_word(child: &mut tokio::process::Child, word: &str) -> Result<(), Failed> {
    use tokio::io::AsyncReadExt as _;
    let mut printed = vec![0; word.len() + 1];
    let stdout = child.stdout.as_mut().ok_or("the child has no output")?;
    runtime().block_on(stdout.read_exact(&mut printed))?;
    equal(String::from_utf8_lossy(&printed).trim(), word)
}

/// The directory of all instances.
pub(crate) fn cgroup_root() -> PathBuf {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let line = table.lines().find(|line| line.contains(" - cgroup2 ")).unwrap_or_default();
    PathBuf::from(line.split(' ').nth(4).unwrap_or_default()).join("warrantd")
}

/// A directory in which everybody may make files, away when dropped.
pub(crate) fn public_dir() -> Result<tempfile::TempDir, Failed> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777))?;
    Ok(directory)
}

/// Runs a program outside every session and returns what it printed.
pub(crate) fn outside(argv: &[OsString]) -> Result<String, Failed> {
    let mut child =
        std::process::Command::new(&argv[0]).args(&argv[1..]).stdout(Stdio::piped()).spawn()?;
    let mut printed = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut printed)?;
    }
    child.wait()?;
    Ok(printed.trim().to_owned())
}
