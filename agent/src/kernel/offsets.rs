//! Fills in [`Layout`]: where this kernel keeps the fields that the programs read.

use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use warrantd_common::{ENTRY_WORDS, Layout};

use super::KernelError;
use super::btf::Btf;

/// Looks every member up. One that is missing under all its names is an error that names it.
pub(super) fn resolve(btf: &Btf) -> Result<Layout, KernelError> {
    let one_of = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| btf.offset(name))
            .ok_or_else(|| KernelError::MissingMember { member: names.join(" or ") })
    };
    let of = |name| one_of(&[name]);
    Ok(Layout {
        task_tgid: of("task_struct.tgid")?,
        task_pid: of("task_struct.pid")?,
        task_cred: of("task_struct.cred")?,
        task_comm: of("task_struct.comm")?,
        task_mm: of("task_struct.mm")?,
        task_files: of("task_struct.files")?,
        task_nsproxy: of("task_struct.nsproxy")?,
        task_cgroups: of("task_struct.cgroups")?,
        task_fs: of("task_struct.fs")?,
        task_start: of("task_struct.start_time")?,
        fs_pwd: of("fs_struct.pwd")?,
        css_set_dfl_cgrp: of("css_set.dfl_cgrp")?,
        cgroup_kn: of("cgroup.kn")?,
        kernfs_node_id: of("kernfs_node.id")?,
        cred_uid: of("cred.uid")?,
        mm_exe_file: of("mm_struct.exe_file")?,
        mm_arg_start: of("mm_struct.arg_start")?,
        mm_arg_end: of("mm_struct.arg_end")?,
        vma_file: of("vm_area_struct.vm_file")?,
        nsproxy_mnt_ns: of("nsproxy.mnt_ns")?,
        mnt_namespace_root: of("mnt_namespace.root")?,
        files_fdt: of("files_struct.fdt")?,
        fdtable_max_fds: of("fdtable.max_fds")?,
        fdtable_fd: of("fdtable.fd")?,
        file_flags: of("file.f_flags")?,
        file_mode: of("file.f_mode")?,
        file_inode: of("file.f_inode")?,
        // 6.19 made f_path a read-only view of __f_path.
        file_path_mnt: one_of(&["file.f_path.mnt", "file.__f_path.mnt"])?,
        file_path_dentry: one_of(&["file.f_path.dentry", "file.__f_path.dentry"])?,
        file_private: of("file.private_data")?,
        path_mnt: of("path.mnt")?,
        path_dentry: of("path.dentry")?,
        inode_ino: of("inode.i_ino")?,
        inode_sb: of("inode.i_sb")?,
        super_block_dev: of("super_block.s_dev")?,
        mount_mnt: of("mount.mnt")?,
        mount_parent: of("mount.mnt_parent")?,
        mount_mountpoint: of("mount.mnt_mountpoint")?,
        vfsmount_root: of("vfsmount.mnt_root")?,
        vfsmount_sb: of("vfsmount.mnt_sb")?,
        binprm_file: of("linux_binprm.file")?,
        socket_sk: of("socket.sk")?,
        sock_family: of("sock.__sk_common.skc_family")?,
        unix_peer: of("unix_sock.peer")?,
        unix_path: of("unix_sock.path")?,
        unix_addr: of("unix_sock.addr")?,
        unix_address_len: of("unix_address.len")?,
        unix_address_name: of("unix_address.name")?,
        ..system_calls(btf, &dentry(one_of)?)?
    })
}

/// Where a dentry has what a path walk wants of it. One read brings all; a kernel that keeps them too far
/// from each other is refused.
fn dentry(one_of: impl Fn(&[&str]) -> Result<u32, KernelError>) -> Result<Layout, KernelError> {
    /// Bytes of a short name that are read.
    const SHORT_BYTES: u32 = 32;
    let found = Layout {
        dentry_hash_pprev: one_of(&["dentry.d_hash.pprev"])?,
        dentry_parent: one_of(&["dentry.d_parent"])?,
        // 6.17 made d_name a read-only view of __d_name.
        dentry_name_len: one_of(&["dentry.d_name.len", "dentry.__d_name.len"])?,
        dentry_name: one_of(&["dentry.d_name.name", "dentry.__d_name.name"])?,
        dentry_inode: one_of(&["dentry.d_inode"])?,
        // 6.14 gave the array another name.
        dentry_short: one_of(&["dentry.d_iname", "dentry.d_shortname"])?,
        ..Layout::ZERO
    };
    let hash = found.dentry_name_len.checked_sub(4);
    let words = [
        Some(found.dentry_hash_pprev),
        Some(found.dentry_parent),
        hash,
        Some(found.dentry_name),
        Some(found.dentry_inode),
        Some(found.dentry_short),
    ];
    let first = words.iter().flatten().copied().min().unwrap_or(0);
    let end = first + u32::try_from(ENTRY_WORDS * 8).unwrap_or(0);
    let fits = words.iter().all(|word| word.is_some_and(|word| word % 8 == 0 && word + 8 <= end));
    if fits && found.dentry_short + SHORT_BYTES <= end {
        return Ok(Layout { dentry_entry: first, ..found });
    }
    Err(KernelError::MissingMember { member: "dentry.d_name near dentry.d_parent".into() })
}

/// Size of a kernel stack where the helper that finds registers is missing (kernels before 5.15).
const STACK_BYTES: u32 = 16 << 10;

/// Where the arguments of system calls are, and which calls differ in theirs.
fn system_calls(btf: &Btf, rest: &Layout) -> Result<Layout, KernelError> {
    let missing = |member: &str| KernelError::MissingMember { member: member.into() };
    let of = |name: &str| btf.offset(name).ok_or_else(|| missing(name));
    let size = btf.size("pt_regs").ok_or_else(|| missing("pt_regs"))?;
    // A kernel that cannot be asked is one that does not have it: the other way is checked at run time.
    let has = |program, helper| u32::from(is_helper_supported(program, helper).unwrap_or(false));
    Ok(Layout {
        task_helper: has(ProgramType::TracePoint, BpfHelper::BPF_FUNC_get_current_task_btf),
        regs_helper: has(ProgramType::TracePoint, BpfHelper::BPF_FUNC_task_pt_regs),
        task_stack: of("task_struct.stack")?,
        regs_in_stack: STACK_BYTES.saturating_sub(size),
        sys_openat2: number(libc::SYS_openat2),
        sys_openat: number(libc::SYS_openat),
        ..arguments(of, rest)?
    })
}

/// arch/x86/include/asm/ptrace.h.
#[cfg(target_arch = "x86_64")]
fn arguments(
    of: impl Fn(&str) -> Result<u32, KernelError>,
    rest: &Layout,
) -> Result<Layout, KernelError> {
    Ok(Layout {
        regs_syscall: of("pt_regs.orig_ax")?,
        regs_arg0: of("pt_regs.di")?,
        regs_arg1: of("pt_regs.si")?,
        regs_arg2: of("pt_regs.dx")?,
        regs_arg3: of("pt_regs.r10")?,
        sys_open: number(libc::SYS_open),
        sys_creat: number(libc::SYS_creat),
        ..*rest
    })
}

/// arch/arm64/include/asm/ptrace.h. There is no `open` and no `creat`.
#[cfg(target_arch = "aarch64")]
fn arguments(
    of: impl Fn(&str) -> Result<u32, KernelError>,
    rest: &Layout,
) -> Result<Layout, KernelError> {
    let registers = of("pt_regs.regs")?;
    Ok(Layout {
        regs_syscall: of("pt_regs.syscallno")?,
        // The first register holds the result when the call returns.
        regs_arg0: of("pt_regs.orig_x0")?,
        regs_arg1: registers + 8,
        regs_arg2: registers + 16,
        regs_arg3: registers + 24,
        sys_open: u32::MAX,
        sys_creat: u32::MAX,
        ..*rest
    })
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}
