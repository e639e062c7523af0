//! An MCP server that does nothing, quickly, on whatever its standard input and output are: pipes, or a
//! socket that was inherited.
//!
//! `null-server [--result BYTES] [--open DIR]`: results have a text of so many bytes (14), and with a
//! directory each call opens, reads and closes its files `0` to `9`.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::path::PathBuf;

use warrantd_bench::null::{BYTES, Null};

/// The files that a call opens.
const FILES: u32 = 10;

fn main() -> io::Result<()> {
    let (mut bytes, mut open) = (BYTES, None);
    let mut words = std::env::args().skip(1);
    while let (Some(word), Some(value)) = (words.next(), words.next()) {
        match word.as_str() {
            "--result" => bytes = value.parse().map_err(io::Error::other)?,
            "--open" => open = Some(PathBuf::from(value)),
            _ => return Err(io::Error::other(format!("what is {word}?"))),
        }
    }
    // Not std's standard streams, which have buffers of their own.
    let mut input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let files: Vec<PathBuf> =
        open.iter().flat_map(|dir| (0..FILES).map(|n| dir.join(n.to_string()))).collect();
    let mut null = Null::new(bytes, files);
    let (mut buffer, mut filled) = (vec![0; 64 << 10], 0);
    loop {
        let more = input.read(buffer.get_mut(filled..).unwrap_or_default())?;
        if more == 0 {
            return Ok(());
        }
        filled += more;
        let mut start = 0;
        while let Some(rest) = buffer.get(start..filled)
            && let Some(end) = memchr::memchr(b'\n', rest)
        {
            if let Some(answer) = null.answer(rest.get(..end).unwrap_or_default())? {
                output.write_all(answer)?;
            }
            start += end + 1;
        }
        buffer.copy_within(start..filled, 0);
        filled -= start;
        if filled == buffer.len() {
            buffer.resize(filled * 2, 0);
        }
    }
}
