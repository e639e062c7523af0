//! Accepted definitions and differences as text. What a server wrote is shown so that nothing in it hides or
//! steers the terminal.

use serde_json::{Value, json};

use super::diff::diff;
use super::difference::Difference;
use super::place::Place;
use crate::config::{PinEntry, PinFile};
use crate::policy::pin::{Definition, shortened, visible, visible_json};

/// Digits of a hash that people compare.
const DIGITS: usize = 12;

/// How things stand, and what can be done.
pub(super) fn summary(place: &Place, file: &PinFile, differences: &[Difference]) -> Vec<String> {
    let path = place.store.file().display().to_string();
    let tools = count(file.tools.len(), "tool");
    let mut lines = vec![if place.title == path {
        format!("{path}: {tools} accepted")
    } else {
        format!("{}: {tools} accepted in {path}", place.title)
    }];
    if differences.is_empty() {
        lines.push("Nothing was seen that differs.".to_owned());
        return lines;
    }
    let width = differences.iter().map(|d| d.name().chars().count()).max().unwrap_or_default();
    for difference in differences {
        let what = if difference.old.is_some() {
            let parts = difference.parts();
            parts.iter().map(|part| shortened(part, 40)).collect::<Vec<_>>().join(", ")
        } else {
            difference.new.summary()
        };
        lines.push(format!("  {:7}  {:width$}  {what}", difference.kind(), difference.name()));
    }
    let (command, it) = (&place.command, if differences.len() == 1 { "it" } else { "them" });
    lines.push(String::new());
    lines.push(format!("Look at {it}:  {command} --diff"));
    lines.push(format!("Accept {it}:   {command} --accept"));
    lines.push(format!("Forget {it}:   {command} --dismiss"));
    lines
}

/// A line for each accepted definition.
pub(super) fn list(file: &PinFile) -> Vec<String> {
    let width = file.tools.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    let line = |(name, entry): (&String, &PinEntry)| {
        let (hash, at, by) = (digits(&entry.hash), visible(&entry.at), visible(&entry.by));
        format!("{name:width$}  {hash}  {at}  {by}  {}", visible(&entry.description))
    };
    file.tools.iter().map(line).collect()
}

/// What differs, line by line.
pub(super) fn differences(differences: &[Difference]) -> Vec<String> {
    if differences.is_empty() {
        return vec!["Nothing was seen that differs.".to_owned()];
    }
    let mut lines = Vec::new();
    for difference in differences {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(one(difference));
    }
    lines
}

/// The same after it was accepted or dismissed.
pub(super) fn settled(all: &[Difference], done: &str) -> Vec<String> {
    let mut lines = differences(all);
    if !all.is_empty() {
        lines.push(String::new());
    }
    let line = |difference: &Difference| {
        format!("{done}: {} {}", difference.name(), digits(difference.new.hash()))
    };
    lines.extend(all.iter().map(line));
    lines
}

/// Everything as one JSON object.
pub(super) fn json(
    place: &Place,
    file: &PinFile,
    differences: &[Difference],
    settled: Option<&str>,
) -> String {
    let accepted = file.tools.iter().map(|(name, entry)| {
        let (hash, at, by) = (&entry.hash, &entry.at, &entry.by);
        json!({"tool": name, "hash": hash, "at": at, "by": by, "description": entry.description})
    });
    let differs = differences.iter().map(|difference| {
        json!({
            "tool": difference.name(),
            "kind": difference.kind(),
            "old_hash": difference.old.as_ref().map(Definition::hash),
            "new_hash": difference.new.hash(),
            "at": difference.entry.at,
            "by": difference.entry.by,
            "changed": difference.parts(),
            "old": difference.old.as_ref().map(Definition::value),
            "new": difference.new.value(),
        })
    });
    let answer = json!({
        "of": place.title,
        "file": place.store.file(),
        "accepted": accepted.collect::<Value>(),
        "differs": differs.collect::<Value>(),
        "settled": settled,
    });
    visible_json(&answer.to_string()).into_owned()
}

fn one(difference: &Difference) -> Vec<String> {
    let (at, by) = (visible(&difference.entry.at), visible(&difference.entry.by));
    let new = digits(difference.new.hash());
    let hashes = match &difference.old {
        Some(old) => format!("{} -> {new}", digits(old.hash())),
        None => new,
    };
    let mut lines = vec![format!(
        "{} ({}): {hashes}, seen {at} in a {by}",
        difference.name(),
        difference.kind()
    )];
    for part in difference.parts() {
        lines.push(format!("  {}", shortened(&part, 64)));
        let old = difference.old.as_ref().map(|old| old.part(&part)).unwrap_or_default();
        let changes = diff(&old, &difference.new.part(&part));
        lines.extend(changes.iter().map(|line| format!("    {line}")));
    }
    lines
}

fn digits(hash: &str) -> String {
    hash.strip_prefix("sha256:").unwrap_or(hash).chars().take(DIGITS).collect()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
