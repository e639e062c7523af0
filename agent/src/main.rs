//! The `warrantd` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    warrantd::cli::main()
}
