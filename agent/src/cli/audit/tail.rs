//! `warrantd audit tail`: records as they are written.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;

use super::super::Failure;
use super::Where;
use super::filter::Filter;
use super::show::print;
use crate::audit::Reader;

/// How often it is looked for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Print the last records, and go on as more are written
///
/// It follows the log from file to file until it is interrupted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd audit tail --decision DENY
  warrantd audit tail -n 0 --json | jq --unbuffered .effects.verdict")]
pub(super) struct Tail {
    #[command(flatten)]
    log: Where,
    #[command(flatten)]
    filter: Filter,
    /// How many of the last records to begin with
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    lines: usize,
    /// Print the records' own lines
    #[arg(long)]
    json: bool,
}

impl Tail {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        self.filter.check()?;
        let mut readers = Vec::new();
        for name in self.log.names()? {
            let mut reader = Reader::open(&self.log.dir, &name, 0).map_err(Failure::other)?;
            let mut last = VecDeque::new();
            while let Some(line) = reader.next().map_err(Failure::other)? {
                let meant = serde_json::from_slice(&line.bytes)
                    .map_or(true, |record| self.filter.takes(&record));
                if meant && self.lines > 0 {
                    if last.len() == self.lines {
                        last.pop_front();
                    }
                    last.push_back(line);
                }
            }
            for line in last {
                print(&line.bytes, &self.filter, self.json)?;
            }
            readers.push(reader);
        }
        loop {
            for reader in &mut readers {
                while let Some(line) = reader.next().map_err(Failure::other)? {
                    print(&line.bytes, &self.filter, self.json)?;
                }
            }
            sleep(PAUSE);
        }
    }
}
