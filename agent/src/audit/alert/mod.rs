//! Alerts: follows the log, and when a rule holds writes a record that says so.
//!
//! Like a shipper it has a cursor (`<state_dir>/ship/alerts.json`) and misses nothing that was written while it did
//! not run; what was written before the first rule was configured is learned from and told to nobody. An alert is
//! an `alert` record, so it is chained, shipped and shown like all else; a rule's command gets it on standard input.

mod command;
mod rule;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::command::Commands;
use self::rule::{Firing, Rule};
use super::log::Log;
use super::record::{Event, Record};
use super::ship::{LogPlace, Mark, Progress, ShipError, load, store};
use super::{ReadError, Reader};
use crate::aside::aside;
use crate::config::AlertConfig;

/// How often a log with nothing new is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long after a failure it is tried again.
const PAUSE: Duration = Duration::from_secs(2);
/// How often the cursor is written at most.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// Records that are read at a time.
const AT_ONCE: usize = 500;

/// What an alert says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AlertRecord {
    /// The rule, by its name.
    pub rule: String,
    /// What it is about: the values that the rule tells apart.
    pub about: String,
    /// How many records it stands for.
    pub count: usize,
    /// The record that it follows; null where it says how many more there were.
    pub follows: Option<u64>,
    /// Receivers of alerts that are told; all, if it names none.
    pub to: Vec<String>,
}

/// What is remembered over a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(flatten)]
    mark: Mark,
    /// What rules have seen, by their names.
    seen: BTreeMap<String, BTreeSet<String>>,
}

/// Follows the log.
#[derive(Debug)]
pub struct Alerts {
    rules: Vec<Rule>,
    log: Arc<Log>,
    place: LogPlace,
    file: PathBuf,
    mark: Mark,
    /// Records up to here are learned from.
    known: u64,
    /// Alerts that could not be written yet.
    pending: VecDeque<(usize, Record)>,
    commands: Commands,
    progress: Arc<Progress>,
}

impl Alerts {
    /// The name of its cursor, and what it is called where receivers are.
    pub const NAME: &str = "alerts";

    /// Takes up where it ended.
    pub fn open(
        rules: &[AlertConfig],
        state_dir: &Path,
        log: Arc<Log>,
        place: LogPlace,
    ) -> Result<Self, ShipError> {
        let file = state_dir.join("ship").join(format!("{}.json", Self::NAME));
        let memory: Option<Memory> = load(&file)?;
        let known = if memory.is_some() { 0 } else { log.written() };
        let mut memory = memory.unwrap_or_default();
        let rules = rules.iter().map(|config| {
            let seen = memory.seen.remove(&config.name).unwrap_or_default();
            Rule::new(config.clone(), seen)
        });
        let rules = rules.collect();
        let progress = Arc::new(Progress::default());
        progress.set_delivered(memory.mark.delivered);
        let (mark, pending) = (memory.mark, VecDeque::new());
        let commands = Commands::default();
        Ok(Self { rules, log, place, file, mark, known, pending, commands, progress })
    }

    /// How far it has got, also while it runs.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Follows the log until `stop` becomes true and what there is then was looked at.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        loop {
            match self.follow(&stop).await {
                Ok(()) => break,
                Err(why) => {
                    tracing::warn!("alerts: {why}; they go on");
                    self.progress.fail(why);
                }
            }
            sleep(PAUSE).await;
            if *stop.borrow() {
                break;
            }
        }
        self.store();
        self.commands.finish().await;
    }

    async fn follow(&mut self, stop: &watch::Receiver<bool>) -> Result<(), String> {
        let mut reader = self.reader()?;
        let mut stored = (self.mark.delivered, Instant::now());
        loop {
            let stopping = *stop.borrow();
            let read = aside(|| self.read(&mut reader))?;
            let now = Timestamp::now();
            for number in 0..self.rules.len() {
                let firings = self.rules.get_mut(number).map(|rule| rule.flush(now));
                for firing in firings.unwrap_or_default() {
                    self.raise(number, firing, &Value::Null);
                }
            }
            aside(|| self.write())?;
            if stored.0 != self.mark.delivered && stored.1.elapsed() >= STORE_EVERY {
                self.store();
                stored = (self.mark.delivered, Instant::now());
            }
            if read == 0 {
                if stopping {
                    return Ok(());
                }
                sleep(LOOK_EVERY).await;
            }
        }
    }

    fn reader(&mut self) -> Result<Reader, String> {
        let open = |from| Reader::open(&self.place.dir, &self.place.name, from);
        // A log that was begun anew is shorter than what was read of the old one.
        if self.mark.delivered > self.log.written() {
            self.mark = Mark::default();
        }
        match open(self.mark.delivered + 1) {
            Err(ReadError::Gone { first, .. }) => open(first).map_err(|error| error.to_string()),
            opened => opened.map_err(|error| error.to_string()),
        }
    }

    /// Looks at the next records. How many there were.
    fn read(&mut self, reader: &mut Reader) -> Result<usize, String> {
        let mut count = 0;
        while count < AT_ONCE {
            let Some(line) = reader.next().map_err(|error| error.to_string())? else { break };
            count += 1;
            // The log has it, whatever it is; `warrantd audit verify` tells of lines that are none of ours.
            let record: Value = serde_json::from_slice(&line.bytes).unwrap_or_default();
            let text = |field: &str| record.get(field).and_then(Value::as_str).unwrap_or_default();
            if text("event") != "alert" {
                let at = text("timestamp").parse().unwrap_or_else(|_| Timestamp::now());
                for number in 0..self.rules.len() {
                    let Some(rule) = self.rules.get_mut(number) else { continue };
                    if line.seq <= self.known {
                        rule.learn(&record);
                        continue;
                    }
                    for firing in rule.take(&record, at) {
                        self.raise(number, firing, &record);
                    }
                }
            }
            let hash = text("hash").to_owned();
            self.mark = Mark { delivered: line.seq, hash };
        }
        Ok(count)
    }

    /// Makes an alert, to be written.
    fn raise(&mut self, number: usize, firing: Firing, of: &Value) {
        let Some(rule) = self.rules.get(number) else { return };
        let text = |field: &str| of.get(field).and_then(Value::as_str).map(str::to_owned);
        let Firing { key, count, seq } = firing;
        let what = match (rule.config.first_seen, seq) {
            (Some(_), _) => format!("seen for the first time: {key}"),
            (None, Some(_)) => format!("{count} for {key}"),
            (None, None) => format!("{count} more for {key}"),
        };
        let record = Record {
            correlation_id: text("correlation_id"),
            session_id: text("session_id"),
            actor: text("actor"),
            server_id: text("server_id"),
            tool_name: text("tool_name"),
            error: Some(format!("alert `{}`: {what}", rule.config.name)),
            alert: Some(AlertRecord {
                rule: rule.config.name.clone(),
                about: key,
                count,
                follows: seq,
                to: rule.config.to.clone(),
            }),
            ..Record::new(Event::Alert)
        };
        self.pending.push_back((number, record));
    }

    /// Writes the alerts that were made, and has commands told.
    fn write(&mut self) -> Result<(), String> {
        while let Some((number, record)) = self.pending.front() {
            self.log.append(record).map_err(|error| error.to_string())?;
            let command = self.rules.get(*number).and_then(|rule| rule.config.run.as_ref());
            let why = record.error.as_deref().unwrap_or_default();
            tracing::warn!(server = record.server_id, actor = record.actor, "{why}");
            if let Some(command) = command {
                self.commands.tell(command, record);
            }
            self.progress.sent(1);
            self.pending.pop_front();
        }
        Ok(())
    }

    /// Writes down how far it has got and what was seen.
    fn store(&self) {
        let seen = self.rules.iter().filter(|rule| !rule.seen.is_empty());
        let seen = seen.map(|rule| (rule.config.name.clone(), rule.seen.clone())).collect();
        let memory = Memory { mark: self.mark.clone(), seen };
        match store(&self.file, &memory) {
            Ok(()) => self.progress.set_delivered(self.mark.delivered),
            Err(error) => {
                tracing::error!("alerts: {error}");
                self.progress.fail(error.to_string());
            }
        }
    }
}
