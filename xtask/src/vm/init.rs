//! The first process of a virtual machine: this same program, under the name `/init`.
//!
//! It makes the system look like a small Debian, runs one command with its output on the second serial line,
//! buries what the command leaves behind, says how it ended, and turns the machine off.
//!
//! Where there is a systemd, it becomes that, which starts it again as a service for everything after the first
//! step.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, chdir, chroot};

use super::job::{self, Job};

/// What goes to the host.
const OUTPUT: &str = "/dev/ttyS1";
/// The init of a whole Debian.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// How long output is waited for after the command has ended: what it left behind may hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Whether this process is the init of a virtual machine, or its only service.
pub(crate) fn is_init() -> bool {
    let named = env::args_os().next().is_some_and(|name| name == job::INIT);
    named
        && (std::process::id() == 1 || Path::new(SYSTEMD).exists() && Path::new(job::PATH).exists())
}

/// Does the machine's job. Nobody is there to read an exit code.
pub(crate) fn run() -> ExitCode {
    let first = std::process::id() == 1;
    let done = match (first, Path::new(SYSTEMD).exists()) {
        (true, true) => become_systemd(),
        (true, false) => prepare().and_then(|()| work()),
        (false, _) => work(),
    };
    let how = match done {
        Ok(how) => how,
        Err(error) => format!("the machine could not do its job: {error:#}"),
    };
    end(&how);
    ExitCode::FAILURE
}

/// Leaves everything to systemd. Returns only when that cannot be.
fn become_systemd() -> anyhow::Result<String> {
    real_root().context("making a root that is a mount of its own")?;
    let error = Command::new(SYSTEMD).exec();
    Err(error).context(SYSTEMD)
}

/// Says how it ended, and turns the machine off.
fn end(how: &str) {
    // Without the line that says so, the host takes the machine for one that failed.
    let _ = say(&job::end(how));
    let _ = reboot(RebootMode::RB_POWER_OFF);
}

fn say(text: &str) -> io::Result<()> {
    host()?.write_all(text.as_bytes())
}

/// The line to the host, which must not become the terminal of anyone here.
fn host() -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(OUTPUT)
}

/// File systems, the host name, the loopback device.
fn prepare() -> anyhow::Result<()> {
    real_root().context("making a root that is a mount of its own")?;
    let ordinary = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let quiet = ordinary | MsFlags::MS_NOEXEC;
    for (kind, at, flags, data) in [
        ("proc", "/proc", quiet, ""),
        ("sysfs", "/sys", quiet, ""),
        ("devtmpfs", "/dev", MsFlags::MS_NOSUID, "mode=755"),
        ("devpts", "/dev/pts", MsFlags::MS_NOSUID, "mode=620,ptmxmode=666"),
        ("tmpfs", "/dev/shm", ordinary, "mode=1777"),
        ("tmpfs", "/run", ordinary, "mode=755"),
        ("tmpfs", "/tmp", ordinary, "mode=1777"),
        ("cgroup2", "/sys/fs/cgroup", quiet, ""),
        ("bpf", "/sys/fs/bpf", quiet, "mode=700"),
        ("securityfs", "/sys/kernel/security", quiet, ""),
        ("debugfs", "/sys/kernel/debug", quiet, ""),
        ("tracefs", "/sys/kernel/tracing", quiet, ""),
    ] {
        // Only what is below another file system is missing; sysfs has its mount points.
        if !Path::new(at).exists() {
            fs::create_dir_all(at).with_context(|| at.to_owned())?;
        }
        mount(Some(kind), at, Some(kind), flags, Some(data))
            .with_context(|| format!("mounting {kind} on {at}"))?;
    }
    fs::write("/proc/sys/kernel/hostname", "warrantd-vm")?;
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status().context("ip")?;
    anyhow::ensure!(status.success(), "the loopback device does not come up: ip: {status}");
    Ok(())
}

/// The first file system cannot be left by `pivot_root`, and has no place in the table of mounts that
/// programs expect. A bind mount of it has both.
fn real_root() -> anyhow::Result<()> {
    const NEW: &str = "/root-of-the-machine";
    let none = None::<&str>;
    fs::create_dir_all(NEW)?;
    mount(Some("/"), NEW, none, MsFlags::MS_BIND, none)?;
    chdir(NEW)?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none)?;
    chroot(".")?;
    chdir("/")?;
    fs::remove_dir(NEW)?;
    // It begins as one in which everybody may write.
    fs::set_permissions("/", fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Runs the command to its end.
fn work() -> anyhow::Result<String> {
    let job = Job::read(&fs::read_to_string(job::PATH).context(job::PATH)?)?;
    let patience = job.patience;
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        // The kernel says on its console which tasks are stuck, and where.
        let _ = fs::write("/proc/sysrq-trigger", "w");
        end(&format!("a command that took longer than {} s", patience.as_secs()));
    });
    let (program, arguments) = job.argv.split_first().context("there is no command")?;
    let (reader, writer) = io::pipe()?;
    let (done, all_read) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        let _ = forward(reader);
        drop(done);
    });
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("TERM", "dumb").envs(job.env);
    command.stdin(File::open("/dev/null")?).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn().with_context(|| program.clone())?;
    drop(command);
    let how = bury(Pid::from_raw(i32::try_from(child.id())?))?;
    let _ = all_read.recv_timeout(LAST_WORDS);
    Ok(how)
}

/// Copies until nobody writes any more.
fn forward(mut from: PipeReader) -> io::Result<()> {
    let mut to = host()?;
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            length => to.write_all(&buffer[..length])?,
        }
    }
}

/// Waits for every process that ends, as the first process must, until the command has ended.
fn bury(command: Pid) -> anyhow::Result<String> {
    loop {
        match waitpid(None, None)? {
            WaitStatus::Exited(pid, code) if pid == command => return Ok(code.to_string()),
            WaitStatus::Signaled(pid, signal, _) if pid == command => {
                return Ok(format!("killed by {signal}"));
            }
            _ => {}
        }
    }
}
