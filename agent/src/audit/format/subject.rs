//! What kind of event a record is. Every kind of record is named here, so that none is forgotten.

use super::entry::Entry;
use super::severity::Severity;
use crate::audit::{Event, Status};
use crate::config::Action;

/// What kind of event a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Somebody asked for something over the protocol.
    Api,
    /// Somebody tried to prove who he is.
    Authentication,
    /// A tool is not what was accepted.
    Definition(Severity),
    /// A rule for alerts.
    Alert,
    /// A name was not resolved.
    Name,
    /// Something became of a program: warrantd or a server.
    Lifecycle(Change, Severity),
}

/// What became of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Start,
    Stop,
    Enable,
    Disable,
    /// Something else that is told of it.
    Told,
}

impl Subject {
    pub(super) fn of(event: Option<Event>) -> Self {
        use Severity::{High, Informational, Low, Medium};
        let Some(event) = event else { return Self::Lifecycle(Change::Told, Medium) };
        match event {
            Event::Call | Event::ProtocolError | Event::ServerRequest | Event::Task => Self::Api,
            Event::Authentication => Self::Authentication,
            Event::Startup | Event::Unsolicited | Event::Checkpoint | Event::Retention => {
                Self::Lifecycle(Change::Told, Informational)
            }
            Event::NameRefused => Self::Name,
            Event::ToolChanged => Self::Definition(High),
            Event::ToolNew => Self::Definition(Medium),
            Event::ToolVanished => Self::Definition(Low),
            Event::SessionStart | Event::Start => Self::Lifecycle(Change::Start, Informational),
            Event::SessionEnd | Event::Stop => Self::Lifecycle(Change::Stop, Informational),
            Event::Frozen => Self::Lifecycle(Change::Disable, High),
            Event::Thawed => Self::Lifecycle(Change::Enable, Low),
            Event::Killed => Self::Lifecycle(Change::Stop, Medium),
            Event::Alert => Self::Alert,
            Event::Gap | Event::LogFailure => Self::Lifecycle(Change::Told, High),
            Event::Repair => Self::Lifecycle(Change::Told, Medium),
            Event::Reload => Self::Lifecycle(Change::Told, Low),
        }
    }

    /// How bad the record is, its effects not counted.
    pub(super) fn severity(self, entry: &Entry<'_>) -> Severity {
        match self {
            Self::Api => match (entry.event(), entry.decision(), entry.status()) {
                (_, Some(Action::Deny), _)
                | (Some(Event::ProtocolError), ..)
                | (_, _, Some(Status::Timeout)) => Severity::Low,
                _ => Severity::Informational,
            },
            Self::Authentication => match entry.status() {
                Some(Status::Success) => Severity::Informational,
                _ => Severity::Medium,
            },
            Self::Name => match entry.decision() {
                Some(Action::Deny) => Severity::Medium,
                _ => Severity::Low,
            },
            Self::Alert => Severity::High,
            Self::Definition(severity) | Self::Lifecycle(_, severity) => severity,
        }
    }
}
