//! Everything a developer of warrantd runs.
#![forbid(unsafe_code)]
fn main() {}
