//! `warrantd explain`: what would the policy say?

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value};

use super::judge::{Answer, Judge};
use super::{Failure, output};
use crate::mcp::json::{self, Numbers};

/// Say what a policy decides, and why
///
/// Reads calls from standard input, a JSON object a line: `actor`, `tool`, `arguments` and, where known,
/// the tool's `schema`; or `actor`, `method` and `params` for anything else that a client or a server
/// may send.
/// Writes a line for each, with `decision`, `rule` and `reason`, the `near_miss` of a denial and the
/// `warrant` of an approval. Files that arguments name are not looked at; calls are not counted.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  echo '{\"actor\":\"assistant-service\",\"tool\":\"read_file\",\"arguments\":{\"path\":\"docs/a\"}}' |
    warrantd explain --policy policies/read-only.yaml --root /srv
  echo '{\"actor\":\"assistant-service\",\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///srv/a\"}}' |
    warrantd explain --policy policies/read-only.yaml --root /srv")]
pub(super) struct Explain {
    /// Policy file
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The server's working directory, from which relative paths count
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: String,
}

impl Explain {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let judge = Judge::load(&self.policy, self.root.trim_end_matches('/'))?;
        for line in std::io::stdin().lock().split(b'\n') {
            let line = line.map_err(Failure::other)?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            output::line(&serde_json::to_string(&answer(&judge, &line)).map_err(Failure::other)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The answer to one line. A line that is no call is denied.
fn answer(judge: &Judge, line: &[u8]) -> Answer {
    let object = match json::parse(line, Numbers::Exact) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Answer::denied("input", "a call is a JSON object"),
        Err(error) => return Answer::denied("input", format!("not unambiguous JSON: {error}")),
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let map = |key: &str| match object.get(key) {
        None => Ok(Map::new()),
        Some(Value::Object(map)) => match json::case_collision(map) {
            Some((a, b)) => Err(format!("{key} `{a}` and `{b}` differ only in case")),
            None => Ok(map.clone()),
        },
        Some(_) => Err(format!("\"{key}\" must be an object")),
    };
    let asked = match (text("actor"), text("tool"), text("method")) {
        (Some(actor), Some(tool), None) => map("arguments")
            .map(|arguments| judge.ask(actor, tool, &arguments, object.get("schema"))),
        (Some(actor), None, Some(method)) => {
            map("params").map(|params| judge.ask_method(actor, method, &params))
        }
        _ => Err("a call needs \"actor\", and \"tool\" or \"method\"".to_owned()),
    };
    asked.unwrap_or_else(|why| Answer::denied("input", why))
}
