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
/// Reads calls from standard input, a JSON object with `actor`, `tool`, `arguments` and, where
/// known, the tool's `schema` a line.
/// Writes a line for each, with `decision`, `rule` and `reason`, the `near_miss` of a denial and the
/// `warrant` of an approval. Files that arguments name are not looked at; calls are not counted.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  echo '{\"actor\":\"assistant-service\",\"tool\":\"read_file\",\"arguments\":{\"path\":\"docs/a\"}}' |
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
    let (Some(actor), Some(tool)) = (text("actor"), text("tool")) else {
        return Answer::denied("input", "a call needs \"actor\" and \"tool\"");
    };
    let empty = Map::new();
    let arguments = match object.get("arguments") {
        None => &empty,
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return Answer::denied("input", "\"arguments\" must be an object"),
    };
    if let Some((a, b)) = json::case_collision(arguments) {
        return Answer::denied("input", format!("arguments `{a}` and `{b}` differ only in case"));
    }
    judge.ask(actor, tool, arguments, object.get("schema"))
}
