//! Starting a server: what it gets, and how a failed start is explained.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use tokio::runtime::Handle;

use super::confine::{Plan, Step};
use super::floor::{self, Floor};
use super::{KernelError, privileges, seccomp, starter};

/// A program to start.
///
/// It runs as its own session leader without a terminal, with nothing open but its three standard streams,
/// without capabilities and without a way to gain any (`no_new_privs`), without system calls that would
/// hide what it does, and dies with the process that started it.
#[derive(Debug, Clone)]
pub struct SpawnSpec {
    /// Program and arguments. A program without a slash is searched in the `PATH` of `env`.
    pub argv: Vec<OsString>,
    /// Working directory, entered with the rights of `user`.
    pub cwd: PathBuf,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Who the program runs as. `None` keeps user and capabilities: for the self-test's probe, and for
    /// callers that have no rights to give away.
    pub user: Option<User>,
    /// Whether the program may have unix sockets. What it may connect them to is another matter, see
    /// [`Session::set_network`](super::Session::set_network).
    pub unix_sockets: bool,
    /// What it may reach of the file system, whatever the kernel programs see; `None` for all.
    pub floor: Option<Floor>,
}

/// A user to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id, real, effective and saved.
    pub uid: u32,
    /// Group id, real, effective and saved.
    pub gid: u32,
    /// Supplementary groups: exactly these.
    pub groups: Vec<u32>,
}

/// Starts a program without a cgroup, for `kernel: off`: nothing it does is seen or refused by the
/// kernel programs. The rest of [`SpawnSpec`] holds, as far as the caller has the rights for it. Needs a tokio
/// runtime.
pub fn spawn_unconfined(spec: &SpawnSpec) -> Result<tokio::process::Child, KernelError> {
    spawn(spec, None)
}

/// Starts a program in the cgroup whose `cgroup.procs` this is, on a thread that lasts.
pub(super) fn spawn(
    spec: &SpawnSpec,
    procs: Option<File>,
) -> Result<tokio::process::Child, KernelError> {
    let prepared = Prepared::new(spec, procs)?;
    let mut command = tokio::process::Command::from(prepared.command);
    command.kill_on_drop(true);
    let runtime = Handle::current();
    let started = starter::run(move || {
        let _runtime = runtime.enter();
        command.spawn()
    });
    started.and_then(|started| started).map_err(|error| prepared.failure.explain(error))
}

/// The same without a runtime, for what ends before the thread that calls this.
pub(super) fn spawn_blocking(
    spec: &SpawnSpec,
    procs: Option<File>,
) -> Result<std::process::Child, KernelError> {
    let mut prepared = Prepared::new(spec, procs)?;
    prepared.command.spawn().map_err(|error| prepared.failure.explain(error))
}

/// A command that confines itself in the child.
struct Prepared {
    command: Command,
    failure: Failure,
}

/// Where the child says which step failed; the standard library passes on the error number alone.
struct Failure {
    program: String,
    reader: File,
}

impl Prepared {
    fn new(spec: &SpawnSpec, procs: Option<File>) -> Result<Self, KernelError> {
        let (program, arguments) =
            spec.argv.split_first().ok_or(KernelError::Spec("the command is empty"))?;
        let name = program.to_string_lossy().into_owned();
        let failed = |step: Step| {
            let program = name.clone();
            move |source: io::Error| KernelError::Spawn { program, step: step.describe(), source }
        };
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|errno| failed(Step::Prepare)(errno.into()))?;
        let cwd = CString::new(spec.cwd.as_os_str().as_bytes())
            .map_err(|_| KernelError::Spec("the working directory contains a zero byte"))?;
        let ruleset = spec.floor.as_ref().map(floor::ruleset).transpose();
        let plan = Plan {
            procs: procs.map(OwnedFd::from),
            report: writer,
            user: wanted_user(spec),
            cwd,
            ruleset: ruleset.map_err(failed(Step::Floor))?,
            filter: seccomp::filter(spec.unix_sockets),
            parent: nix::unistd::getpid(),
        };

        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(spec.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: Plan::apply makes system calls only; it neither allocates nor takes locks.
        unsafe { command.pre_exec(move || plan.apply()) };
        Ok(Self { command, failure: Failure { program: name, reader: File::from(reader) } })
    }
}

impl Failure {
    fn explain(mut self, source: io::Error) -> KernelError {
        let mut code = [0];
        // Nothing to read: the child got as far as exec, or was never made.
        let step = match self.reader.read(&mut code) {
            Ok(1) => Step::from_code(code[0]),
            _ => Step::Exec,
        };
        KernelError::Spawn { program: self.program, step: step.describe(), source }
    }
}

/// The user to change to. Someone who cannot change users and asks for himself changes nothing.
fn wanted_user(spec: &SpawnSpec) -> Option<User> {
    let user = spec.user.clone()?;
    let is_self =
        nix::unistd::geteuid().as_raw() == user.uid && nix::unistd::getegid().as_raw() == user.gid;
    (privileges::can_drop() || !is_self).then_some(user)
}
