//! Audit records as a reader of the log finds them.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jsonschema::Validator;
use serde_json::Value;

/// One audit record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record(pub Value);

impl Record {
    /// The text of a field, which may be nested (`effects.verdict`); empty when absent or no text.
    pub fn text(&self, field: &str) -> &str {
        self.get(field).as_str().unwrap_or_default()
    }

    /// A field, which may be nested (`effects.verdict`); null when absent.
    pub fn get(&self, field: &str) -> &Value {
        field.split('.').fold(&self.0, |value, name| value.get(name).unwrap_or(&Value::Null))
    }

    /// `WITHIN`, `EXCEEDED`, `INCOMPLETE` or `UNOBSERVED`.
    pub fn verdict(&self) -> &str {
        self.text("effects.verdict")
    }

    /// The effects that nothing covered.
    pub fn exceeded(&self) -> &[Value] {
        self.get("effects.exceeded").as_array().map_or(&[], Vec::as_slice)
    }

    /// The effects beyond ambient that the warrant covered.
    pub fn warranted(&self) -> &[Value] {
        self.get("effects.warranted").as_array().map_or(&[], Vec::as_slice)
    }
}

/// What every record must be: the schema that is shipped.
fn schema() -> anyhow::Result<Validator> {
    let text = include_str!("../../policies/schema/record.schema.json");
    let schema = serde_json::from_str(text)?;
    jsonschema::validator_for(&schema).map_err(|error| anyhow::anyhow!("the schema: {error}"))
}

/// All records of a log directory, in the order of its file names and lines.
pub fn read(dir: &Path) -> anyhow::Result<Vec<Record>> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("the audit directory {}", dir.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let schema = schema()?;
    let mut records = Vec::new();
    for file in files {
        let log = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        for line in log.lines() {
            let value = serde_json::from_str(line).with_context(|| {
                format!("{} has a line that is no JSON: {line}", file.display())
            })?;
            if let Err(error) = schema.validate(&value) {
                let (file, at) = (file.display(), error.instance_path().to_string());
                bail!("{file} has a record that its schema refuses at {at}: {error}: {line}");
            }
            records.push(Record(value));
        }
    }
    Ok(records)
}

/// The records of calls.
pub fn calls(dir: &Path) -> anyhow::Result<Vec<Record>> {
    let mut records = read(dir)?;
    records.retain(|record| record.text("event") == "call");
    Ok(records)
}

/// Waits for a record that `wanted` accepts. A record of what happens beside calls is written a
/// moment after it happened.
pub fn await_record(dir: &Path, wanted: impl Fn(&Record) -> bool) -> anyhow::Result<Record> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let records = read(dir).unwrap_or_default();
        if let Some(record) = records.iter().find(|record| wanted(record)) {
            return Ok(record.clone());
        }
        if Instant::now() > deadline {
            bail!("no such audit record within 20 s; there are: {records:#?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}
