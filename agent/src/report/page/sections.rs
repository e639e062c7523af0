//! Sections of the page: counts, and lists that are as long as a person reads.

use std::fmt::Write;

use super::clock::when;
use super::commands::Commands;
use crate::audit;
use crate::report::denials::{Denial, Few, Refusal, Refused};
use crate::report::entry::Entry;
use crate::report::facts::{Actor, Tool};
use crate::report::foreign::Foreign;
use crate::report::outcome::{Outcome, Outcomes, Weight};
use crate::report::peers::{Address, Peer};
use crate::report::point::{Number, many};
use crate::report::reading::Report;
use crate::report::row::Spot;

/// Lines of a table.
const LINES: usize = 40;

/// The figures that are seen first.
#[derive(Debug)]
pub(super) struct Tiles {
    pub(super) calls: Number,
    pub(super) outcomes: Vec<Tile>,
    pub(super) who: Vec<String>,
    /// Shares of a bar, in percent: class, place, width.
    pub(super) shares: Vec<(&'static str, String, String)>,
    pub(super) log: LogTile,
}

/// How many calls came out like this.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) count: Number,
    pub(super) meaning: &'static str,
    pub(super) none: bool,
}

/// Whether the log can be believed.
#[derive(Debug)]
pub(super) struct LogTile {
    pub(super) word: &'static str,
    pub(super) meaning: String,
    pub(super) class: &'static str,
}

impl Tiles {
    #[allow(clippy::cast_precision_loss)] // Less than a pixel.
    pub(super) fn new(report: &Report) -> Self {
        let facts = &report.facts;
        let calls = &facts.calls;
        let tile = |outcome: Outcome| Tile {
            name: outcome.name(),
            count: Number(calls.of(outcome)),
            meaning: outcome.meaning(),
            none: calls.of(outcome) == 0,
        };
        let order = [
            Outcome::Within,
            Outcome::Denied,
            Outcome::Exceeded,
            Outcome::Incomplete,
            Outcome::Unobserved,
            Outcome::Failed,
        ];
        let total = calls.total().max(1) as f64;
        let mut place = 0.0;
        let mut shares = Vec::new();
        for outcome in order.into_iter().filter(|outcome| calls.of(*outcome) > 0) {
            let width = 100.0 * calls.of(outcome) as f64 / total;
            shares.push((outcome.name(), format!("{place:.3}%"), format!("{width:.3}%")));
            place += width;
        }
        let of = |count: usize, beyond: u64, thing: &str| {
            let at_least = if beyond > 0 { "at least " } else { "" };
            format!("{at_least}{}", many(count as u64, thing))
        };
        let nobody = facts.actors.iter().any(|(actor, _)| actor.as_str().is_empty());
        let actors = facts.actors.len() - usize::from(nobody);
        let who = vec![
            of(actors, facts.actors.beyond(), "actor"),
            of(facts.sessions.len(), facts.sessions.beyond(), "session"),
            of(facts.servers.len(), facts.servers.beyond(), "server"),
        ];
        let outcomes = order.into_iter().map(tile).collect();
        Self { calls: Number(calls.total()), outcomes, who, shares, log: LogTile::new(report) }
    }
}

impl LogTile {
    fn new(report: &Report) -> Self {
        let signed = report.logs.iter().filter(|log| log.signed_to.is_some()).count();
        if !report.is_intact() {
            let meaning = "not as it was written; see below".to_owned();
            return Self { word: "Not intact", meaning, class: "exceeded" };
        }
        if report.key.is_none() {
            let meaning = "the chain holds; signatures were not checked".to_owned();
            return Self { word: "Chained", meaning, class: "denied" };
        }
        let after: u64 = report.logs.iter().map(|log| log.only_chained).sum();
        let meaning = match after {
            0 => "as it was written, signed to its end".to_owned(),
            n => format!("as it was written; the last {} only chained", many(n, "record")),
        };
        let whole = signed == report.logs.len();
        Self { word: if whole { "Intact" } else { "Chained" }, meaning, class: "within" }
    }
}

/// Names in a line.
pub(super) fn listed(few: &Few) -> Vec<Foreign> {
    let mut names: Vec<_> = few.names.iter().cloned().collect();
    if few.more {
        names.push("and others".into());
    }
    names
}

/// A record that a line refers to.
#[derive(Debug)]
pub(super) struct Last {
    pub(super) id: String,
    pub(super) seq: u64,
    pub(super) at: String,
    /// It is listed in this page.
    pub(super) here: bool,
}

impl Last {
    pub(super) fn new(report: &Report, spot: Spot, at: &Foreign) -> Self {
        Self { id: spot.id(), seq: spot.seq, at: when(at), here: report.facts.rows.has(spot) }
    }
}

/// What policy denied.
#[derive(Debug)]
pub(super) struct Denied<'a> {
    pub(super) rules: Vec<(&'a Foreign, &'a Denial, Last)>,
    pub(super) more: usize,
    pub(super) beyond: Number,
    pub(super) any_beyond: bool,
    pub(super) refusals: Vec<(&'a Refused, &'a Refusal, Last)>,
    pub(super) more_refusals: usize,
}

impl<'a> Denied<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let (rules, more, beyond) = report.facts.denials.most(LINES);
        let rule = |(rule, denial): (&'a Foreign, &'a Denial)| {
            (rule, denial, Last::new(report, denial.last, &denial.last_at))
        };
        let (refusals, more_refusals, _) = report.facts.refusals.most(LINES);
        let refusal = |(refused, refusal): (&'a Refused, &'a Refusal)| {
            (refused, refusal, Last::new(report, refusal.last, &refusal.last_at))
        };
        Self {
            rules: rules.into_iter().map(rule).collect(),
            more,
            beyond: Number(beyond),
            any_beyond: beyond > 0,
            refusals: refusals.into_iter().map(refusal).collect(),
            more_refusals,
        }
    }
}

/// Network peers.
#[derive(Debug)]
pub(super) struct Reached<'a> {
    pub(super) peers: Vec<(&'a Address, &'a Peer, Last)>,
    pub(super) more: usize,
    pub(super) beyond: Number,
    pub(super) any_beyond: bool,
    pub(super) names: Vec<(Option<&'a Foreign>, &'a Foreign, Number)>,
    pub(super) more_names: usize,
}

impl<'a> Reached<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let (peers, more, beyond) = report.facts.peers.most(LINES);
        let peer = |(address, peer): (&'a Address, &'a Peer)| {
            (address, peer, Last::new(report, peer.last, &peer.last_at))
        };
        let (names, more_names) = report.facts.peers.names(LINES);
        let names = names
            .into_iter()
            .map(|((server, name), (count, _))| (server.as_ref(), name, Number(*count)));
        Self {
            peers: peers.into_iter().map(peer).collect(),
            more,
            beyond: Number(beyond),
            any_beyond: beyond > 0,
            names: names.collect(),
            more_names,
        }
    }
}

/// A line of the tables of verdicts.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) counts: Vec<(&'static str, Number)>,
    pub(super) total: Number,
}

impl Line {
    fn new(calls: &Outcomes) -> Self {
        let order = [
            Outcome::Within,
            Outcome::Denied,
            Outcome::Exceeded,
            Outcome::Incomplete,
            Outcome::Unobserved,
            Outcome::Failed,
        ];
        let count = |outcome: Outcome| (outcome.name(), Number(calls.of(outcome)));
        Self { counts: order.map(count).to_vec(), total: Number(calls.total()) }
    }
}

/// How calls came out, by tool and by actor; and what happened beside them.
#[derive(Debug)]
pub(super) struct Verdicts<'a> {
    pub(super) tools: Vec<(&'a Tool, Line)>,
    pub(super) more_tools: usize,
    pub(super) beyond_tools: Number,
    pub(super) any_beyond: bool,
    pub(super) actors: Vec<(&'a Foreign, &'a Actor, Line)>,
    pub(super) more_actors: usize,
    pub(super) beside: Vec<(&'static str, Line)>,
}

impl<'a> Verdicts<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let facts = &report.facts;
        let grave = |calls: &Outcomes| {
            (calls.of(Outcome::Exceeded), calls.of(Outcome::Incomplete), calls.total())
        };
        let (tools, more_tools) = facts.tools.top(LINES, grave);
        let (actors, more_actors) = facts.actors.top(LINES, |actor| grave(&actor.calls));
        let beside = facts.beside.iter().map(|(event, outcomes)| {
            let name = match *event {
                "task" => "tasks that calls became, at their end",
                "startup" => "starts of servers",
                "unsolicited" => "between calls",
                _ => "while no warrantd ran",
            };
            (name, Line::new(outcomes))
        });
        Self {
            tools: tools.into_iter().map(|(tool, calls)| (tool, Line::new(calls))).collect(),
            more_tools,
            beyond_tools: Number(facts.tools.beyond()),
            any_beyond: facts.tools.beyond() > 0,
            actors: actors.into_iter().map(|(a, of)| (a, of, Line::new(&of.calls))).collect(),
            more_actors,
            beside: beside.collect(),
        }
    }
}

/// What happened beside calls.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub(super) lines: Vec<(&'a Entry, Last, Vec<Foreign>)>,
    pub(super) left_out: Number,
    pub(super) any_left_out: bool,
}

impl<'a> Service<'a> {
    pub(super) fn new(report: &'a Report) -> Self {
        let (entries, left_out) = report.facts.happenings.by_time();
        let line = |entry: &'a Entry| {
            (entry, Last::new(report, Spot::of(entry), &entry.timestamp), details(entry))
        };
        Self {
            lines: entries.into_iter().map(line).collect(),
            left_out: Number(left_out),
            any_left_out: left_out > 0,
        }
    }
}

/// What a happening is about, in short texts.
fn details(entry: &Entry) -> Vec<Foreign> {
    let mut texts: Vec<Foreign> = Vec::new();
    let mut add = |what: &str, of: &Foreign| {
        texts.push(format!("{what} {}", of.as_str()).as_str().into());
    };
    if let Some(configuration) = &entry.configuration {
        configuration.changed.iter().for_each(|file| add("changed", file));
        configuration.added.iter().for_each(|server| add("new server", server));
        configuration.removed.iter().for_each(|server| add("removed server", server));
    }
    if let Some(definition) = &entry.definition {
        definition.changed.iter().for_each(|key| add("differs in", key));
        definition.similar_to.iter().for_each(|tool| add("reads like", tool));
    }
    let mut own = String::new();
    if let Some(generation) = entry.policy_generation.filter(|_| entry.configuration.is_some()) {
        let _ = write!(own, "configuration {generation}");
    }
    if let Some(uid) = entry.operator_uid {
        let _ = write!(own, "{}by user {uid}", if own.is_empty() { "" } else { ", " });
    }
    if !own.is_empty() {
        texts.insert(0, own.as_str().into());
    }
    if let Some(error) = &entry.error {
        texts.push(error.clone());
    }
    texts
}

/// What verification of a log came to.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    pub(super) report: &'a audit::Report,
    pub(super) name: Foreign,
    pub(super) id: Option<Foreign>,
    pub(super) keys: Vec<(Foreign, Number)>,
    pub(super) records: Number,
    pub(super) findings: Vec<(String, Foreign)>,
    pub(super) more: Number,
    pub(super) any_more: bool,
    pub(super) notes: Vec<Foreign>,
    /// What it says of the records of this report.
    pub(super) covers: String,
    pub(super) verdict: &'static str,
    pub(super) class: &'static str,
}

/// Verification, log by log.
#[derive(Debug)]
pub(super) struct Chains<'a> {
    pub(super) logs: Vec<Chain<'a>>,
    pub(super) more: usize,
    pub(super) key: Option<&'a str>,
    pub(super) lacking: Vec<Foreign>,
    pub(super) command: Foreign,
    pub(super) seen: Vec<String>,
    pub(super) backends: Vec<&'a Foreign>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(report: &'a Report, commands: &Commands) -> Self {
        let facts = &report.facts;
        // Those that are not as they were written come first, and then those that this report is about.
        let mut order: Vec<usize> = (0..report.logs.len()).collect();
        order.sort_by_key(|index| {
            let sound = report.logs.get(*index).is_none_or(|log| log.findings.is_empty());
            (sound, !facts.ranges.contains_key(index))
        });
        let more = order.len().saturating_sub(LINES);
        order.truncate(LINES);
        let logs = order.into_iter().filter_map(|index| {
            Some(chain(report.logs.get(index)?, facts.ranges.get(&index).copied()))
        });
        let seen = &facts.seen;
        Self {
            logs: logs.collect(),
            more,
            key: report.key.as_deref(),
            lacking: report.lacking.iter().map(|id| id.as_str().into()).collect(),
            command: commands.verify().as_str().into(),
            seen: vec![
                many(seen.warranted, "effect") + " that warrants allow",
                many(seen.exceeded, "effect") + " that nothing allows",
                many(seen.ambient, "ambient effect"),
                format!(
                    "{} lost, in {}",
                    many(seen.lost, "kernel event"),
                    many(seen.lossy, "record")
                ),
            ],
            backends: facts.backends.iter().collect(),
        }
    }
}

fn chain(log: &audit::Report, range: Option<(u64, u64)>) -> Chain<'_> {
    let covers = match (range, log.signed_to.filter(|_| log.with_key)) {
        (None, _) => "No record of it is in this report.".to_owned(),
        (Some((first, last)), Some(signed)) if last <= signed => {
            format!("Records #{first} to #{last} of this report are under a signature.")
        }
        (Some((first, last)), Some(signed)) => format!(
            "Of records #{first} to #{last} of this report, those after #{signed} are only chained: no signature \
             covers them yet."
        ),
        (Some((first, last)), None) => {
            format!(
                "Records #{first} to #{last} of this report are chained; no signature was checked."
            )
        }
    };
    let (verdict, class) = match (log.findings.is_empty(), log.with_key) {
        (false, _) => ("Not as it was written", "exceeded"),
        (true, true) => ("As it was written", "within"),
        (true, false) => ("Chain holds", "denied"),
    };
    let place = |finding: &audit::Finding| {
        let line = finding.line.map_or_else(String::new, |line| format!(":{line}"));
        format!("{}{line}", finding.file.display())
    };
    let findings = log.findings.iter().take(LINES).map(|finding| {
        let seq = finding.seq.map_or_else(String::new, |seq| format!("record {seq} "));
        (place(finding), format!("{seq}{}", finding.what).as_str().into())
    });
    let more = log.further_findings + log.findings.len().saturating_sub(LINES) as u64;
    Chain {
        report: log,
        name: log.name.as_str().into(),
        id: log.log.as_deref().map(Foreign::from),
        keys: log.keys.iter().map(|(key, n)| (key.as_str().into(), Number(*n))).collect(),
        records: Number(log.records),
        findings: findings.collect(),
        more: Number(more),
        any_more: more > 0,
        notes: log.notes.iter().map(|note| note.as_str().into()).collect(),
        covers,
        verdict,
        class,
    }
}

/// What a report does not show, exactly.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) records: Number,
    pub(super) listed: Number,
    pub(super) all: bool,
    pub(super) out: Vec<String>,
    pub(super) command: Foreign,
    pub(super) unreadable: Number,
    pub(super) any_unreadable: bool,
    pub(super) unreadable_at: Vec<Foreign>,
    pub(super) events: Vec<(Foreign, Number)>,
    pub(super) generations: Vec<u64>,
}

impl Left {
    pub(super) fn new(report: &Report, commands: &Commands) -> Self {
        let facts = &report.facts;
        let out = [
            (Weight::Grave, "to look at"),
            (Weight::Notable, "good to know"),
            (Weight::Ordinary, "without anything odd"),
        ];
        let out = out.into_iter().filter_map(|(weight, what)| {
            let count = facts.rows.left_out(weight);
            (count > 0).then(|| format!("{} {what}", many(count, "record")))
        });
        let out: Vec<_> = out.collect();
        let (events, _) = facts.events.top(LINES, |count| *count);
        Self {
            records: Number(facts.records),
            listed: Number(facts.rows.len() as u64),
            all: out.is_empty(),
            out,
            command: commands.range("").as_str().into(),
            unreadable: Number(facts.unreadable),
            any_unreadable: facts.unreadable > 0,
            unreadable_at: facts.unreadable_at.iter().map(|at| at.as_str().into()).collect(),
            events: events.into_iter().map(|(event, n)| (event.clone(), Number(*n))).collect(),
            generations: facts.generations.iter().copied().collect(),
        }
    }
}
