//! Where the running kernel keeps the fields that the programs read.

use core::mem::size_of;

/// How many words of a `struct dentry` the programs read at once.
pub const ENTRY_WORDS: usize = 10;

/// Byte offsets of kernel struct members, and system call numbers of the host. User space fills them in
/// from the kernel's type information before it loads the programs; to the verifier they are constants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Layout {
    /// `task_struct.tgid`
    pub task_tgid: u32,
    /// `task_struct.pid`
    pub task_pid: u32,
    /// `task_struct.cred`
    pub task_cred: u32,
    /// `task_struct.comm`
    pub task_comm: u32,
    /// `task_struct.mm`
    pub task_mm: u32,
    /// `task_struct.files`
    pub task_files: u32,
    /// `task_struct.nsproxy`
    pub task_nsproxy: u32,
    /// `task_struct.cgroups`
    pub task_cgroups: u32,
    /// `task_struct.fs`
    pub task_fs: u32,
    /// `task_struct.start_time`
    pub task_start: u32,
    /// `fs_struct.pwd`
    pub fs_pwd: u32,
    /// `css_set.dfl_cgrp`
    pub css_set_dfl_cgrp: u32,
    /// `cgroup.kn`
    pub cgroup_kn: u32,
    /// `kernfs_node.id`
    pub kernfs_node_id: u32,
    /// `cred.uid.val`
    pub cred_uid: u32,
    /// `mm_struct.exe_file`
    pub mm_exe_file: u32,
    /// `mm_struct.arg_start`
    pub mm_arg_start: u32,
    /// `mm_struct.arg_end`
    pub mm_arg_end: u32,
    /// `vm_area_struct.vm_file`
    pub vma_file: u32,
    /// `nsproxy.mnt_ns`
    pub nsproxy_mnt_ns: u32,
    /// `mnt_namespace.root`
    pub mnt_namespace_root: u32,
    /// `files_struct.fdt`
    pub files_fdt: u32,
    /// `fdtable.max_fds`
    pub fdtable_max_fds: u32,
    /// `fdtable.fd`
    pub fdtable_fd: u32,
    /// `file.f_flags`
    pub file_flags: u32,
    /// `file.f_mode`
    pub file_mode: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `file.f_path.mnt`
    pub file_path_mnt: u32,
    /// `file.f_path.dentry`
    pub file_path_dentry: u32,
    /// `file.private_data`
    pub file_private: u32,
    /// `path.mnt`
    pub path_mnt: u32,
    /// `path.dentry`
    pub path_dentry: u32,
    /// `inode.i_ino`
    pub inode_ino: u32,
    /// `inode.i_sb`
    pub inode_sb: u32,
    /// `super_block.s_dev`
    pub super_block_dev: u32,
    /// Where the members of `dentry` begin that one read of [`ENTRY_WORDS`] words brings
    pub dentry_entry: u32,
    /// `dentry.d_hash.pprev`, null for a name that has been removed
    pub dentry_hash_pprev: u32,
    /// `dentry.d_parent`
    pub dentry_parent: u32,
    /// `dentry.d_name.len`, the upper half of a word
    pub dentry_name_len: u32,
    /// `dentry.d_name.name`
    pub dentry_name: u32,
    /// `dentry.d_inode`
    pub dentry_inode: u32,
    /// `dentry.d_iname` or `dentry.d_shortname`, where short names are
    pub dentry_short: u32,
    /// `mount.mnt`
    pub mount_mnt: u32,
    /// `mount.mnt_parent`
    pub mount_parent: u32,
    /// `mount.mnt_mountpoint`
    pub mount_mountpoint: u32,
    /// `vfsmount.mnt_root`
    pub vfsmount_root: u32,
    /// `vfsmount.mnt_sb`
    pub vfsmount_sb: u32,
    /// `linux_binprm.file`
    pub binprm_file: u32,
    /// `socket.sk`
    pub socket_sk: u32,
    /// `sock.__sk_common.skc_family`
    pub sock_family: u32,
    /// `unix_sock.peer`
    pub unix_peer: u32,
    /// `unix_sock.path`
    pub unix_path: u32,
    /// `unix_sock.addr`
    pub unix_addr: u32,
    /// `unix_address.len`
    pub unix_address_len: u32,
    /// `unix_address.name`
    pub unix_address_name: u32,
    /// 1 when programs that trace have the helper `bpf_get_current_task_btf`, else 0
    pub task_helper: u32,
    /// 1 when the kernel has the helper `bpf_task_pt_regs`, else 0
    pub regs_helper: u32,
    /// `task_struct.stack`, used without the helper
    pub task_stack: u32,
    /// Where `pt_regs` lies in the kernel stack, used without the helper
    pub regs_in_stack: u32,
    /// Number of the system call in `pt_regs`
    pub regs_syscall: u32,
    /// First argument of a system call in `pt_regs`
    pub regs_arg0: u32,
    /// Second argument
    pub regs_arg1: u32,
    /// Third argument
    pub regs_arg2: u32,
    /// Fourth argument
    pub regs_arg3: u32,
    /// Number of `open`, `u32::MAX` where there is none
    pub sys_open: u32,
    /// Number of `openat2`
    pub sys_openat2: u32,
    /// Number of `creat`, `u32::MAX` where there is none
    pub sys_creat: u32,
    /// Number of `openat`
    pub sys_openat: u32,
}

impl Layout {
    /// No offset known: what the object file holds before it is loaded.
    pub const ZERO: Self = Self {
        task_tgid: 0,
        task_pid: 0,
        task_cred: 0,
        task_comm: 0,
        task_mm: 0,
        task_files: 0,
        task_nsproxy: 0,
        task_cgroups: 0,
        task_fs: 0,
        task_start: 0,
        fs_pwd: 0,
        css_set_dfl_cgrp: 0,
        cgroup_kn: 0,
        kernfs_node_id: 0,
        cred_uid: 0,
        mm_exe_file: 0,
        mm_arg_start: 0,
        mm_arg_end: 0,
        vma_file: 0,
        nsproxy_mnt_ns: 0,
        mnt_namespace_root: 0,
        files_fdt: 0,
        fdtable_max_fds: 0,
        fdtable_fd: 0,
        file_flags: 0,
        file_mode: 0,
        file_inode: 0,
        file_path_mnt: 0,
        file_path_dentry: 0,
        file_private: 0,
        path_mnt: 0,
        path_dentry: 0,
        inode_ino: 0,
        inode_sb: 0,
        super_block_dev: 0,
        dentry_entry: 0,
        dentry_hash_pprev: 0,
        dentry_parent: 0,
        dentry_name_len: 0,
        dentry_name: 0,
        dentry_inode: 0,
        dentry_short: 0,
        mount_mnt: 0,
        mount_parent: 0,
        mount_mountpoint: 0,
        vfsmount_root: 0,
        vfsmount_sb: 0,
        binprm_file: 0,
        socket_sk: 0,
        sock_family: 0,
        unix_peer: 0,
        unix_path: 0,
        unix_addr: 0,
        unix_address_len: 0,
        unix_address_name: 0,
        task_helper: 0,
        regs_helper: 0,
        task_stack: 0,
        regs_in_stack: 0,
        regs_syscall: 0,
        regs_arg0: 0,
        regs_arg1: 0,
        regs_arg2: 0,
        regs_arg3: 0,
        sys_open: 0,
        sys_openat2: 0,
        sys_creat: 0,
        sys_openat: 0,
    };

    /// The table as the kernel programs hold it.
    #[must_use]
    pub fn to_words(self) -> [u32; Self::WORDS] {
        [
            self.task_tgid,
            self.task_pid,
            self.task_cred,
            self.task_comm,
            self.task_mm,
            self.task_files,
            self.task_nsproxy,
            self.task_cgroups,
            self.task_fs,
            self.task_start,
            self.fs_pwd,
            self.css_set_dfl_cgrp,
            self.cgroup_kn,
            self.kernfs_node_id,
            self.cred_uid,
            self.mm_exe_file,
            self.mm_arg_start,
            self.mm_arg_end,
            self.vma_file,
            self.nsproxy_mnt_ns,
            self.mnt_namespace_root,
            self.files_fdt,
            self.fdtable_max_fds,
            self.fdtable_fd,
            self.file_flags,
            self.file_mode,
            self.file_inode,
            self.file_path_mnt,
            self.file_path_dentry,
            self.file_private,
            self.path_mnt,
            self.path_dentry,
            self.inode_ino,
            self.inode_sb,
            self.super_block_dev,
            self.dentry_entry,
            self.dentry_hash_pprev,
            self.dentry_parent,
            self.dentry_name_len,
            self.dentry_name,
            self.dentry_inode,
            self.dentry_short,
            self.mount_mnt,
            self.mount_parent,
            self.mount_mountpoint,
            self.vfsmount_root,
            self.vfsmount_sb,
            self.binprm_file,
            self.socket_sk,
            self.sock_family,
            self.unix_peer,
            self.unix_path,
            self.unix_addr,
            self.unix_address_len,
            self.unix_address_name,
            self.task_helper,
            self.regs_helper,
            self.task_stack,
            self.regs_in_stack,
            self.regs_syscall,
            self.regs_arg0,
            self.regs_arg1,
            self.regs_arg2,
            self.regs_arg3,
            self.sys_open,
            self.sys_openat2,
            self.sys_creat,
            self.sys_openat,
        ]
    }

    /// How many numbers the table holds.
    pub const WORDS: usize = size_of::<Self>() / size_of::<u32>();
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn layout_of_layout() {
        assert_eq!(size_of::<Layout>(), 68 * 4);
        assert_eq!(offset_of!(Layout, task_tgid), 0);
        assert_eq!(offset_of!(Layout, sys_openat), 67 * 4);
    }
}
