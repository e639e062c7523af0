//! Who caused an event.

use aya_ebpf::helpers::generated;
use warrantd_common::EventHeader;

use crate::kernel::{Address, Head, Object, Pointer, layout};

/// The running task.
#[inline(always)]
pub fn current() -> Address {
    // SAFETY: the helper takes no arguments and always succeeds.
    Address::new(unsafe { generated::bpf_get_current_task() })
}

/// Cgroup id of the running task in the unified hierarchy.
#[inline(always)]
pub fn cgroup_id() -> u64 {
    // SAFETY: the helper takes no arguments and always succeeds.
    unsafe { generated::bpf_get_current_cgroup_id() }
}

/// The same for program types that lack the helper on older kernels.
#[inline(always)]
pub fn cgroup_id_of(task: Address) -> Option<u64> {
    task.follow(layout!(task_cgroups))?
        .follow(layout!(css_set_dfl_cgrp))?
        .follow(layout!(cgroup_kn))?
        .read(layout!(kernfs_node_id))
}

/// Fills in the process fields with those of the running task, in programs that run often.
#[inline(always)]
pub fn describe_current(header: &mut EventHeader) {
    if layout!(task_helper) != 0 {
        describe(Object::current_task(), header);
    } else {
        describe_caller(header);
    }
}

/// The same where events are few, by helpers alone. An event takes five reads by a helper longer. In return the
/// verifier does not search the kernel's types for each pointer that is followed (`type_is_rcu` and
/// `type_is_trusted` in kernel/bpf/verifier.c), which were a third of a start of warrantd.
#[inline(always)]
pub fn describe_caller(header: &mut EventHeader) {
    // SAFETY: the helper takes no arguments and always succeeds.
    let ids = unsafe { generated::bpf_get_current_pid_tgid() };
    header.pid = (ids >> 32) as u32;
    header.tid = ids as u32;
    // SAFETY: as above.
    header.uid = unsafe { generated::bpf_get_current_uid_gid() } as u32;
    let comm = &raw mut header.comm;
    // SAFETY: the helper writes exactly the 16 bytes.
    unsafe { generated::bpf_get_current_comm(comm.cast(), 16) };
    describe_executable(current(), header);
}

/// Fills in the process fields with those of any task. What cannot be read stays zero.
#[inline(always)]
pub fn describe(task: impl Pointer, header: &mut EventHeader) {
    header.pid = task.read(layout!(task_tgid)).unwrap_or(0);
    header.tid = task.read(layout!(task_pid)).unwrap_or(0);
    if let Some(cred) = task.follow(layout!(task_cred)) {
        header.uid = cred.read(layout!(cred_uid)).unwrap_or(u32::MAX);
    }
    if let Some(name) = task.read::<Head<2>>(layout!(task_comm)) {
        // SAFETY: the field has two words and begins at a multiple of eight.
        unsafe { (&raw mut header.comm).cast::<Head<2>>().write(name) };
    }
    describe_executable(task, header);
}

#[inline(always)]
fn describe_executable(task: impl Pointer, header: &mut EventHeader) {
    if let Some((dev, ino)) = executable(task) {
        header.exe_dev = dev;
        header.exe_ino = ino;
    }
}

/// Device and inode of the running executable.
#[inline(always)]
fn executable(task: impl Pointer) -> Option<(u32, u64)> {
    let file = task.follow(layout!(task_mm))?.follow(layout!(mm_exe_file))?;
    identity_of(file.follow(layout!(file_inode))?)
}

/// Device and number of an inode.
#[inline(always)]
pub fn identity_of(inode: impl Pointer) -> Option<(u32, u64)> {
    let (sb, ino) = inode.follow_and_read(layout!(inode_sb), layout!(inode_ino))?;
    Some((sb.read(layout!(super_block_dev))?, ino))
}
