//! Calls that change names, and connections to unix sockets, where the security hooks cannot be used:
//! reported when the system call returns.
//!
//! Of a name that is gone the kernel keeps nothing, so these events carry the name that the caller gave
//! ([`flags::CLAIMED`]), under the directory that the kernel names. A thread that changes the name in
//! memory while the call runs can make it lie; it cannot hide that there was a call.

use aya_ebpf::helpers::generated;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use warrantd_common::{EventKind, NamedArgument, Outcome, TAIL_BYTES, flags};

use crate::deed::Power;
use crate::exec::tail;
use crate::kernel::{Pointer, layout};
use crate::maps::CALLS;
use crate::open::{call_and_result, file_of};
use crate::path::Place;
use crate::process;
use crate::registers::{argument, numbered};
use crate::report::{Scratch, Session};
use crate::unix;
use crate::verdict;
use crate::walk::walk;

/// `AF_UNIX` (include/linux/socket.h).
const AF_UNIX: u32 = 1;
/// `AT_FDCWD` (include/uapi/linux/fcntl.h), as a descriptor.
const CWD: u32 = -100_i32 as u32;

/// Runs at the exit of the calls in [`CALLS`].
#[tracepoint]
pub fn warrantd_change(ctx: TracePointContext) -> u32 {
    let (call, result) = call_and_result(&ctx);
    if result != 0 {
        return 0;
    }
    if Session::find(process::cgroup_id()).is_some() {
        report_name(call, 0);
        report_name(call, 1);
    }
    0
}

/// Reports the first or the second name of a call, if there is one. A function of its own that takes and returns
/// numbers, as [`path_step`](crate::walk::path_step) is: the verifier looks at it once.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn report_name(call: u32, index: u32) -> u32 {
    let Some(session) = Session::find(process::cgroup_id()) else {
        return 0;
    };
    // SAFETY: the map is filled before the program is attached, and never changed.
    let Some(shape) = (unsafe { CALLS.get(call) }) else {
        return 0;
    };
    let name = if index == 0 { shape.names[0] } else { shape.names[1] };
    if name.kind != 0 {
        report(session, call, name);
    }
    0
}

#[inline(always)]
fn report(session: Session, call: u32, name: NamedArgument) {
    session.file(EventKind::Create, |scratch| {
        let generation = verdict::generation(session.id());
        let header = &mut scratch.event.header;
        session.begin(header, EventKind::Create, Outcome::Allowed, generation);
        header.kind = name.kind;
        process::describe_caller(header);
        describe(call, name, scratch);
        true
    });
}

#[inline(always)]
fn describe(call: u32, name: NamedArgument, scratch: &mut Scratch) {
    if name.name == NamedArgument::DESCRIPTOR {
        let fd = numbered(call, name.directory).unwrap_or(u64::MAX);
        let file = file_of(fd as u32);
        let inode = file.and_then(|file| file.follow(layout!(file_inode)));
        if let Some((dev, ino)) = inode.and_then(process::identity_of) {
            scratch.event.dev = dev;
            scratch.event.ino = ino;
        }
        scratch.event.header.flags |= match file.and_then(Place::of_file) {
            Some(place) => walk(place, 0, scratch),
            None => flags::VANISHED | flags::TRUNCATED,
        };
        return;
    }
    let directory = match name.directory {
        NamedArgument::CWD => Some(CWD),
        index => numbered(call, index).map(|fd| fd as u32),
    };
    let place = match directory {
        Some(CWD) => process::current()
            .follow(layout!(task_fs))
            .and_then(|fs| Place::of_path(fs.at(layout!(fs_pwd)))),
        Some(fd) => file_of(fd).and_then(Place::of_file),
        None => None,
    };
    scratch.event.header.flags |= flags::CLAIMED;
    // The directory of an absolute name does not count, and may be no descriptor at all.
    if let Some(place) = place {
        scratch.event.header.flags |= walk(place, 0, scratch);
    }
    copy_name(numbered(call, name.name), scratch);
}

/// Copies the name into the tail, without the zero that ends it.
#[inline(always)]
fn copy_name(name: Option<u64>, scratch: &mut Scratch) {
    let (Some(name), Some(place)) = (name, tail(scratch)) else {
        scratch.event.header.flags |= flags::TAIL_CUT;
        return;
    };
    // SAFETY: behind the path there is room for TAIL_BYTES; the helper checks the source.
    let length = unsafe {
        generated::bpf_probe_read_user_str(place.cast(), TAIL_BYTES as u32, name as *const _)
    };
    // One that fills the room has been cut.
    if length <= 0 || length >= TAIL_BYTES as i64 {
        scratch.event.header.flags |= flags::TAIL_CUT;
        return;
    }
    scratch.event.tail_len = (length - 1) as u16;
}

/// Runs at the exit of `connect`: the socket's peer tells who was reached.
#[tracepoint]
pub fn warrantd_connected(ctx: TracePointContext) -> u32 {
    let (call, result) = call_and_result(&ctx);
    if result != 0 {
        return 0;
    }
    if Session::find(process::cgroup_id()).is_some() {
        let _ = look_at_peer(call);
    }
    0
}

#[inline(always)]
fn look_at_peer(call: u32) -> Option<()> {
    let fd = argument(call, layout!(regs_arg0))?;
    let socket = file_of(fd as u32)?.follow(layout!(file_private))?;
    let sock = socket.follow(layout!(socket_sk))?;
    if sock.read::<u32>(layout!(sock_family))? & 0xffff != AF_UNIX {
        return None;
    }
    unix::connected(Power::Watch, sock.follow(layout!(unix_peer))?);
    Some(())
}
