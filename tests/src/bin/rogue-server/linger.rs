//! A process that outlives the server which started it, if it can.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use warrantd_tests::probe::{Target, Way, attempt};

/// How many times it tries: half a minute, so that a test that fails leaves nothing for ever.
const TRIES: u32 = 300;

/// Tries the peer every tenth of a second and appends a line with the outcome to the report.
pub(crate) fn run(peer: &str, report: &Path) -> anyhow::Result<()> {
    let address = peer.parse().map_err(|_| anyhow!("`{peer}` is not ADDRESS:PORT"))?;
    let mut report = OpenOptions::new().append(true).create(true).open(report)?;
    for _ in 0..TRIES {
        writeln!(report, "{}", attempt(Target { way: Way::Tcp, address }))?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
