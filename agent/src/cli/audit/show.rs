//! `warrantd audit show`: records, for people.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::super::{Failure, output};
use super::Where;
use super::described::{Colour, describe};
use super::filter::Filter;
use crate::audit::Reader;
use crate::policy::pin::{shortened, visible_json};

/// Print records so that a person can read what happened
///
/// Of each: what was asked by whom, what policy decided, what the kernel saw, and what of that no warrant
/// covers. Exits 1 when no record fits.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd audit show --since 1h --verdict EXCEEDED
  warrantd audit show --correlation 01993c5e-7a11-7c02-9e1b-2f6a4d1c0b7e
  warrantd audit show seen --json | jq .tool_name")]
pub(super) struct Show {
    #[command(flatten)]
    log: Where,
    #[command(flatten)]
    filter: Filter,
    /// Print the records' own lines
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        self.filter.check()?;
        let mut found = false;
        for name in self.log.names()? {
            let mut reader = Reader::open(&self.log.dir, &name, 0).map_err(Failure::other)?;
            while let Some(line) = reader.next().map_err(Failure::other)? {
                found |= print(&line.bytes, &self.filter, self.json)?;
            }
        }
        Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Prints a record if it is meant. Whether it was.
pub(super) fn print(line: &[u8], filter: &Filter, json: bool) -> Result<bool, Failure> {
    // One that cannot be read is shown, whatever is asked for.
    let record: Value = match serde_json::from_slice(line) {
        Ok(record) => record,
        Err(error) => {
            let text = String::from_utf8_lossy(line);
            let shown = shortened(&text, 200);
            output::line(&format!("no record ({error}): {shown}"))?;
            return Ok(true);
        }
    };
    if !filter.takes(&record) {
        return Ok(false);
    }
    if json {
        let text = String::from_utf8_lossy(line);
        // Elsewhere the bytes count, so that their hash can be checked.
        let shown = if stdout().is_terminal() { visible_json(&text) } else { text };
        output::line(&shown)?;
    } else {
        describe(&record, Colour::of_stdout()).iter().try_for_each(|line| output::line(line))?;
    }
    Ok(true)
}
