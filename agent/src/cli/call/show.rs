//! Answers for people. What a server says is shown to terminals without what would steer them.

use std::fmt::Write;
use std::io::{IsTerminal, stdout};

use serde_json::Value;

use crate::cli::plain::{is_invisible, safe};

/// How texts of a server are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    terminal: bool,
}

impl Style {
    /// As standard output wants it.
    pub(super) fn of_output() -> Self {
        Self { terminal: stdout().is_terminal() }
    }

    /// What a tool returned, one text for each part.
    pub(super) fn result(self, result: &Value) -> Vec<String> {
        let parts = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut texts: Vec<_> = parts.iter().map(|part| self.part(part)).collect();
        if texts.is_empty() {
            let structured = result.get("structuredContent").unwrap_or(result);
            texts.push(self.text(&structured.to_string()));
        }
        texts
    }

    fn part(self, part: &Value) -> String {
        if let Some(text) = part["text"].as_str() {
            return self.text(text.strip_suffix('\n').unwrap_or(text));
        }
        let word = |key: &str| safe(part[key].as_str().unwrap_or_default());
        match part["data"].as_str() {
            Some(data) => {
                format!(
                    "[{} {}, {} characters of base64]",
                    word("type"),
                    word("mimeType"),
                    data.len()
                )
            }
            None => self.text(&part.to_string()),
        }
    }

    /// A tool: its name, its arguments with those in brackets that may be left out, the first line of what it
    /// says of itself.
    pub(super) fn tool(tool: &Value) -> String {
        let mut text = safe(tool["name"].as_str().unwrap_or_default());
        let schema = &tool["inputSchema"];
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let kind = property["type"].as_str().unwrap_or("any");
            let argument = safe(&format!("{name}={}", kind.to_uppercase()));
            let _ = if required.iter().any(|required| required == name) {
                write!(text, " {argument}")
            } else {
                write!(text, " [{argument}]")
            };
        }
        if let Some(line) = tool["description"].as_str().and_then(|text| text.lines().next()) {
            let _ = write!(text, "\n    {}", safe(line));
        }
        text
    }

    /// An error: what it says, and what finds its record.
    pub(super) fn error(error: &Value) -> String {
        let message = error["message"].as_str().unwrap_or("an error without a message");
        let mut text = format!("{} (code {}", safe(message), error["code"]);
        if let Some(reason) = error.pointer("/data/reason").and_then(Value::as_str) {
            let _ = write!(text, ", {}", safe(reason));
        }
        text.push(')');
        if let Some(id) = error.pointer("/data/correlation_id").and_then(Value::as_str) {
            let _ = write!(text, "\n  warrantd audit show --correlation {}", safe(id));
        }
        text
    }

    /// A text of any lines.
    fn text(self, text: &str) -> String {
        if self.terminal { harmless(text) } else { text.to_owned() }
    }
}

/// The lines of a text, without anything that a terminal would act on.
fn harmless(text: &str) -> String {
    let stays = |c: char| matches!(c, '\n' | '\t') || !(c.is_control() || is_invisible(c));
    text.chars()
        .map(|c| if stays(c) { c.to_string() } else { safe(c.encode_utf8(&mut [0; 4])) })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TERMINAL: Style = Style { terminal: true };

    #[test]
    fn parts_of_a_result_are_shown_one_by_one() {
        let result = json!({"content": [
            {"type": "text", "text": "a\nb\n"},
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
        ]});
        assert_eq!(TERMINAL.result(&result), ["a\nb", "[image image/png, 4 characters of base64]"]);
        let structured = json!({"content": [], "structuredContent": {"rows": 2}});
        assert_eq!(TERMINAL.result(&structured), ["{\"rows\":2}"]);
    }

    #[test]
    fn a_server_does_not_steer_the_terminal() {
        let result = json!({"content": [{"type": "text", "text": "\u{1b}[2Jgone\u{202e}"}]});
        assert_eq!(TERMINAL.result(&result), ["\\u{1b}[2Jgone\\u{202e}"]);
        let piped = Style { terminal: false };
        assert_eq!(piped.result(&result), ["\u{1b}[2Jgone\u{202e}"], "a file gets what was said");
        let error = json!({"code": 1, "message": "\u{1b}c"});
        assert_eq!(Style::error(&error), "\\u{1b}c (code 1)");
    }

    #[test]
    fn a_tool_is_shown_as_it_is_called() {
        let tool = json!({
            "name": "read", "description": "Reads a file.\nAnd more.",
            "inputSchema": {
                "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
                "required": ["path"],
            },
        });
        assert_eq!(Style::tool(&tool), "read path=STRING [lines=INTEGER]\n    Reads a file.");
    }

    #[test]
    fn an_error_says_how_its_record_is_found() {
        let error = json!({
            "code": -31003, "message": "denied by policy: no rule",
            "data": {"reason": "policy_denied", "correlation_id": "019a"},
        });
        let expected = "denied by policy: no rule (code -31003, policy_denied)
  warrantd audit show --correlation 019a";
        assert_eq!(Style::error(&error), expected);
    }
}
