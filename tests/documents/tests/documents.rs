//! The tests of all documents.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    Ok(warrantd_tests::harness::run(warrantd_documents::tests()?))
}
