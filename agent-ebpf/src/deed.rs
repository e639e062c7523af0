//! Something that a process of a session does to a file: judged by the rules, then reported.

use warrantd_common::{EventKind, Outcome, SessionPolicy, flags, modes};

use crate::kernel::{Pointer, layout};
use crate::path::{OpenFile, Place};
use crate::process;
use crate::report::{Scratch, Session};
use crate::verdict;
use crate::walk::{Climb, walk};

/// Whether a hook can refuse.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It can (BPF LSM).
    Refuse,
    /// It only looks on.
    Watch,
}

/// A generation that no rules have.
const NO_RULES: u32 = u32::MAX;

/// Bits of flags without which a path is sure.
const UNSURE: u16 = flags::TRUNCATED | flags::PATHLESS | flags::VANISHED | flags::DETACHED;

/// What is done, and to what.
#[derive(Clone, Copy)]
pub struct Deed<P> {
    /// The kind of event.
    pub kind: EventKind,
    /// What the rules must grant for it, in bits of [`modes`].
    pub needs: u32,
    /// The name.
    pub place: Place<P>,
    /// The open file, when there is one.
    pub file: Option<OpenFile<P>>,
    /// Further bits of [`flags`].
    pub flags: u16,
    /// Whether it is worth an event when it is allowed.
    pub report: bool,
}

impl<P: Pointer> Deed<P> {
    /// Something done to a name.
    #[inline(always)]
    pub fn on(kind: EventKind, needs: u32, place: Place<P>) -> Self {
        Self { kind, needs, place, file: None, flags: 0, report: true }
    }

    /// Something done to an open file.
    #[inline(always)]
    pub fn with(kind: EventKind, needs: u32, file: OpenFile<P>) -> Self {
        Self { kind, needs, place: file.place, file: Some(file), flags: 0, report: true }
    }
}

/// Judges and reports a deed of the current process; false when it must be refused. `look` finds out what
/// it is, for processes of sessions alone; what cannot be looked at is refused where files are enforced.
#[inline(always)]
pub fn decide<P: Climb>(power: Power, look: impl FnOnce() -> Option<Deed<P>>) -> bool {
    let cgroup_id = process::cgroup_id();
    let Some(session) = Session::find(cgroup_id) else {
        return true;
    };
    let policy = verdict::policy(cgroup_id);
    let Some(deed) = look() else {
        return rules_of(power, policy, 0) == 0;
    };
    let rules = rules_of(power, policy, deed.needs);
    if rules == 0 && !deed.report {
        return true;
    }
    let generation = policy.map_or(0, |policy| policy.generation);
    let done = session.file(deed.kind, |scratch| {
        let header = &mut scratch.event.header;
        session.begin(header, deed.kind, Outcome::Allowed, generation);
        // A place whose types are known is that of a file that is opened.
        if P::STEPS == 0 {
            process::describe_caller(header);
        } else {
            process::describe_current(header);
        }
        let bits = deed.flags | describe(&deed, rules, scratch);
        scratch.event.header.flags = bits;
        let sure = scratch.event.header.flags & UNSURE == 0;
        let granted = sure && scratch.granted & deed.needs == deed.needs;
        let refused = rules != 0 && !granted;
        if refused {
            scratch.event.header.outcome = Outcome::Denied as u8;
        }
        refused || deed.report
    });
    done.unwrap_or(rules == 0)
}

/// Generation of the rules that must grant what is needed, 0 when nothing is enforced.
#[inline(always)]
fn rules_of(power: Power, policy: Option<&SessionPolicy>, needs: u32) -> u32 {
    let Some(policy) = policy else {
        return 0;
    };
    match power {
        Power::Watch => 0,
        // Sockets belong to the network, which is enforced always: without rules, none is granted.
        Power::Refuse if needs == modes::CONNECT => match policy.unix {
            0 => NO_RULES,
            unix => unix,
        },
        Power::Refuse => policy.files,
    }
}

/// Writes what there is to know of the object and its path; returns bits of [`flags`].
#[inline(always)]
fn describe(deed: &Deed<impl Climb>, rules: u32, scratch: &mut Scratch) -> u16 {
    let inode = match deed.file {
        Some(file) => {
            scratch.event.open_flags = file.flags;
            scratch.event.mode = file.mode;
            Some(file.inode)
        }
        None => deed.place.dentry.follow(layout!(dentry_inode)),
    };
    if let Some((dev, ino)) = inode.and_then(process::identity_of) {
        scratch.event.dev = dev;
        scratch.event.ino = ino;
    }
    let bits = walk(deed.place, rules, scratch);
    // A name that is about to be made is as unhashed as one that has been removed.
    if deed.file.is_none() { bits & !flags::UNLINKED } else { bits }
}
