//! What would have to be different for a denied request to be allowed: for people, not for programs.

use super::decide::Asked;
use crate::config::{Action, suggestion};
use crate::mcp::methods::METHODS;
use crate::policy::compile::Policy;
use crate::policy::decide::Decision;

/// How a denied request misses being allowed, in one line; `None` when nothing near would allow it.
pub fn method_near_miss(policy: &Policy, asked: Asked, decision: &Decision) -> Option<String> {
    if decision.action == Action::Allow {
        return None;
    }
    let Asked { actor, method, .. } = asked;
    let rule = decision.rule.as_str();
    let list = rule.rsplit('.').next().unwrap_or(rule);
    if rule == "actors" {
        let hint = suggestion(actor, policy.actor_ids());
        return Some(format!("would go on if `{actor}` were among the actors{hint}"));
    }
    if rule == "methods" && decision.reason.ends_with("is not covered by policy") {
        let names = METHODS.iter().map(|method| method.name);
        // What a filter names is subscribed to.
        let wanted = if method == "subscriptions/listen" { "resources/subscribe" } else { method };
        let hint = suggestion(wanted, names.filter(|name| *name != wanted));
        let hint =
            if METHODS.iter().any(|known| known.name == wanted) { "" } else { hint.as_str() };
        return Some(format!("would go on if methods.allow named `{wanted}`{hint}"));
    }
    if rule == "methods" {
        return None;
    }
    match list {
        "allowed_uris" | "allowed_prompts" | "allowed_urls" => {
            Some(format!("would go on if a pattern of {rule} matched"))
        }
        "modes" | "max_tokens" | "include_context" => {
            Some(format!("would go on if {rule} allowed it"))
        }
        list if list.starts_with("deny[") || list.starts_with("denied_") => {
            Some(format!("would go on without {rule}"))
        }
        _ => None,
    }
}
