//! Which programs the kernel runs for a cgroup.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// `BPF_PROG_QUERY` (include/uapi/linux/bpf.h).
const QUERY: libc::c_long = 16;
/// `BPF_F_QUERY_EFFECTIVE`: what runs, wherever it is attached.
const EFFECTIVE: u32 = 1;
/// `BPF_CGROUP_MAX_PROGS` of one attachment; cgroups above may add some.
const MOST: usize = 256;

/// The attributes of the call.
#[repr(C)]
struct Request {
    target: u32,
    attach_type: u32,
    flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    reserved: u32,
    /// Room for what later kernels answer beside this: they write to fields at their places, whatever the size
    /// of the request (the revision, from 6.17 on).
    more: [u64; 12],
}

/// The ids of the programs that run for a cgroup at this hook (`enum bpf_attach_type`).
pub(super) fn effective(cgroup: &File, attach_type: u32) -> io::Result<Vec<u32>> {
    let mut ids = [0u32; MOST];
    let mut request = Request {
        target: u32::try_from(cgroup.as_raw_fd()).unwrap_or(u32::MAX),
        attach_type,
        flags: EFFECTIVE,
        attach_flags: 0,
        ids: ids.as_mut_ptr() as u64,
        count: u32::try_from(MOST).unwrap_or(0),
        reserved: 0,
        more: [0; 12],
    };
    // SAFETY: the request names a buffer of as many ids as it says; both outlive the call, which writes to them
    // and nowhere else: no kernel knows so many fields that they reach beyond the request.
    let status =
        unsafe { libc::syscall(libc::SYS_bpf, QUERY, &raw mut request, size_of_val(&request)) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    let count = usize::try_from(request.count).unwrap_or(0).min(MOST);
    Ok(ids.into_iter().take(count).collect())
}
