//! Calls of each session next to each other, where there are few enough to see.

use jiff::Timestamp;

use super::chart::{Axis, Tick, percent};
use super::clock::when;
use crate::report::foreign::Foreign;
use crate::report::outcome::Outcome;
use crate::report::reading::Report;
use crate::report::row::{Row, Spot};

/// Sessions and calls that can be seen next to each other.
const SESSIONS: usize = 24;
const CALLS: usize = 400;

/// A call in its time.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) class: &'static str,
    pub(super) href: String,
    pub(super) title: String,
}

/// A session.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) actor: Option<Foreign>,
    pub(super) server: Option<Foreign>,
    pub(super) bars: Vec<Bar>,
}

/// Sessions next to each other.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    pub(super) ticks: Vec<Tick>,
}

/// A call with its beginning and end in milliseconds since 1970.
type Timed<'a> = (&'a Row, i64, i64);

impl Lanes {
    /// `None` when there is too much to see, or too little to compare.
    pub(super) fn new(report: &Report) -> Option<Self> {
        let facts = &report.facts;
        let rows = facts.rows.by_time();
        let calls: Vec<Timed<'_>> = rows.into_iter().filter_map(timed).collect();
        let all = usize::try_from(facts.calls.total()).ok()? == calls.len();
        if !all || calls.len() < 2 || calls.len() > CALLS {
            return None;
        }
        let from = calls.iter().map(|(_, begin, _)| *begin).min()?;
        let to = calls.iter().map(|(_, _, end)| *end).max()?;
        let margin = (to - from) / 100 + 1; // Neither the first nor the last is at the edge.
        let axis = Axis::new(from - margin, to + margin);
        let mut sessions: Vec<(&Foreign, Vec<Timed<'_>>)> = Vec::new();
        for call in calls {
            let Some(session) = &call.0.entry.session_id else { continue };
            match sessions.iter_mut().find(|(id, _)| *id == session) {
                Some((_, calls)) => calls.push(call),
                None => sessions.push((session, vec![call])),
            }
        }
        if sessions.len() > SESSIONS {
            return None;
        }
        let lanes = sessions.into_iter().map(|(_, calls)| lane(axis, &calls)).collect();
        Some(Self { lanes, ticks: axis.ticks() })
    }
}

fn timed(row: &Row) -> Option<Timed<'_>> {
    let entry = &row.entry;
    let end = entry.at().filter(|_| entry.is("call")).map(Timestamp::as_millisecond)?;
    let took = i64::try_from(entry.duration_ms.unwrap_or(0)).unwrap_or(0);
    Some((row, end.saturating_sub(took), end))
}

fn lane(axis: Axis, calls: &[Timed<'_>]) -> Lane {
    let bar = |(row, begin, end): &Timed<'_>| {
        let (left, right) = (axis.place(*begin), axis.place(*end));
        let entry = &row.entry;
        let outcome = Outcome::of(entry);
        let what = entry.what().map(Foreign::plain).unwrap_or_default();
        let took = entry.duration_ms.unwrap_or(0);
        Bar {
            x: percent(left),
            width: percent((right - left).max(0.05)),
            class: outcome.name(),
            href: format!("#{}", Spot::of(entry).id()),
            title: format!("{} {what}: {}, {took} ms", when(&entry.timestamp), outcome.name()),
        }
    };
    let first = calls.first().map(|(row, _, _)| &row.entry);
    Lane {
        actor: first.and_then(|entry| entry.actor.as_ref()).map(Foreign::name),
        server: first.and_then(|entry| entry.server_id.as_ref()).map(Foreign::name),
        bars: calls.iter().map(bar).collect(),
    }
}
