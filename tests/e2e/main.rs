//! End-to-end tests of warrantd: real servers, real clients, a rogue server, the real kernel.
#![forbid(unsafe_code)]
fn main() {}
