//! Writing answers to standard output.

use std::io::{ErrorKind, Write};

use super::Failure;

/// Writes a line. A reader that has seen enough (`| head`) is no failure.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(Failure::other),
    }
}
