//! Who caused an event.

use aya_ebpf::helpers::generated;
use warrantd_common::EventHeader;

use crate::kernel::{Address, Head, layout};

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

/// Fills in the process fields with those of the running task, of which helpers know the most.
#[inline(always)]
pub fn describe_current(task: Address, header: &mut EventHeader) {
    // SAFETY: the helper takes no arguments and always succeeds.
    let ids = unsafe { generated::bpf_get_current_pid_tgid() };
    header.pid = (ids >> 32) as u32;
    header.tid = ids as u32;
    // SAFETY: as above.
    header.uid = unsafe { generated::bpf_get_current_uid_gid() } as u32;
    let comm = &raw mut header.comm;
    // SAFETY: the helper writes exactly the 16 bytes.
    unsafe { generated::bpf_get_current_comm(comm.cast(), 16) };
    describe_kin(task, header);
}

/// Fills in the process fields with those of any task. What cannot be read stays zero.
#[inline(always)]
pub fn describe(task: Address, header: &mut EventHeader) {
    header.pid = task.read(layout!(task_tgid)).unwrap_or(0);
    header.tid = task.read(layout!(task_pid)).unwrap_or(0);
    if let Some(cred) = task.follow(layout!(task_cred)) {
        header.uid = cred.read(layout!(cred_uid)).unwrap_or(u32::MAX);
    }
    let comm = &raw mut header.comm;
    // SAFETY: the helper writes exactly the 16 bytes, zeros when it fails.
    unsafe {
        generated::bpf_probe_read_kernel(
            comm.cast(),
            16,
            task.at(layout!(task_comm)).raw() as *const _,
        )
    };
    describe_kin(task, header);
}

/// Parent and executable.
#[inline(always)]
fn describe_kin(task: Address, header: &mut EventHeader) {
    if let Some(parent) = task.follow(layout!(task_real_parent)) {
        header.ppid = parent.read(layout!(task_tgid)).unwrap_or(0);
    }
    if let Some((dev, ino)) = executable(task) {
        header.exe_dev = dev;
        header.exe_ino = ino;
    }
}

/// Device and inode of the running executable.
#[inline(always)]
fn executable(task: Address) -> Option<(u32, u64)> {
    let file = task.follow(layout!(task_mm))?.follow(layout!(mm_exe_file))?;
    identity_of(file.follow(layout!(file_inode))?)
}

/// Device and number of an inode.
#[inline(always)]
pub fn identity_of(inode: Address) -> Option<(u32, u64)> {
    /// Words from the super block on, among which the number is on all kernels known.
    type Middle = Head<4>;
    let between = layout!(inode_ino).wrapping_sub(layout!(inode_sb));
    let (sb, ino) = if Middle::holds(between) {
        let middle = Middle::read(inode, layout!(inode_sb))?;
        (middle.word(0), middle.word(between))
    } else {
        (inode.read(layout!(inode_sb))?, inode.read(layout!(inode_ino))?)
    };
    Some((Address::new(sb).read(layout!(super_block_dev))?, ino))
}
