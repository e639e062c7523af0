//! Programs that processes of sessions start.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use warrantd_common::{EventKind, Outcome, flags};

use crate::kernel::{Address, layout};
use crate::open::describe_file;
use crate::process;
use crate::report::{Scratch, Session};
use crate::verdict;

/// `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`
/// (include/trace/events/sched.h). Fires after the point of no return, with the new program in place;
/// `bprm->file` is the executable itself: for a script, its interpreter.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn warrantd_exec(ctx: RawTracePointContext) -> i32 {
    let Some(session) = Session::find(process::cgroup_id()) else {
        return 0;
    };
    let program = Address::new(ctx.arg(2));
    session.send_file(|scratch| describe(session, program, scratch));
    0
}

#[inline(always)]
fn describe(session: Session, program: Address, scratch: &mut Scratch) -> usize {
    let task = process::current();
    let generation = verdict::generation(process::cgroup_id());
    let header = &mut scratch.event.header;
    session.begin(header, EventKind::Exec, Outcome::Allowed, generation);
    process::describe(task, header);
    match program.follow(layout!(binprm_file)) {
        Some(file) => describe_file(task, file, scratch),
        None => {
            scratch.event.header.flags |= flags::VANISHED | flags::TRUNCATED;
            0
        }
    }
}
