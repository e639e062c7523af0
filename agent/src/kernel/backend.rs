//! How files and programs are observed: three ways, best first.

use std::fmt;
use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

/// `BPF_PROG_TYPE_TRACING` and `BPF_PROG_TYPE_LSM` (include/uapi/linux/bpf.h).
const TRACING: u32 = 26;
const LSM: u32 = 29;
/// `BPF_TRACE_FENTRY` and `BPF_LSM_MAC`.
const TRACE_FENTRY: u32 = 24;
const LSM_MAC: u32 = 27;
/// `BPF_PROG_LOAD`.
const PROG_LOAD: libc::c_long = 5;

/// Where the active security modules are listed.
const SECURITYFS: &str = "/sys/kernel/security";

/// A way to observe files and programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// BPF LSM: sees every deed before it happens, and can refuse it.
    Lsm,
    /// fentry on the functions that call the security modules: sees the same, refuses nothing.
    Fentry,
    /// Tracepoints at the exit of system calls: sees opens and programs as the kernel knows them,
    /// other changes by the names that callers gave.
    Tracepoint,
}

impl Backend {
    /// All, best first.
    pub const ALL: [Self; 3] = [Self::Lsm, Self::Fentry, Self::Tracepoint];

    /// Whether deeds on files and programs can be refused.
    #[must_use]
    pub fn enforces_files(self) -> bool {
        self == Self::Lsm
    }

    /// Its name in logs and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lsm => "lsm",
            Self::Fentry => "fentry",
            Self::Tracepoint => "tracepoint",
        }
    }

    /// What it cannot see or do, a line each.
    #[must_use]
    pub fn blind_spots(self) -> &'static [&'static str] {
        match self {
            Self::Lsm => &[],
            Self::Fentry => &["files and programs are reported, not refused: bpf is no active LSM"],
            Self::Tracepoint => &[
                "files and programs are reported, not refused",
                "the name of what is deleted, renamed, linked, made or cut by name is the caller's own \
                 word, with symbolic links unresolved",
                "a thread that swaps a fresh descriptor at once can hide an open",
                "files mapped as code and descriptors received are not reported beyond their open",
                "datagrams to unix sockets are not reported",
            ],
        }
    }

    /// Why the running kernel cannot have it, as far as can be told without trying.
    pub(super) fn obstacle(self) -> Option<String> {
        match self {
            Self::Lsm => match active_modules() {
                Some(list) if !list.split(',').any(|module| module == "bpf") => {
                    Some(format!("bpf is not among the active security modules ({list})"))
                }
                _ => refused(LSM, LSM_MAC),
            },
            Self::Fentry => refused(TRACING, TRACE_FENTRY),
            Self::Tracepoint => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The security modules that decide; `None` when they cannot be listed.
pub(super) fn active_modules() -> Option<String> {
    let list = Path::new(SECURITYFS).join("lsm");
    if !list.exists() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        // Where it cannot be mounted, the self-test decides.
        let _ = mount(Some("securityfs"), SECURITYFS, Some("securityfs"), flags, None::<&str>);
    }
    Some(fs::read_to_string(list).ok()?.trim().to_owned())
}

/// Whether the kernel refuses to load programs of a type at all, whatever they do: one without a place to
/// attach is invalid where they are permitted.
fn refused(program_type: u32, attach_type: u32) -> Option<String> {
    /// The attributes up to `expected_attach_type`.
    #[repr(C)]
    struct Request {
        program_type: u32,
        count: u32,
        instructions: u64,
        license: u64,
        unused: [u32; 11],
        attach_type: u32,
    }
    // r0 = 0; exit.
    let instructions: [u64; 2] = [0xb7, 0x95];
    let license = c"GPL";
    let request = Request {
        program_type,
        count: 2,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        unused: [0; 11],
        attach_type,
    };
    // SAFETY: the request names two instructions and a string that outlive the call.
    let status = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const request, size_of_val(&request))
    };
    if status >= 0 {
        // SAFETY: the call returned a descriptor that nobody else knows.
        unsafe { libc::close(i32::try_from(status).unwrap_or(-1)) };
        return None;
    }
    let error = std::io::Error::last_os_error();
    (error.raw_os_error() == Some(libc::EPERM))
        .then(|| "the kernel refuses programs of this type (lockdown?)".to_owned())
}
