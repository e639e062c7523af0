//! The table of records: a line for each to find it by, and all that is known of it below.

use super::cards::{Grant, grants};
use super::clock::when;
use super::commands::Commands;
use crate::report::entry::{Effects, Entry};
use crate::report::foreign::Foreign;
use crate::report::outcome::{Outcome, Weight};
use crate::report::point::many;
use crate::report::reading::Report;
use crate::report::row::{Row, Spot};

/// A record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) id: String,
    pub(super) entry: &'a Entry,
    pub(super) effects: Option<&'a Effects>,
    pub(super) when: String,
    /// How it came out, where that can be said.
    pub(super) outcome: Option<Outcome>,
    pub(super) class: &'static str,
    pub(super) weight: &'static str,
    pub(super) relation: &'static str,
    pub(super) sound: bool,
    /// What is read of it without opening it, and whether that is code.
    pub(super) gist: Vec<(bool, Foreign)>,
    pub(super) grants: Vec<Grant>,
    /// Names and values of what else is known.
    pub(super) fields: Vec<(&'static str, Foreign)>,
    pub(super) command: Foreign,
}

/// The table.
#[derive(Debug)]
pub(super) struct Records<'a> {
    pub(super) rows: Vec<Record<'a>>,
    pub(super) events: Vec<String>,
    pub(super) outcomes: Vec<&'static str>,
}

impl<'a> Records<'a> {
    pub(super) fn new(report: &'a Report, commands: &Commands) -> Self {
        let several = report.logs.len() > 1;
        let name = |row: &Row| {
            let log = report.logs.get(row.entry.log).filter(|_| several);
            log.map(|log| ("log", Foreign::from(log.name.as_str())))
        };
        let rows = report.facts.rows.by_time().into_iter();
        let rows: Vec<_> = rows.map(|row| record(row, name(row), commands)).collect();
        let mut events: Vec<_> = rows.iter().map(|row| row.entry.event.plain()).collect();
        events.sort();
        events.dedup();
        let there = |outcome: &Outcome| rows.iter().any(|row| row.outcome == Some(*outcome));
        let outcomes = Outcome::ALL.into_iter().filter(there).map(Outcome::name).collect();
        Self { rows, events, outcomes }
    }
}

fn record<'a>(
    row: &'a Row,
    log: Option<(&'static str, Foreign)>,
    commands: &Commands,
) -> Record<'a> {
    let entry = &row.entry;
    let outcome = match (entry.is("call"), &entry.effects) {
        (true, _) => Some(Outcome::of(entry)),
        (false, Some(_)) => Some(Outcome::of_effects(entry)),
        (false, None) if entry.is_denied() && !entry.is_observed() => Some(Outcome::Denied),
        (false, None) => None,
    };
    let spot = Spot::of(entry);
    Record {
        id: spot.id(),
        entry,
        effects: entry.effects.as_ref(),
        when: when(&entry.timestamp),
        outcome,
        class: outcome.map_or("", Outcome::name),
        weight: match row.weight {
            Weight::Grave => "grave",
            Weight::Notable => "notable",
            Weight::Ordinary => "ordinary",
        },
        relation: row.relation.name(),
        sound: row.sound,
        gist: gist(entry),
        grants: entry.warrant.as_ref().map(grants).unwrap_or_default(),
        fields: log.into_iter().chain(fields(entry)).collect(),
        command: commands.record(spot).as_str().into(),
    }
}

/// What went wrong and what was asked, or what it is about.
fn gist(entry: &Entry) -> Vec<(bool, Foreign)> {
    let arguments = entry.arguments.as_ref().map(|arguments| (true, arguments.0.clone()));
    let error = entry.error.iter().map(|error| (false, error.clone()));
    let mut texts: Vec<_> = error.chain(arguments).collect();
    let mut add = |text: String| texts.push((false, text.as_str().into()));
    if let Some(configuration) = &entry.configuration {
        let files = configuration.files.listed.len() + configuration.files.more;
        let changed = configuration.changed.listed.len() + configuration.changed.more;
        add(format!("{}, {changed} changed", many(files as u64, "file")));
    }
    if let Some(checkpoint) = &entry.checkpoint {
        add(format!("signed: {}", checkpoint.reason.as_str()));
    }
    if texts.is_empty() {
        texts.extend(entry.server_root.clone().map(|root| (true, root)));
    }
    texts
}

/// What is known of a record beside its effects, in the order in which it is asked for.
fn fields(entry: &Entry) -> Vec<(&'static str, Foreign)> {
    let text = |text: String| Foreign::from(text.as_str());
    let number = |number: Option<u64>| number.map(|number| text(number.to_string()));
    let list = |list: &crate::report::entry::First<Foreign>| {
        let items: Vec<_> = list.iter().map(Foreign::as_str).collect();
        (!items.is_empty()).then(|| text(items.join(", ")))
    };
    let result = entry.result_metadata.as_ref().map(|result| {
        let rows = result.rows.map_or_else(String::new, |rows| format!(", {rows} rows"));
        let error = if result.is_error { ", an error by the tool's own word" } else { "" };
        text(format!("{} bytes{rows}{error}", result.bytes))
    });
    let principal = match (&entry.effective_principal, entry.effective_uid) {
        (Some(name), Some(uid)) => Some(text(format!("{} (uid {uid})", name.as_str()))),
        (name, uid) => name.clone().or_else(|| number(uid)),
    };
    let definition = entry.definition.as_ref();
    let configuration = entry.configuration.as_ref();
    let files = configuration.map(|configuration| {
        let file = |file: &crate::report::entry::ConfigFile| {
            format!("{} {}", file.path.as_str(), file.hash.as_str())
        };
        configuration.files.iter().map(file).collect::<Vec<_>>().join("\n")
    });
    let alert = entry.alert.as_ref();
    let all = [
        ("arguments", entry.arguments.as_ref().map(|arguments| arguments.0.clone())),
        ("error", entry.error.clone()),
        ("decision", entry.policy_decision.clone()),
        ("rule", entry.policy_rule_matched.clone()),
        ("mode", entry.mode.clone()),
        ("configuration", number(entry.policy_generation)),
        ("status", entry.status.clone()),
        ("took", entry.duration_ms.map(|millis| text(format!("{millis} ms")))),
        ("result", result),
        ("method", entry.method.clone()),
        ("correlation", entry.correlation_id.clone()),
        ("continues", entry.continues.clone()),
        ("during", entry.during.as_ref().and_then(list)),
        ("session", entry.session_id.clone()),
        ("authenticated by", entry.auth_method.clone()),
        ("from", entry.source_ip.clone()),
        ("for", entry.end_user_id.clone()),
        ("trace", entry.traceparent.clone()),
        ("model output", entry.model_output_ref.clone()),
        ("context", entry.context_sources.as_ref().map(|sources| sources.0.clone())),
        ("server runs as", principal),
        ("server works in", entry.server_root.clone()),
        ("operator", entry.operator_uid.map(|uid| text(format!("uid {uid}")))),
        ("accepted definition", definition.and_then(|d| d.old_hash.clone())),
        ("listed definition", definition.and_then(|d| d.new_hash.clone())),
        ("differs in", definition.and_then(|d| list(&d.changed))),
        ("description", definition.and_then(|d| d.description.clone())),
        ("reads like", definition.and_then(|d| d.similar_to.clone())),
        ("changed files", configuration.and_then(|c| list(&c.changed))),
        ("new servers", configuration.and_then(|c| list(&c.added))),
        ("removed servers", configuration.and_then(|c| list(&c.removed))),
        ("files", files.map(text)),
        ("alert rule", alert.map(|alert| alert.rule.clone())),
        ("about", alert.map(|alert| alert.about.clone())),
        ("follows record", number(alert.and_then(|alert| alert.follows))),
        ("signed with", entry.checkpoint.as_ref().map(|checkpoint| checkpoint.key.clone())),
        ("hash", Some(entry.hash.clone())),
        ("hash before", Some(entry.prev_hash.clone())),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
