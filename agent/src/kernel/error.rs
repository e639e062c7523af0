//! What can go wrong between warrantd and the kernel, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why the kernel layer could not do its work. Every message names the remedy where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The process lacks capabilities.
    #[error(
        "watching servers needs privileges that this process lacks: {}\n\
         Run warrantd as root, or give it CAP_BPF and CAP_PERFMON (load the kernel programs), CAP_NET_ADMIN \
         (attach them to cgroups), CAP_SETUID, CAP_SETGID and CAP_SETPCAP (start servers with fewer rights), CAP_KILL (stop them).\n\
         `--kernel off` runs without: nothing is enforced or observed then, and every audit record says UNOBSERVED",
        missing.join(", ")
    )]
    NotPrivileged {
        /// Names of the missing capabilities.
        missing: Vec<&'static str>,
    },
    /// The kernel lacks something.
    #[error("this kernel lacks {feature}: {remedy}")]
    Unsupported {
        /// What is missing.
        feature: &'static str,
        /// What to do.
        remedy: String,
    },
    /// A file system that is needed is not there and cannot be mounted.
    #[error("{kind} is not mounted at {path} and mounting it failed ({source}): mount it by hand", path = path.display())]
    Mount {
        /// The file system type.
        kind: &'static str,
        /// Where it was expected.
        path: PathBuf,
        /// Why mounting failed.
        source: io::Error,
    },
    /// The pins must lie on bpffs.
    #[error("{path} is not on a bpf file system: choose a pin root under /sys/fs/bpf", path = path.display())]
    PinRoot {
        /// The directory that was configured.
        path: PathBuf,
    },
    /// Another live process has this instance name.
    #[error(
        "instance {instance} belongs to the running process {pid}: stop it first, or choose another name"
    )]
    InstanceBusy {
        /// The instance name.
        instance: String,
        /// The process that owns it.
        pid: u32,
    },
    /// A cgroup of somebody else cannot be a session.
    #[error("cannot attach to the cgroup {path}: {why}", path = path.display())]
    Attach {
        /// The cgroup, as it was named.
        path: PathBuf,
        /// Why, and the way out.
        why: &'static str,
    },
    /// The session has ended.
    #[error("the session is over")]
    SessionOver,
    /// A name that cannot be a directory name.
    #[error(
        "{name:?} cannot name a cgroup: use at most 64 letters, digits, `-` and `_`, beginning with a letter or digit"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The kernel's type information lacks a member that the programs read.
    #[error(
        "the kernel's type information (/sys/kernel/btf/vmlinux) has no {member}: this kernel is not supported yet"
    )]
    MissingMember {
        /// The member, or its alternatives.
        member: String,
    },
    /// The kernel's type information cannot be read.
    #[error(
        "the kernel's type information (/sys/kernel/btf/vmlinux) cannot be read: {reason}. A kernel built with CONFIG_DEBUG_INFO_BTF is needed"
    )]
    Btf {
        /// What is wrong with it.
        reason: String,
    },
    /// The object was refused.
    #[error("the kernel refused the {what}: {source}")]
    Load {
        /// Which part of the object.
        what: String,
        /// The kernel's answer, with the verifier's log where there is one.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The embedded object is not the one this code was written for.
    #[error("the embedded kernel object has no {what}: rebuild it with `cargo xtask ebpf`")]
    Object {
        /// What it lacks.
        what: &'static str,
    },
    /// Reading or writing a map failed.
    #[error("the kernel map {map} refused: {source}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// The kernel's answer.
        #[source]
        source: aya::maps::MapError,
    },
    /// Something in a cgroup directory or among the pins failed.
    #[error("{action} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A server could not be started.
    #[error("starting {program} failed while {step}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A server specification that cannot be run.
    #[error("{0}")]
    Spec(&'static str),
    /// The kernel accepted everything and the programs still do not do their work.
    #[error(
        "the kernel programs do not work here: {missing}. warrantd does not start without them; `doctor` shows details"
    )]
    SelfTest {
        /// What the probe should have caused and did not.
        missing: String,
    },
}

impl KernelError {
    /// For `map_err` on file operations.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
