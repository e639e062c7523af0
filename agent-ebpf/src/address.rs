//! The socket address in the context of the bind, connect and send hooks.

use aya_ebpf::bindings::bpf_sock_addr;

use crate::verdict::Destination;

/// Address family of IPv4 (include/linux/socket.h).
pub const AF_INET: u16 = 2;
/// Address family of IPv6.
pub const AF_INET6: u16 = 10;

/// Reads a field of the context. Volatile: the verifier wants each field read as declared.
macro_rules! field {
    ($context:expr, $field:ident) => {
        // SAFETY: the context is valid for the run of the program.
        unsafe { (&raw const (*$context).$field).read_volatile() }
    };
}

/// The IPv4 address in a context.
#[inline(always)]
pub fn v4(context: *mut bpf_sock_addr) -> Destination {
    Destination::v4(field!(context, user_ip4), port(context), field!(context, protocol) as u16)
}

/// The IPv6 address in a context.
#[inline(always)]
pub fn v6(context: *mut bpf_sock_addr) -> Destination {
    let words = words(context);
    Destination { words, port: port(context), protocol: field!(context, protocol) as u16 }
}

/// The four words of the IPv6 address in a context.
#[inline(always)]
pub fn words(context: *mut bpf_sock_addr) -> [u32; 4] {
    // SAFETY: the context is valid for the run of the program.
    let words = unsafe { (&raw const (*context).user_ip6).cast::<u32>() };
    let word = |index: usize| {
        // SAFETY: user_ip6 has four words.
        unsafe { words.add(index).read_volatile() }
    };
    [word(0), word(1), word(2), word(3)]
}

/// The port in a context, in network byte order.
#[inline(always)]
pub fn raw_port(context: *mut bpf_sock_addr) -> u32 {
    field!(context, user_port)
}

/// The address family of the socket.
#[inline(always)]
pub fn family(context: *mut bpf_sock_addr) -> u16 {
    field!(context, family) as u16
}

#[inline(always)]
fn port(context: *mut bpf_sock_addr) -> u16 {
    u16::from_be(raw_port(context) as u16)
}

/// Replaces the IPv4 address and port; both in network byte order.
#[inline(always)]
pub fn set_v4(context: *mut bpf_sock_addr, address: u32, port: u32) {
    // SAFETY: the context is valid for the run of the program, which may write these fields.
    unsafe { (&raw mut (*context).user_ip4).write_volatile(address) };
    // SAFETY: as above.
    unsafe { (&raw mut (*context).user_port).write_volatile(port) };
}

/// Replaces the IPv6 address and port; both in network byte order.
#[inline(always)]
pub fn set_v6(context: *mut bpf_sock_addr, address: [u32; 4], port: u32) {
    // SAFETY: the context is valid for the run of the program, which may write these fields.
    let words = unsafe { (&raw mut (*context).user_ip6).cast::<u32>() };
    for (index, word) in address.into_iter().enumerate() {
        // SAFETY: user_ip6 has four words.
        unsafe { words.add(index).write_volatile(word) };
    }
    // SAFETY: as above.
    unsafe { (&raw mut (*context).user_port).write_volatile(port) };
}
