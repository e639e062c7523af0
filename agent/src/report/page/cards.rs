//! Calls that matter, one by one: what was allowed beside what happened.

use super::clock::when;
use super::commands::Commands;
use super::sections::Last;
use crate::report::entry::{Deed, Effects, Entry, Leave};
use crate::report::finding::Finding;
use crate::report::foreign::Foreign;
use crate::report::outcome::Outcome;
use crate::report::point::{Number, many};
use crate::report::reading::Report;
use crate::report::row::Spot;

/// Cards, at most.
const CARDS: usize = 25;

/// A kind of access and what it is allowed to.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) kind: &'static str,
    pub(super) targets: Vec<Foreign>,
    pub(super) more: usize,
}

/// A call that matters.
#[derive(Debug)]
pub(super) struct Card<'a> {
    pub(super) entry: &'a Entry,
    pub(super) outcome: Outcome,
    pub(super) effects: Option<&'a Effects>,
    /// What it is, where it is no call.
    pub(super) event: Option<&'static str>,
    pub(super) when: String,
    /// Why it failed, where the effects do not say it.
    pub(super) error: Option<&'a Foreign>,
    pub(super) count: u64,
    pub(super) times: String,
    pub(super) answer: &'static str,
    pub(super) first: Last,
    pub(super) last: Last,
    pub(super) grants: Vec<Grant>,
    pub(super) nothing: &'static str,
    pub(super) command: Foreign,
}

/// All cards, and how much more there is.
#[derive(Debug)]
pub(super) struct Cards<'a> {
    pub(super) all: Vec<Card<'a>>,
    pub(super) more: usize,
    pub(super) beyond: Number,
    pub(super) any_beyond: bool,
    pub(super) command: Foreign,
}

impl<'a> Cards<'a> {
    pub(super) fn new(report: &'a Report, commands: &Commands) -> Self {
        let findings = &report.facts.findings;
        let (gravest, more) = findings.gravest(CARDS);
        Self {
            all: gravest.into_iter().map(|finding| card(report, commands, finding)).collect(),
            more,
            beyond: Number(findings.beyond()),
            any_beyond: findings.beyond() > 0,
            command: commands.range(" --verdict exceeded").as_str().into(),
        }
    }
}

fn card<'a>(report: &'a Report, commands: &Commands, finding: &'a Finding) -> Card<'a> {
    let entry = &finding.first;
    let spot = Spot::of(entry);
    let event = match entry.event.as_str() {
        "call" => None,
        "task" => Some("at the end of a task"),
        "startup" => Some("at the start of the server"),
        "unsolicited" => Some("between calls"),
        "gap" => Some("while no warrantd ran"),
        _ => Some("beside calls"),
    };
    let answer = match (event, finding.released) {
        (None, 0) if entry.verdict() == "WITHIN" => "no answer was released",
        (None, 0) => "answer withheld",
        (None, n) if n == finding.count => "answer released",
        (None, _) => "some answers released",
        _ => "",
    };
    Card {
        entry,
        outcome: Outcome::of_effects(entry),
        effects: entry.effects.as_ref(),
        event,
        when: when(&entry.timestamp),
        error: entry.error.as_ref().filter(|_| entry.verdict() != "EXCEEDED" || event.is_some()),
        count: finding.count,
        times: many(finding.count, "time"),
        answer,
        first: Last::new(report, spot, &entry.timestamp),
        last: Last::new(report, finding.last, &finding.last_at),
        grants: entry.warrant.as_ref().map(grants).unwrap_or_default(),
        nothing: match (&entry.warrant, event) {
            (Some(_), _) => "Nothing beyond what the server may do at any time (ambient).",
            (None, Some(_)) => {
                "No call was in flight: only what the server may do at any time (ambient)."
            }
            (None, None) => "The record has no warrant.",
        },
        command: commands.record(spot).as_str().into(),
    }
}

/// What a warrant allows, kind by kind.
pub(super) fn grants(warrant: &Leave) -> Vec<Grant> {
    let text = |targets: &crate::report::entry::First<Foreign>, kind| Grant {
        kind,
        targets: targets.listed.clone(),
        more: targets.more,
    };
    let programs = Grant {
        kind: "run",
        targets: warrant.exec.iter().map(|json| json.0.clone()).collect(),
        more: warrant.exec.more,
    };
    let mut grants = vec![
        text(&warrant.read, "read"),
        text(&warrant.write, "write"),
        text(&warrant.delete, "delete"),
        programs,
        text(&warrant.connect, "connect to"),
    ];
    grants.retain(|grant| !grant.targets.is_empty());
    grants
}

impl Deed {
    /// To what it was done, as people write it.
    pub(in crate::report) fn object(&self) -> Foreign {
        match (&self.path, &self.peer, &self.protocol) {
            (Some(path), _, _) => path.clone(),
            (None, Some(peer), Some(protocol)) => {
                format!("{} {}", protocol.as_str(), peer.as_str()).as_str().into()
            }
            (None, Some(peer), None) => peer.clone(),
            (None, None, Some(protocol)) => protocol.clone(),
            (None, None, None) => Foreign::default(),
        }
    }

    /// Arguments of a program, as one text.
    pub(in crate::report) fn command_line(&self) -> Foreign {
        let words: Vec<_> = self.argv.iter().map(Foreign::as_str).collect();
        let cut = if self.argv_cut || self.argv.more > 0 { " …" } else { "" };
        format!("{}{cut}", words.join(" ")).as_str().into()
    }
}
