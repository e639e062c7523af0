//! One server in a client's configuration, in whichever of their dialects.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A configured server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the client calls it.
    pub name: String,
    /// How the client reaches it.
    pub transport: Transport,
    /// The client does not use it at present.
    pub disabled: bool,
}

/// How a client reaches a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// It starts it.
    Stdio {
        /// Program and arguments.
        command: Vec<String>,
        /// Environment variables it sets.
        env: BTreeMap<String, String>,
        /// Directory it starts it in.
        cwd: Option<String>,
    },
    /// It connects to it.
    Http {
        /// Where.
        url: String,
        /// Headers it sends.
        headers: BTreeMap<String, String>,
    },
}

impl Entry {
    /// Reads an entry. Nothing when it is no server of its own but a part of the client.
    pub(super) fn read(name: &str, value: &Value) -> Result<Option<Self>, &'static str> {
        let Value::Object(object) = value else { return Err("it is no map") };
        let part = |kind: &str| ["builtin", "platform", "frontend"].contains(&kind);
        if text(object, &["type"]).is_some_and(part) {
            return Ok(None);
        }
        let disabled = object.get("disabled") == Some(&Value::Bool(true))
            || object.get("enabled") == Some(&Value::Bool(false));
        let inner = object.get("transport").and_then(Value::as_object).unwrap_or(object);
        let transport = Transport::read(inner)?;
        Ok(Some(Self { name: name.to_owned(), transport, disabled }))
    }

    /// Whether the client already reaches it through warrantd.
    pub fn is_behind_warrantd(&self) -> bool {
        let Transport::Stdio { command, .. } = &self.transport else { return false };
        is_warrantd(command)
    }
}

/// Whether a command line carries a client's messages through warrantd.
pub(super) fn is_warrantd(command: &[String]) -> bool {
    let mut words = command.iter().map(String::as_str).skip_while(|word| *word == "sudo");
    let program = words.next().and_then(|program| program.rsplit('/').next());
    program == Some("warrantd") && matches!(words.next(), Some("connect" | "run"))
}

impl Transport {
    fn read(object: &Map<String, Value>) -> Result<Self, &'static str> {
        let command = object.get("command").or_else(|| object.get("cmd"));
        // Zed once nested program, arguments and environment.
        let (program, object) = match command {
            Some(Value::Object(inner)) => {
                (inner.get("path").or_else(|| inner.get("command")), inner)
            }
            other => (other, object),
        };
        if let Some(program) = program {
            let mut command = words(program).ok_or("its `command` is no text")?;
            if let Some(args) = object.get("args") {
                command.extend(words(args).ok_or("its `args` are no list of texts")?);
            }
            if command.first().is_none_or(String::is_empty) {
                return Err("its `command` is empty");
            }
            let env = texts(object, &["env", "envs", "environment"])
                .ok_or("its environment is no map of texts")?;
            return Ok(Self::Stdio {
                command,
                env,
                cwd: text(object, &["cwd"]).map(str::to_owned),
            });
        }
        let url = text(object, &["url", "httpUrl", "serverUrl", "uri", "endpoint"]);
        let url = url.ok_or("it has neither a command nor a URL")?.to_owned();
        let options = object.get("requestOptions").and_then(Value::as_object).unwrap_or(object);
        let headers = texts(options, &["headers", "http_headers"])
            .ok_or("its headers are no map of texts")?;
        Ok(Self::Http { url, headers })
    }
}

fn text<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| object.get(*key)).and_then(Value::as_str)
}

/// A text, or a list of texts, numbers and truth values.
fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        Value::Null => Some(Vec::new()),
        other => Some(vec![scalar(other)?]),
    }
}

/// A map of texts; empty when there is none.
fn texts(object: &Map<String, Value>, keys: &[&str]) -> Option<BTreeMap<String, String>> {
    match keys.iter().find_map(|key| object.get(*key)) {
        None | Some(Value::Null) => Some(BTreeMap::new()),
        Some(Value::Object(map)) => {
            let given = map.iter().filter(|(_, value)| !value.is_null());
            given.map(|(name, value)| Some((name.clone(), scalar(value)?))).collect()
        }
        Some(_) => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stdio(command: &[&str]) -> Transport {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Transport::Stdio { command, env: BTreeMap::new(), cwd: None }
    }

    #[test]
    fn every_dialect_is_read() {
        let expected = stdio(&["npx", "-y", "server"]);
        for (client, value) in [
            ("most", json!({"command": "npx", "args": ["-y", "server"], "env": {}})),
            ("goose", json!({"type": "stdio", "cmd": "npx", "args": ["-y", "server"], "envs": {}})),
            ("opencode", json!({"type": "local", "command": ["npx", "-y", "server"]})),
            ("zed", json!({"command": {"path": "npx", "args": ["-y", "server"], "env": null}})),
            (
                "continue",
                json!({"transport": {"type": "stdio", "command": "npx", "args": ["-y", "server"]}}),
            ),
        ] {
            let entry = Entry::read("a", &value).expect(client).expect(client);
            assert_eq!(entry.transport, expected, "{client}");
            assert!(!entry.disabled && !entry.is_behind_warrantd(), "{client}");
        }
        for key in ["url", "httpUrl", "serverUrl", "uri"] {
            let entry = Entry::read("a", &json!({ key: "https://example.com/mcp" }));
            let Ok(Some(Entry { transport: Transport::Http { url, .. }, .. })) = entry else {
                panic!("{entry:?}")
            };
            assert_eq!(url, "https://example.com/mcp");
        }
    }

    #[test]
    fn what_is_no_server_says_why() {
        for value in [
            json!([]),
            json!({}),
            json!({"command": ""}),
            json!({"command": {"args": []}}),
            json!({"command": "a", "args": {"b": 1}}),
            json!({"command": "a", "args": [["b"]]}),
            json!({"command": "a", "env": ["B=c"]}),
            json!({"url": "https://example.com", "headers": "a"}),
        ] {
            assert!(Entry::read("a", &value).is_err(), "{value}");
        }
        assert_eq!(Entry::read("memory", &json!({"type": "builtin"})), Ok(None));
    }

    #[test]
    fn what_goes_through_warrantd_is_known() {
        let through = |command: &[&str]| {
            Entry { name: "a".into(), transport: stdio(command), disabled: false }
                .is_behind_warrantd()
        };
        assert!(through(&["warrantd", "connect", "files"]));
        assert!(through(&["sudo", "/usr/bin/warrantd", "run", "--policy", "p"]));
        assert!(!through(&["warrantd"]));
        assert!(!through(&["server", "warrantd", "connect"]));
    }
}
