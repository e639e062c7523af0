//! `warrantd audit export`: records as other systems take them.

use std::process::ExitCode;

use clap::Args;

use super::super::{Failure, output};
use super::Where;
use super::filter::Filter;
use crate::audit::Reader;
use crate::audit::format::{Origin, render};
use crate::config::ShipFormat;

/// Print records in another format, an event a line
///
/// A record with effects becomes several events: one for itself, one for each effect beyond ambient, and a
/// finding where it did more than its warrant allows. They are the same that are shipped.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd audit export --format ocsf --since 24h > events.jsonl
  warrantd audit export --format cef --verdict EXCEEDED")]
pub(super) struct Export {
    #[command(flatten)]
    log: Where,
    #[command(flatten)]
    filter: Filter,
    /// The format
    #[arg(long, value_enum, default_value_t)]
    format: ShipFormat,
}

impl Export {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        self.filter.check()?;
        let origin = Origin::here();
        for name in self.log.names()? {
            let mut reader = Reader::open(&self.log.dir, &name, 0).map_err(Failure::other)?;
            while let Some(line) = reader.next().map_err(Failure::other)? {
                let meant = serde_json::from_slice(&line.bytes)
                    .map_or(true, |record| self.filter.takes(&record));
                if !meant {
                    continue;
                }
                for event in render(self.format, &line.bytes, &origin) {
                    output::line(&event.text)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
