//! `warrantd call`: one call from the shell, by the way that every client takes.

mod arguments;
mod show;
mod talk;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::door::Door;
use super::{Failure, output};
use crate::config::Span;
use show::Style;
use talk::{Answer, Conversation};

/// Call a tool of one of the daemon's servers, or list the tools
///
/// It is a client like any other: the daemon authenticates it, decides, and releases what the call
/// returns if what it did was within its warrant. Without TOOL the tools are listed that this caller may
/// call. Who is listed under `uids` needs no key.
///
/// Exits 1 when the call is refused, its response withheld, or the tool reports a failure.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  warrantd call files
  warrantd call files read_text_file path=/srv/data/a.txt
  echo '{\"path\": \"/srv/data/a.txt\"}' | warrantd call files read_text_file --arguments -")]
pub(super) struct Call {
    #[command(flatten)]
    door: Door,
    /// The tool; without it the tools are listed
    tool: Option<String>,
    /// Arguments of the call: a text, or JSON where the tool takes something else
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// All arguments as one JSON object; `-` reads it from standard input
    #[arg(
        long = "arguments",
        value_name = "JSON",
        conflicts_with = "arguments",
        requires = "tool"
    )]
    object: Option<String>,
    /// How long to wait for each answer
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: Span,
    /// Print the answer as JSON: `{"result": …}` or `{"error": …}`; of a list, the tools
    #[arg(long)]
    json: bool,
}

impl Call {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let style = Style::of_output();
        let key = self.door.key_line()?;
        let mut conversation = Conversation::open(&self.door.socket(), key, self.timeout.0)?;
        let tools = match conversation.tools()? {
            Ok(tools) => tools,
            Err(error) => return self.failed(&error),
        };
        let Some(tool) = &self.tool else {
            if self.json {
                output::line(&pretty(&json!(tools))?)?;
            } else if tools.is_empty() {
                output::line("no tool that this caller may call")?;
            }
            let listed = tools.iter().filter(|_| !self.json);
            listed.map(Style::tool).try_for_each(|text| output::line(&text))?;
            return Ok(ExitCode::SUCCESS);
        };
        let definition = tools.iter().find(|known| known["name"] == **tool);
        let arguments = match &self.object {
            Some(text) => arguments::object(text)?,
            None => arguments::typed(&self.arguments, definition)?,
        };
        let params = json!({ "name": tool, "arguments": arguments });
        let result = match conversation.request("tools/call", &params)? {
            Answer::Ok(result) => result,
            Answer::Err(error) => return self.failed(&error),
        };
        if self.json {
            output::line(&pretty(&json!({ "result": result }))?)?;
        } else {
            style.result(&result).iter().try_for_each(|text| output::line(text))?;
        }
        let failed = result["isError"] == true;
        Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }

    /// An error in place of a result.
    fn failed(&self, error: &serde_json::Value) -> Result<ExitCode, Failure> {
        if self.json {
            output::line(&pretty(&json!({ "error": error }))?)?;
            return Ok(ExitCode::from(1));
        }
        Err(Failure::Other(Style::error(error)))
    }
}

fn pretty(value: &serde_json::Value) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(Failure::other)
}
