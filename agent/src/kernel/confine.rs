//! What a child does to itself between fork and exec.
//!
//! Only async-signal-safe work is allowed here (signal-safety(7)): the parent has threads, and the child a
//! copy of their locks. So everything is prepared in [`Plan`], and the steps are plain system calls.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{self, Gid, Pid, Uid};

use super::floor;
use super::spawn::User;

/// Descriptors a server may have open. Runtimes like Node raise the soft limit to the hard one, and some
/// loop over all that are possible.
const OPEN_FILES: u64 = 4096;

/// Everything the child needs.
pub(super) struct Plan {
    /// `cgroup.procs` of the session.
    pub(super) procs: Option<OwnedFd>,
    /// Where to write the code of a step that fails.
    pub(super) report: OwnedFd,
    /// Who to become; `None` keeps user and capabilities.
    pub(super) user: Option<User>,
    /// Working directory.
    pub(super) cwd: CString,
    /// Landlock ruleset.
    pub(super) ruleset: Option<OwnedFd>,
    /// System call filter.
    pub(super) filter: Vec<libc::sock_filter>,
    /// The process that forks.
    pub(super) parent: Pid,
}

/// The steps, for error messages. The discriminants travel through a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Prepare = 1,
    Session,
    Limits,
    Descriptors,
    Cgroup,
    BoundingSet,
    Groups,
    Group,
    User,
    Capabilities,
    Directory,
    NoNewPrivileges,
    Floor,
    ParentDeath,
    Filter,
    Exec,
}

impl Step {
    const ALL: [(Self, &'static str); 16] = [
        (Self::Prepare, "making a pipe"),
        (Self::Session, "leaving the terminal (setsid)"),
        (Self::Limits, "setting resource limits (setrlimit)"),
        (Self::Descriptors, "closing inherited descriptors (close_range)"),
        (Self::Cgroup, "joining the session's cgroup (cgroup.procs)"),
        (Self::BoundingSet, "dropping the capability bounding set (needs CAP_SETPCAP)"),
        (Self::Groups, "setting the groups (needs CAP_SETGID)"),
        (Self::Group, "changing the group (needs CAP_SETGID)"),
        (Self::User, "changing the user (needs CAP_SETUID)"),
        (Self::Capabilities, "dropping capabilities (capset)"),
        (Self::Directory, "entering the working directory as the server's user"),
        (Self::NoNewPrivileges, "setting no_new_privs"),
        (Self::Floor, "restricting it to its files (Landlock, effects.landlock)"),
        (Self::ParentDeath, "tying its life to warrantd (PR_SET_PDEATHSIG)"),
        (Self::Filter, "installing the system call filter (seccomp)"),
        (
            Self::Exec,
            "executing it (the server's user must be able to reach and run it, and the interpreter of a script)",
        ),
    ];

    /// What the step does, to follow "failed while".
    pub(super) fn describe(self) -> &'static str {
        Self::ALL[usize::from(self as u8) - 1].1
    }

    /// The step with this discriminant.
    pub(super) fn from_code(code: u8) -> Self {
        let index = usize::from(code).wrapping_sub(1);
        Self::ALL.get(index).map_or(Self::Exec, |(step, _)| *step)
    }
}

impl Plan {
    /// Runs every step; the first that fails is reported and ends the child.
    pub(super) fn apply(&self) -> io::Result<()> {
        self.steps().map_err(|(step, errno)| {
            // Nobody to tell but the parent, which reads this after the failure.
            let _ = unistd::write(&self.report, &[step as u8]);
            io::Error::from(errno)
        })
    }

    fn steps(&self) -> Result<(), (Step, Errno)> {
        let at = |step: Step| move |errno: Errno| (step, errno);
        unistd::setsid().map_err(at(Step::Session))?;
        // The limit on descriptors comes after the loop that may need the old one.
        close_on_exec_from(3).map_err(at(Step::Descriptors))?;
        limit().map_err(at(Step::Limits))?;
        if let Some(procs) = &self.procs {
            unistd::write(procs.as_fd(), b"0").map_err(at(Step::Cgroup))?;
        }
        clear_ambient().map_err(at(Step::Capabilities))?;
        if let Some(user) = &self.user {
            drop_bounding_set().map_err(at(Step::BoundingSet))?;
            set_groups(&user.groups).map_err(at(Step::Groups))?;
            let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            unistd::setresgid(gid, gid, gid).map_err(at(Step::Group))?;
            unistd::setresuid(uid, uid, uid).map_err(at(Step::User))?;
            clear_capabilities().map_err(at(Step::Capabilities))?;
        }
        unistd::chdir(self.cwd.as_c_str()).map_err(at(Step::Directory))?;
        prctl::set_no_new_privs().map_err(at(Step::NoNewPrivileges))?;
        if let Some(ruleset) = &self.ruleset {
            floor::restrict_self(ruleset.as_fd()).map_err(at(Step::Floor))?;
        }
        // Changing the user clears this setting, so it comes after.
        prctl::set_pdeathsig(Signal::SIGKILL).map_err(at(Step::ParentDeath))?;
        if unistd::getppid() != self.parent {
            // The parent died before the setting took hold.
            return Err((Step::ParentDeath, Errno::ESRCH));
        }
        install_filter(&self.filter).map_err(at(Step::Filter))
    }
}

/// No core dumps, which hold secrets, and a bounded number of descriptors (setrlimit(2)).
fn limit() -> Result<(), Errno> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    // Raising a limit would need a capability that nothing else here needs.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = OPEN_FILES.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, most, most)
}

/// Marks every descriptor from `first` on; closing them would cut the pipe that reports a failed exec.
fn close_on_exec_from(first: libc::c_uint) -> Result<(), Errno> {
    // SAFETY: the call touches this process's descriptor flags only.
    let status = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if status == 0 {
        return Ok(());
    }
    // The flag came with 5.11, the call with 5.9.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = libc::c_int::try_from(most.min(1 << 20)).unwrap_or(1 << 20);
    for descriptor in libc::c_int::try_from(first).unwrap_or(3)..most {
        // SAFETY: a number that is no descriptor makes the call fail, which is as good.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Takes every capability out of what programs with file capabilities or user 0 could get.
fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 as libc::c_ulong {
        // SAFETY: takes numbers only.
        let status = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(status) {
            Ok(_) => {}
            // One past the last that this kernel knows.
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: gid_t is u32, and the pointer and length are those of one slice.
    let status = unsafe { libc::setgroups(groups.len(), groups.as_ptr()) };
    Errno::result(status).map(drop)
}

/// Empties the set that programs without file capabilities inherit (capabilities(7)).
fn clear_ambient() -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    let status =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Errno::result(status).map(drop)
}

/// Empties the effective, permitted and inheritable sets.
fn clear_capabilities() -> Result<(), Errno> {
    // struct __user_cap_header_struct, version 3, and two __user_cap_data_struct.
    let header: [u32; 2] = [0x2008_0522, 0];
    let data = [0u32; 6];
    // SAFETY: both pointers lead to arrays of the size that version 3 prescribes.
    let status = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) };
    Errno::result(status).map(drop)
}

fn install_filter(filter: &[libc::sock_filter]) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::E2BIG)?,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program points to `len` instructions that outlive the call; the kernel copies them.
    let status =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    Errno::result(status).map(drop)
}

#[cfg(test)]
mod tests {
    use super::Step;

    #[test]
    fn steps_are_numbered_in_the_order_of_their_table() {
        for (step, text) in Step::ALL {
            assert_eq!(Step::from_code(step as u8), step);
            assert_eq!(step.describe(), text);
        }
        assert_eq!(Step::from_code(0), Step::Exec);
        assert_eq!(Step::from_code(200), Step::Exec);
    }
}
