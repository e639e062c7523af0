//! The decision about anything but a tool call.

use serde_json::{Map, Value};

use super::ask::check_ask;
use super::compile::Methods;
use super::listen::check_listen;
use super::request::{Approved, check_request};
use crate::config::Action;
use crate::mcp::methods::{Nature, Side, is_notification, known};
use crate::policy::check::{Denial, deny};
use crate::policy::compile::Policy;
use crate::policy::decide::Decision;

/// A request or a notification.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The client's actor, whoever asks.
    pub actor: &'a str,
    /// The method.
    pub method: &'a str,
    /// Its parameters; empty when absent.
    pub params: &'a Map<String, Value>,
    /// As for a tool call: the path after symbolic links.
    pub resolve: &'a dyn Fn(&str) -> String,
}

/// Decides about what one side sends to the other, beside `tools/call`.
pub fn decide_method(policy: &Policy, from: Side, asked: Asked) -> Decision {
    judge(policy, from, asked).unwrap_or_else(|denial| Decision::denied(denial.rule, denial.reason))
}

fn judge(policy: &Policy, from: Side, asked: Asked) -> Result<Decision, Denial> {
    let Asked { actor, method, params, .. } = asked;
    let side = match from {
        Side::Client => "client",
        Side::Server => "server",
    };
    let nature = match known(method) {
        Some(known) if !known.is_sent_by(from) => {
            return deny("methods", format!("no {side} sends `{}`", known.name));
        }
        Some(known) if known.nature == Nature::Tool => {
            return deny("methods", "a tool call is judged by its tool");
        }
        Some(known) => known.nature,
        None => Nature::Acting,
    };
    if nature == Nature::Core {
        return Ok(allowed("methods".to_owned(), Approved::default()));
    }
    let own = policy.actors.get(actor);
    let levels: Vec<&Methods> =
        std::iter::once(&policy.methods).chain(own.map(|actor| &actor.methods)).collect();
    for level in &levels {
        if let Some(index) = level.deny.iter().position(|entry| entry.denies(method)) {
            return deny(
                format!("{}.deny[{index}]", level.key),
                format!("{} is denied", named(method)),
            );
        }
    }
    if nature == Nature::Passive {
        if method == "subscriptions/listen" {
            check_listen(&policy.root, asked, &levels)?;
        }
        return Ok(allowed("methods".to_owned(), Approved::default()));
    }
    if from == Side::Server && known(method).is_none() && !is_notification(method) {
        return deny("methods", format!("{} is none that a server may ask for", named(method)));
    }
    let rule = allowed_by(asked, &levels)?;
    // What is told need not be told to anybody in particular.
    if own.is_none() && !is_notification(method) {
        return deny("actors", format!("policy does not know actor `{actor}`"));
    }
    let approved = match from {
        Side::Client => check_request(&policy.root, asked, &levels)?,
        Side::Server => {
            let sampling = levels.iter().filter_map(|level| level.sampling.as_ref());
            let elicitation = levels.iter().filter_map(|level| level.elicitation.as_ref());
            check_ask(method, params, sampling, elicitation)?;
            Approved::default()
        }
    };
    Ok(allowed(rule, approved))
}

/// The list that allows a method, unless one denies it.
pub(super) fn allowed_by(asked: Asked, levels: &[&Methods]) -> Result<String, Denial> {
    let method = asked.method;
    for level in levels {
        if let Some(index) = level.deny.iter().position(|entry| entry.denies(method)) {
            return deny(
                format!("{}.deny[{index}]", level.key),
                format!("{} is denied", named(method)),
            );
        }
    }
    let by = levels.iter().find(|level| level.allow.iter().any(|entry| entry.allows(method)));
    match by {
        Some(level) => Ok(format!("{}.allow", level.key)),
        None => deny("methods", format!("{} is not covered by policy", named(method))),
    }
}

/// A method for people. A name that MCP does not have is the sender's choice.
fn named(method: &str) -> String {
    let kind = if is_notification(method) { "notification" } else { "method" };
    let short: String = method.chars().take(64).collect();
    format!("{kind} `{}`", short.escape_debug())
}

fn allowed(rule: String, Approved { paths, timeout }: Approved) -> Decision {
    Decision {
        action: Action::Allow,
        rule,
        reason: "allowed".to_owned(),
        paths,
        queries: Vec::new(),
        urls: Vec::new(),
        timeout,
        bad_arguments: false,
    }
}
