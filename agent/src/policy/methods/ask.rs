//! What a server asks its client: its model, its user, its roots.

use serde_json::{Map, Value};

use super::names::NameGlobs;
use crate::config::{ElicitationLimits, ElicitationMode, IncludeContext, Problem, SamplingLimits};
use crate::mcp::json::disguised_key;
use crate::policy::check::{Denial, deny};
use crate::policy::url::{UrlRules, judge};

/// Limits on sampling.
#[derive(Debug)]
pub(super) struct SamplingRules {
    key: String,
    max_tokens: Option<u64>,
    include_context: IncludeContext,
}

/// Limits on elicitation.
#[derive(Debug)]
pub(super) struct ElicitationRules {
    key: String,
    modes: Vec<ElicitationMode>,
    denied_fields: NameGlobs,
    urls: UrlRules,
}

impl SamplingRules {
    pub(super) fn new(limits: &SamplingLimits, key: String) -> Self {
        Self { key, max_tokens: limits.max_tokens, include_context: limits.include_context }
    }

    fn check(&self, params: &Map<String, Value>) -> Result<(), Denial> {
        let Some(most) = self.max_tokens else { return Ok(()) };
        let asked = params.get("maxTokens").and_then(Value::as_u64);
        if asked.is_none_or(|asked| asked > most) {
            let reason = format!("maxTokens must be a number, at most {most}");
            return deny(format!("{}.max_tokens", self.key), reason);
        }
        Ok(())
    }
}

impl ElicitationRules {
    pub(super) fn compile(limits: &ElicitationLimits, key: String) -> Result<Self, Problem> {
        let modes = limits.modes.clone().unwrap_or_else(|| vec![ElicitationMode::Form]);
        let urls = UrlRules::compile(limits.allowed_urls.as_deref(), &limits.denied_urls)
            .map_err(|(index, list, why)| Problem::new(format!("{key}.{list}[{index}]"), why))?;
        let list = format!("{key}.denied_fields");
        let denied_fields = NameGlobs::new(&limits.denied_fields, true, &list)?;
        Ok(Self { key, modes, denied_fields, urls })
    }

    fn check(&self, mode: ElicitationMode, params: &Map<String, Value>) -> Result<(), Denial> {
        let key = &self.key;
        match mode {
            ElicitationMode::Form => {
                let Some(fields) = fields(params) else {
                    return deny(key.clone(), "the form has no readable fields");
                };
                for field in fields.keys() {
                    if let Some((index, pattern)) = self.denied_fields.first_match(field) {
                        let shown = field.escape_debug();
                        let reason = format!("field `{shown}` of the form matches `{pattern}`");
                        return deny(format!("{key}.denied_fields[{index}]"), reason);
                    }
                }
                Ok(())
            }
            ElicitationMode::Url => {
                let Some(url) = params.get("url").and_then(Value::as_str) else {
                    return deny(key.clone(), "the request names no URL");
                };
                match judge(&self.urls, url) {
                    Ok(_) => Ok(()),
                    Err(denial) => {
                        let rule = match denial.limit {
                            // No pattern can allow such a URL.
                            "url" => key.clone(),
                            limit => format!("{key}.{limit}"),
                        };
                        deny(rule, format!("url: {}", denial.reason))
                    }
                }
            }
        }
    }
}

/// Judges a request of a server by all limits that hold for it. `key` stands for limits that hold where none
/// are written.
pub(super) fn check_ask<'a>(
    method: &str,
    params: &Map<String, Value>,
    sampling: impl Iterator<Item = &'a SamplingRules>,
    elicitation: impl Iterator<Item = &'a ElicitationRules>,
) -> Result<(), Denial> {
    const READ: [&str; 6] =
        ["maxTokens", "includeContext", "mode", "requestedSchema", "url", "task"];
    let own = || format!("methods.{method}");
    if let Some(key) = disguised_key(params, &READ) {
        return deny(own(), format!("key {key:?} could be mistaken for one of the protocol"));
    }
    if params.contains_key("task") {
        return deny(own(), "what a server asks is answered at once, and not as a task");
    }
    match method {
        "sampling/createMessage" => {
            let rules: Vec<_> = sampling.collect();
            check_context(params, &rules, own())?;
            rules.iter().try_for_each(|rules| rules.check(params))
        }
        "elicitation/create" => {
            let rules: Vec<_> = elicitation.collect();
            let mode = mode(params).or_else(|why| deny(own(), why))?;
            let form = mode == ElicitationMode::Form;
            let closed = rules.iter().find(|rules| !rules.modes.contains(&mode));
            if closed.is_some() || (rules.is_empty() && !form) {
                let key = closed.map_or_else(own, |rules| rules.key.clone());
                let mode = if form { "form" } else { "url" };
                return deny(format!("{key}.modes"), format!("mode `{mode}` is not allowed"));
            }
            rules.iter().try_for_each(|rules| rules.check(mode, params))
        }
        _ => Ok(()),
    }
}

fn check_context(
    params: &Map<String, Value>,
    rules: &[&SamplingRules],
    own: String,
) -> Result<(), Denial> {
    let asked = match params.get("includeContext") {
        None | Some(Value::Null) => IncludeContext::None,
        Some(Value::String(text)) if text == "none" => IncludeContext::None,
        Some(Value::String(text)) if text == "thisServer" => IncludeContext::ThisServer,
        Some(Value::String(text)) if text == "allServers" => IncludeContext::AllServers,
        Some(_) => return deny(own, "includeContext is none that MCP has"),
    };
    let least = rules.iter().min_by_key(|rules| rules.include_context);
    let most = least.map_or(IncludeContext::None, |rules| rules.include_context);
    if asked > most {
        let key = least.map_or(own, |rules| rules.key.clone());
        let reason = "the server wants the context of conversations, which is not allowed";
        return deny(format!("{key}.include_context"), reason);
    }
    Ok(())
}

/// Without a mode it is a form, as before there was another (MCP 2025-11-25, section Elicitation).
fn mode(params: &Map<String, Value>) -> Result<ElicitationMode, &'static str> {
    match params.get("mode").map(Value::as_str) {
        None | Some(Some("form")) => Ok(ElicitationMode::Form),
        Some(Some("url")) => Ok(ElicitationMode::Url),
        Some(_) => Err("mode is none that MCP has"),
    }
}

fn fields(params: &Map<String, Value>) -> Option<&Map<String, Value>> {
    params.get("requestedSchema")?.get("properties")?.as_object()
}
