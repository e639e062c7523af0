//! Processes that are moved out of their session's cgroup. The tracepoint tells where to, not where from,
//! so every process is remembered from its birth on.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use warrantd_common::{EventKind, Outcome, flags};

use crate::kernel::{Address, Pointer, layout};
use crate::maps::{MEMBERS, Member};
use crate::process;
use crate::report::Session;
use crate::verdict;

/// `sched_process_fork(struct task_struct *parent, struct task_struct *child)`.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn warrantd_fork(ctx: RawTracePointContext) -> i32 {
    let cgroup_id = process::cgroup_id();
    if Session::find(cgroup_id).is_some() {
        remember(Address::new(ctx.arg(1)), cgroup_id);
    }
    0
}

/// Remembers a process, at its birth or when it starts a program.
#[inline(always)]
pub fn remember(task: Address, cgroup_id: u64) {
    let (Some(pid), Some(thread), Some(started)) = (
        task.read::<u32>(layout!(task_tgid)),
        task.read::<u32>(layout!(task_pid)),
        task.read::<u64>(layout!(task_start)),
    ) else {
        return;
    };
    // Threads go where their process goes.
    if pid == thread {
        // A full table forgets the oldest.
        let _ = MEMBERS.insert(pid, Member { cgroup_id, started }, 0);
    }
}

/// `cgroup_attach_task(struct cgroup *dst, const char *path, struct task_struct *leader, bool threadgroup)`
/// (include/trace/events/cgroup.h), after the move.
#[raw_tracepoint(tracepoint = "cgroup_attach_task")]
pub fn warrantd_leave(ctx: RawTracePointContext) -> i32 {
    let task = Address::new(ctx.arg(2));
    let _ = look(task);
    0
}

#[inline(always)]
fn look(task: Address) -> Option<()> {
    let pid = task.read::<u32>(layout!(task_tgid))?;
    // SAFETY: an element that is recycled meanwhile fails the comparison of start times.
    let member = *unsafe { MEMBERS.get(pid) }?;
    if task.read::<u64>(layout!(task_start))? != member.started
        || process::cgroup_id_of(task)? == member.cgroup_id
    {
        return None;
    }
    let session = Session::find(member.cgroup_id)?;
    session.file(EventKind::Leave, |scratch| {
        let header = &mut scratch.event.header;
        let generation = verdict::generation(member.cgroup_id);
        session.begin(header, EventKind::Leave, Outcome::Allowed, generation);
        process::describe(task, header);
        header.flags = flags::PATHLESS;
        true
    });
    Some(())
}
