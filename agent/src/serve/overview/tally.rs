//! How calls ended, by server, since warrantd started: what the audit log records is counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::told::{Counts, Durations};
use crate::audit::{Event, FileHashes, Observer, Record, Status};
use crate::config::Action;
use crate::warrant::Verdict;

/// Below this, every millisecond is a step of its own.
const EXACT: u64 = 8;

/// Counts by server. It looks on as the log is written.
pub struct Tally {
    /// Whether there is a server of this id: what somebody asks for that is none takes no room.
    is_server: Box<dyn Fn(&str) -> bool + Send + Sync>,
    servers: Mutex<BTreeMap<String, Sums>>,
    in_force: Mutex<InForce>,
}

/// Which configuration is in force.
#[derive(Debug, Clone, Default)]
pub(super) struct InForce {
    pub(super) generation: u32,
    pub(super) since: String,
    pub(super) files: FileHashes,
}

#[derive(Debug, Default)]
struct Sums {
    counts: Counts,
    durations: BTreeMap<u64, u64>,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").finish_non_exhaustive()
    }
}

impl Tally {
    /// Counts from zero, for servers of which `is_server` knows.
    pub fn new(is_server: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        let (servers, in_force) = (Mutex::default(), Mutex::default());
        Self { is_server: Box::new(is_server), servers, in_force }
    }

    /// The counts of a server.
    pub fn of(&self, server: &str) -> Counts {
        let servers = self.lock();
        let Some(sums) = servers.get(server) else { return Counts::default() };
        let durations = sums.durations.iter().map(|(step, count)| (*step, *count)).collect();
        Counts { durations: Durations(durations), ..sums.counts.clone() }
    }

    /// The configuration that is in force.
    pub(super) fn in_force(&self) -> InForce {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the record of a start or a reload says is in force from now on.
    fn note_configuration(&self, record: &Record) {
        if record.status == Some(Status::Failure) {
            return; // What was before stays.
        }
        if let Some(configuration) = &record.configuration {
            *self.in_force.lock().unwrap_or_else(PoisonError::into_inner) = InForce {
                generation: record.policy_generation.unwrap_or_default(),
                since: record.timestamp.clone(),
                files: configuration.files.clone(),
            };
        }
    }

    /// Forgets servers that there are no more.
    pub fn retain(&self, servers: &[&str]) {
        self.lock().retain(|id, _| servers.contains(&id.as_str()));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Sums>> {
        // A panic between two counts leaves counts that are still true.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Tally {
    fn written(&self, record: &Record) {
        if matches!(record.event, Event::Start | Event::Reload) {
            return self.note_configuration(record);
        }
        let Some(id) = record.server_id.as_deref() else { return };
        let mut servers = self.lock();
        if let Some(sums) = servers.get_mut(id) {
            sums.add(record);
        } else if (self.is_server)(id) {
            servers.entry(id.to_owned()).or_default().add(record);
        }
    }

    fn failed(&self) {}
}

impl Sums {
    fn add(&mut self, record: &Record) {
        let counts = &mut self.counts;
        let effects = record.effects.as_ref();
        counts.lost_events += effects.map_or(0, |effects| effects.counts.lost);
        match record.event {
            Event::Call => {}
            Event::Unsolicited => return counts.unsolicited += 1,
            Event::Authentication => return counts.strangers += 1,
            _ => return,
        }
        counts.calls += 1;
        counts.denied += u64::from(record.policy_decision == Some(Action::Deny));
        match record.status {
            Some(Status::Success) => counts.succeeded += 1,
            Some(Status::Failure) => counts.failed += 1,
            Some(Status::Timeout) => counts.timed_out += 1,
            None => {}
        }
        match effects.map(|effects| effects.verdict) {
            Some(Verdict::Within) => counts.within += 1,
            Some(Verdict::Exceeded) => counts.exceeded += 1,
            Some(Verdict::Incomplete) => counts.incomplete += 1,
            Some(Verdict::Unobserved) => counts.unobserved += 1,
            None => {}
        }
        if let Some(took) = record.duration_ms {
            *self.durations.entry(step(took)).or_default() += 1;
        }
    }
}

/// The end of the step in which a duration lies: there are some 500 of them in all.
fn step(took: u64) -> u64 {
    if took <= EXACT {
        return took;
    }
    // The eighth part of the power of two below.
    let width = 1 << (took.ilog2() - EXACT.ilog2());
    took.div_ceil(width).saturating_mul(width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Attribution, ConfigurationRecord, EffectsRecord};
    use crate::warrant::Observation;

    fn call(server: &str, status: Status) -> Record {
        Record {
            server_id: Some(server.to_owned()),
            policy_decision: Some(Action::Allow),
            status: Some(status),
            duration_ms: Some(30),
            ..Record::new(Event::Call)
        }
    }

    #[test]
    fn calls_are_counted_by_server() {
        let tally = Tally::new(|id| id == "files");
        tally.written(&call("files", Status::Success));
        let lost = Observation { lost: 3, ..Observation::default() };
        let effects = Some(EffectsRecord::new(&lost, Attribution::Exclusive, "lsm"));
        tally.written(&Record { effects, ..call("files", Status::Timeout) });
        let denied = Record {
            policy_decision: Some(Action::Deny),
            duration_ms: None,
            ..call("files", Status::Failure)
        };
        tally.written(&denied);
        let expected = Counts {
            calls: 3,
            denied: 1,
            succeeded: 1,
            failed: 1,
            timed_out: 1,
            incomplete: 1,
            lost_events: 3,
            durations: Durations(vec![(30, 2)]),
            ..Counts::default()
        };
        assert_eq!(tally.of("files"), expected);
    }

    #[test]
    fn what_is_no_server_takes_no_room() {
        let tally = Tally::new(|id| id == "files");
        for stranger in 0..1000 {
            tally.written(&call(&format!("asked-for-{stranger}"), Status::Failure));
        }
        tally.written(&Record::new(Event::Checkpoint));
        assert!(tally.lock().is_empty());
        tally.written(&call("files", Status::Success));
        tally.retain(&[]);
        assert_eq!(tally.of("files"), Counts::default(), "it is served no more");
    }

    #[test]
    fn the_configuration_in_force_is_that_of_the_last_reload_that_succeeded() {
        let tally = Tally::new(|_| false);
        let record = |event, generation, status| Record {
            policy_generation: Some(generation),
            status,
            configuration: Some(ConfigurationRecord::default()),
            ..Record::new(event)
        };
        tally.written(&record(Event::Start, 1, None));
        tally.written(&record(Event::Reload, 2, Some(Status::Success)));
        tally.written(&record(Event::Reload, 3, Some(Status::Failure)));
        assert_eq!(tally.in_force().generation, 2);
    }

    #[test]
    fn steps_are_an_eighth_of_the_time() {
        for took in (0..5000).chain([1 << 20, u64::MAX]) {
            let step = step(took);
            assert!(step >= took && step - took <= took / 8, "{took}: {step}");
        }
        let steps: std::collections::BTreeSet<_> = (0..3_600_000).map(step).collect();
        assert!(steps.len() < 200, "{}", steps.len());
    }
}
