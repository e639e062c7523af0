//! The `warrantd` binary.
#![forbid(unsafe_code)]
fn main() {}
