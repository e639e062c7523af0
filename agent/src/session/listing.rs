//! `tools/list` on its way out: what the server says of its tools is held against what was accepted, and
//! the client gets the tools that it may call.

use serde_json::Value;

use super::call::new_id;
use super::conversation::{Conversation, SessionError};
use super::request::Request;
use crate::audit::{Event, Record, Status};
use crate::mcp::json::disguised_key;
use crate::mcp::list::shorten_tools;
use crate::mcp::{RpcError, code};
use crate::policy::pin::Definition;

impl Conversation {
    /// The response to a `tools/list` request as the client may have it: the server's own bytes, without the
    /// tools that the actor may not call and those whose definition is not the accepted one. One that
    /// cannot be judged becomes an error.
    pub(super) fn list(
        &mut self,
        request: &Request,
        line: Vec<u8>,
        result: &Value,
    ) -> Result<Result<Vec<u8>, RpcError>, SessionError> {
        let server = self.context.server.clone();
        let Some(tools) = tools(result) else {
            return self.unreadable("the list of tools is not as MCP has it");
        };
        let read = |tool| match Definition::read(tool) {
            Ok(definition) => Some(definition),
            Err(error) => {
                tracing::warn!(server = server.id, "{error}");
                None
            }
        };
        let page: Vec<_> = tools.iter().map(read).collect();
        let who = request.who.actor();
        let next = result.get("nextCursor").and_then(Value::as_str);
        let cursors = (request.cursor.as_deref(), next);
        let met = match server.pins.meet(&page, cursors, &mut self.seen, who) {
            Ok(met) => met,
            Err(error) => {
                tracing::error!(server = server.id, "{error}");
                return self.unreadable("the accepted definitions of tools cannot be used");
            }
        };
        for notice in &met.notices {
            tracing::warn!(server = server.id, "{}", notice.line());
            let record = request.who.record(notice.event());
            self.append(notice.fill(record, &server.sanitizer))?;
        }
        if let Some(options) = server.policy.schemas {
            let usable = tools.iter().zip(&met.usable).filter(|(_, usable)| **usable);
            server.schemas.learn(usable.map(|(tool, _)| tool), options);
        }
        // The one place where a list gets shorter.
        let offered = |(tool, usable): (&Value, &bool)| {
            let name = tool.get("name").and_then(Value::as_str);
            *usable && name.is_some_and(|name| server.policy.offers(who, name))
        };
        let keep: Vec<_> = tools.iter().zip(&met.usable).map(offered).collect();
        if server.is_observed() || keep.iter().all(|keep| *keep) {
            return Ok(Ok(line));
        }
        let text = std::str::from_utf8(&line).unwrap_or_default(); // It was parsed.
        match shorten_tools(text, &keep) {
            Ok(shorter) => Ok(Ok(shorter.into_bytes())),
            Err(error) => self.unreadable(&error.to_string()),
        }
    }

    /// A list that nobody may see: recorded, and an error instead of it.
    fn unreadable(&self, why: &str) -> Result<Result<Vec<u8>, RpcError>, SessionError> {
        let correlation = new_id();
        self.append(Record {
            correlation_id: Some(correlation.clone()),
            method: Some("tools/list".to_owned()),
            status: Some(Status::Failure),
            error: Some(format!("the list of tools is withheld: {why}")),
            ..self.recorder.record(Event::ProtocolError)
        })?;
        let message = format!("the list of tools is withheld: {why}");
        let error = RpcError::new(code::WITHHELD, message, "list_withheld");
        Ok(Err(error.with_correlation(correlation)))
    }
}

/// The tools of a result, unless a careless client could take others for them.
fn tools(result: &Value) -> Option<&[Value]> {
    let map = result.as_object()?;
    if disguised_key(map, &["tools"]).is_some() {
        return None;
    }
    map.get("tools")?.as_array().map(Vec::as_slice)
}
