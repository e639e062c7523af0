//! What tests need from the machine.
//!
//! Each need is looked up without asking warrantd, so that a fault of warrantd cannot pass for a
//! machine that lacks something.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::places;

/// Something a test cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be root.
    Root,
    /// To be root and to have what kernel enforcement needs.
    Kernel,
    /// A kernel that runs BPF LSM programs. That `bpf` is among its security modules does not tell;
    /// [`ENFORCED`] does.
    LsmBpf,
    /// To be able to make network namespaces with `ip` and to enter them with `nsenter`.
    Netns,
    /// The real filesystem server, and Node.js to run it.
    FilesystemServer,
    /// Its version with known holes.
    VulnerableFilesystemServer,
    /// The git server in a version with known holes.
    VulnerableGitServer,
    /// A real server of npm, by its package, and Node.js.
    NpmServer(&'static str),
    /// A real server that is a Python program, by its name.
    PythonServer(&'static str),
    /// The Python environment with the MCP client.
    PythonClient,
    /// The protocol's own test suite.
    ConformanceSuite,
    /// The server that the suite is run against.
    ConformanceServer,
    /// The command line client of the MCP inspector.
    Inspector,
    /// A browser.
    Chromium,
    /// IPv6.
    Ipv6,
    /// A program of the system that servers can run, by its name.
    Program(&'static str),
}

/// Why the first need that is not met is not met.
pub fn missing(needs: &[Need]) -> Option<String> {
    needs.iter().find_map(|need| match need {
        Need::Root => root(),
        Need::Kernel => root().or_else(kernel),
        Need::LsmBpf => lsm_bpf(),
        Need::Netns => root().or_else(|| program("ip")).or_else(|| program("nsenter")),
        Need::FilesystemServer => places::filesystem_server().err(),
        Need::VulnerableFilesystemServer => places::vulnerable_filesystem_server().err(),
        Need::VulnerableGitServer => places::vulnerable_git_server().err(),
        Need::NpmServer(package) => places::npm_server(package).err(),
        Need::PythonServer(name) => places::python_server(name).err(),
        Need::PythonClient => places::python().err(),
        Need::ConformanceSuite => places::conformance_suite().err(),
        Need::ConformanceServer => places::fixture_python().err(),
        Need::Inspector => places::inspector().err(),
        Need::Chromium => places::chromium().err(),
        Need::Ipv6 => {
            (!Path::new("/proc/sys/net/ipv6").exists()).then(|| "the kernel has no IPv6".to_owned())
        }
        Need::Program(name) => places::system_program(name).err(),
    })
}

/// Says, when it is set, that the kernel runs BPF LSM programs.
const ENFORCED: &str = "WARRANTD_TEST_ENFORCED";

fn lsm_bpf() -> Option<String> {
    let said = std::env::var_os(ENFORCED).is_some();
    (!said).then(|| format!("needs a kernel that runs BPF LSM programs; {ENFORCED}=1 says so"))
}

fn root() -> Option<String> {
    (!nix::unistd::geteuid().is_root()).then(|| "needs root".to_owned())
}

/// Bits of `CapEff`, from include/uapi/linux/capability.h.
const CAPABILITIES: [(&str, u32); 3] =
    [("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21), ("CAP_BPF", 39)];

fn kernel() -> Option<String> {
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        return Some("the kernel has no BTF (/sys/kernel/btf/vmlinux)".to_owned());
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    if !mounts.lines().any(|mount| mount.split(' ').nth(2) == Some("cgroup2")) {
        return Some("no cgroup2 file system is mounted".to_owned());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    CAPABILITIES
        .iter()
        .find(|(_, bit)| effective & (1 << bit) == 0)
        .map(|(name, _)| format!("root has no {name} here (a container?)"))
}

fn program(name: &str) -> Option<String> {
    let found = Command::new(name).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.err().map(|error| format!("`{name}` does not run: {error}"))
}
