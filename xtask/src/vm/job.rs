//! What a virtual machine is to do, and how it says that it is done.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// Where the job is in the machine.
pub(super) const PATH: &str = "/etc/warrantd-vm.json";
/// The program that is the machine's init. The kernel starts it under this name.
pub(super) const INIT: &str = "/init";
/// Begins the line that a machine ends with.
const END: &str = "@warrantd-vm ended: ";

/// A command line and its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// How long it may take.
    pub(super) patience: Duration,
}

impl Job {
    /// As it is put into the machine.
    pub(super) fn written(&self) -> Vec<u8> {
        json!({ "argv": self.argv, "env": self.env, "patience": self.patience.as_secs() })
            .to_string()
            .into_bytes()
    }

    /// As the machine reads it.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let value: Value = serde_json::from_str(text).context(PATH)?;
        let list = |key: &str| value[key].as_array().with_context(|| format!("{PATH}: {key}"));
        let text = |value: &Value| {
            value.as_str().map(str::to_owned).with_context(|| format!("{PATH}: not a text"))
        };
        let argv = list("argv")?.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        ensure!(!argv.is_empty(), "{PATH}: there is no command");
        let pair = |value: &Value| Ok((text(&value[0])?, text(&value[1])?));
        let env = list("env")?.iter().map(pair).collect::<anyhow::Result<_>>()?;
        let patience = value["patience"].as_u64().with_context(|| format!("{PATH}: patience"))?;
        Ok(Self { argv, env, patience: Duration::from_secs(patience) })
    }
}

/// The line that says how the command ended: `0`, or why it did not succeed.
pub(super) fn end(how: &str) -> String {
    format!("{END}{how}\n")
}

/// How the command ended, if the line says so, after what the command itself wrote in that line.
pub(super) fn read_end(line: &str) -> Option<(&str, &str)> {
    line.split_once(END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_arrives_as_it_was_sent() {
        let job = Job {
            argv: vec!["/bin/sh".into(), "-c".into(), "echo \"a\nb\"".into()],
            env: vec![("A".into(), "b=c".into())],
            patience: Duration::from_secs(7),
        };
        let written = String::from_utf8(job.written()).unwrap();
        assert_eq!(Job::read(&written).unwrap(), job);
        assert!(Job::read(r#"{"argv":[],"env":[],"patience":1}"#).is_err());
        assert!(Job::read("{}").is_err());
    }

    #[test]
    fn the_end_is_known_by_its_line() {
        assert_eq!(read_end(end("0").trim_end()), Some(("", "0")));
        // A command need not end its last line.
        assert_eq!(read_end(&format!("half a line{END}3")), Some(("half a line", "3")));
        assert_eq!(read_end("test a ... ok"), None);
    }
}
