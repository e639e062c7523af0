//! A record of the log as other systems take it. Pure: a line in, texts out.
//!
//! | format | is |
//! |---|---|
//! | native | the line as the log has it |
//! | OCSF 1.8 | Open Cybersecurity Schema Framework: one event for the record, one for each effect beyond ambient, a finding for what exceeded or cannot be told |
//! | ECS 9.4 | the same events with the fields of the Elastic Common Schema |
//! | CEF:0 | the same events as lines of the Common Event Format |
//!
//! Each event has an id that is the same whenever its record is rendered, so that a receiver that gets it
//! twice can tell: 32 digits of the record's hash, which binds all records before it, and the event's place
//! among those of the record.

mod cef;
mod ecs;
mod entry;
mod ocsf;
mod part;
mod severity;
mod subject;

pub use entry::Entry;
pub use severity::Severity;

use crate::config::ShipFormat;
use part::{Part, parts};

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The host's name.
    pub host: String,
    /// warrantd's version.
    pub version: &'static str,
}

impl Origin {
    /// This host and this warrantd.
    pub fn here() -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned());
        Self { host, version: env!("CARGO_PKG_VERSION") }
    }
}

/// One event, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formatted {
    /// The same whenever the record is rendered, and no other event's.
    pub id: String,
    /// The record.
    pub seq: u64,
    /// When the record was written: ISO 8601, UTC.
    pub timestamp: String,
    /// How bad it is.
    pub severity: Severity,
    /// What the record is about: `call`, `start`, …
    pub event: String,
    /// What is sent: one line without its line feed; JSON unless the format is CEF.
    pub text: String,
}

/// The events of one line of the log (without its line feed), in the order in which they are sent. A line
/// that cannot be read is an event, too: nothing is left out.
pub fn render(format: ShipFormat, line: &[u8], origin: &Origin) -> Vec<Formatted> {
    let entry = Entry::read(line);
    let texts: Vec<(Severity, String)> = match format {
        ShipFormat::Native => vec![(entry.severity(), entry.line().into_owned())],
        ShipFormat::Ocsf => each(&entry, |n, part| ocsf::event(&entry, n, part, origin)),
        ShipFormat::Ecs => each(&entry, |n, part| ecs::event(&entry, n, part, origin)),
        ShipFormat::Cef => each(&entry, |n, part| cef::event(&entry, n, part, origin)),
    };
    let formatted = texts.into_iter().enumerate().map(|(n, (severity, text))| Formatted {
        id: entry.event_id(n),
        seq: entry.seq(),
        timestamp: entry.timestamp().to_owned(),
        severity,
        event: entry.name().to_owned(),
        text,
    });
    formatted.collect()
}

fn each(entry: &Entry<'_>, text: impl Fn(usize, Part<'_>) -> String) -> Vec<(Severity, String)> {
    let parts = parts(entry).into_iter().enumerate();
    parts.map(|(n, part)| (part.severity(entry), text(n, part))).collect()
}

#[cfg(test)]
mod tests;
