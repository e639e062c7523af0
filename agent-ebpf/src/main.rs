//! The kernel programs of warrantd: network enforcement for the cgroups of sessions, and reports of the
//! files and programs their processes open.
//!
//! Two rules hold everywhere. A verdict is made before it is reported and never depends on the report.
//! What is not found (a session, a policy, a table entry, a header) is denied.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod address;
mod bind;
mod change;
mod connect;
mod deed;
mod egress;
mod exec;
mod file;
mod grants;
mod hooks;
mod ingress;
mod kernel;
mod leave;
mod maps;
mod measure;
mod name;
mod open;
mod packet;
mod path;
mod process;
mod redirect;
mod registers;
mod report;
mod sendmsg;
mod socket;
mod unix;
mod verdict;
mod walk;

/// Kernel helpers that read kernel memory are reserved to programs under a GPL-compatible licence.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The linker wants one; the code has no path to it, or the verifier would refuse the loop.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
