//! Unix sockets: who is connected to or written to.

use aya_ebpf::helpers::generated;
use warrantd_common::{EventKind, Outcome, PATH_BYTES, TAIL_BYTES, flags, modes};

use crate::deed::{Deed, Power, decide};
use crate::kernel::{Address, Pointer, layout, opaque};
use crate::path::Place;
use crate::process;
use crate::report::{Scratch, Session};
use crate::verdict;

/// Bytes of `struct sockaddr_un` before the name.
const FAMILY_BYTES: u32 = 2;

/// The far end of a connection or datagram: a `struct unix_sock`. One without any address is the other
/// half of a pair, which nobody can reach by name.
#[inline(always)]
pub fn connected(power: Power, other: Address) -> bool {
    if Session::find(process::cgroup_id()).is_none() {
        return true;
    }
    let Some(address) = other.follow(layout!(unix_addr)) else {
        return true;
    };
    match Place::of_path(other.at(layout!(unix_path))) {
        Some(place) => decide(power, || Some(Deed::on(EventKind::Unix, modes::CONNECT, place))),
        None => decide_abstract(power, address),
    }
}

/// A name that is in no directory: no rule can grant it.
#[inline(always)]
fn decide_abstract(power: Power, address: Address) -> bool {
    let cgroup_id = process::cgroup_id();
    let Some(session) = Session::find(cgroup_id) else {
        return true;
    };
    let generation = verdict::generation(cgroup_id);
    let refused = power == Power::Refuse;
    let outcome = if refused { Outcome::Denied } else { Outcome::Allowed };
    session.file(EventKind::Unix, |scratch| {
        let header = &mut scratch.event.header;
        session.begin(header, EventKind::Unix, outcome, generation);
        process::describe_caller(header);
        header.flags = flags::PATHLESS;
        copy_name(address, scratch);
        true
    });
    !refused
}

/// Copies the name of a `struct unix_address` into the tail.
#[inline(always)]
fn copy_name(address: Address, scratch: &mut Scratch) {
    let length = address.read::<u32>(layout!(unix_address_len)).unwrap_or(0);
    let length = length.wrapping_sub(FAMILY_BYTES);
    // sun_path has 108 bytes.
    if length > 108 {
        return;
    }
    let length = opaque(u64::from(length)) as u32 & 0x7f;
    let source = address.at(layout!(unix_address_name) + FAMILY_BYTES);
    let place = (&raw mut scratch.area).cast::<u8>();
    // SAFETY: the area has more than 127 bytes; the helper checks the source.
    let status =
        unsafe { generated::bpf_probe_read_kernel(place.cast(), length, source.raw() as *const _) };
    if status == 0 {
        scratch.event.tail_len = length as u16;
    }
}

const _: () = assert!(PATH_BYTES + TAIL_BYTES > 127);
