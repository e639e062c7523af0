//! How often and for how long: every tool that may be called has a limit.

use std::collections::BTreeSet;

use super::finding::{Finding, some};
use super::site::{Site, SiteServer};
use crate::config::{Action, RateLimit};

/// Looks at the limits of every policy.
pub(super) fn check(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    for server in site.policies() {
        rates(server, &mut findings);
        times(server, &mut findings);
        methods(server, &mut findings);
    }
    findings
}

fn rates(server: SiteServer, findings: &mut Vec<Finding>) {
    let name = server.policy_name();
    let free = |actor: &str| !limits_actor(server, actor);
    let unlimited: BTreeSet<&str> = server
        .allowed()
        .filter(|(actor, tool)| free(actor) && !limits_tool(server, tool))
        .map(|(_, tool)| tool)
        .collect();
    let anything = server.policy.default_action == Action::Allow
        && server.policy.actors.iter().any(|actor| free(&actor.id));
    if unlimited.is_empty() && !anything {
        findings.push(Finding::ok(format!("{name} limits how often tools are called")));
        return;
    }
    let what = if anything {
        format!("{name} does not limit how often an actor calls")
    } else {
        format!("{name} does not limit how often these are called: {}", some(&unlimited))
    };
    findings.push(Finding::bad(what).at(server.place_in_policy("rate_limits")).todo(
        "add `rate_limits: {TOOL: {max_calls_per_minute: …}}`, or `rate_limit` to the actor",
    ));
}

fn limits_tool(server: SiteServer, tool: &str) -> bool {
    server.policy.rate_limits.get(tool).is_some_and(is_rate)
}

fn limits_actor(server: SiteServer, actor: &str) -> bool {
    let mut own = server.policy.actors.iter().filter(|rule| rule.id == actor);
    own.any(|rule| rule.rate_limit.as_ref().is_some_and(is_rate))
}

/// Whether a limit is one in time, and not of calls in flight alone.
fn is_rate(limit: &RateLimit) -> bool {
    limit.max_calls_per_minute.is_some() || limit.max_calls_per_hour.is_some()
}

/// Tools that may take for ever.
fn times(server: SiteServer, findings: &mut Vec<Finding>) {
    let bounded = |actor: &str, tool: &str| {
        let own = server.policy.actors.iter().filter(|rule| rule.id == actor);
        let own = own.filter_map(|rule| rule.constraints.get(tool));
        let mut all = server.policy.constraints.get(tool).into_iter().chain(own);
        all.any(|constraint| constraint.timeout_seconds.is_some())
    };
    let endless: BTreeSet<&str> = server
        .allowed()
        .filter(|(actor, tool)| !bounded(actor, tool))
        .map(|(_, tool)| tool)
        .collect();
    if !endless.is_empty() {
        let name = server.policy_name();
        let what = format!("{name} lets these take as long as they like: {}", some(&endless));
        findings.push(
            Finding::note(what)
                .at(server.place_in_policy("constraints"))
                .todo("add `timeout_seconds` to the tool's constraints"),
        );
    }
}

/// Methods that act and are allowed to everyone without a limit.
fn methods(server: SiteServer, findings: &mut Vec<Finding>) {
    let section = &server.policy.methods;
    if section.allow.is_empty() {
        return;
    }
    let limited: BTreeSet<&str> = section
        .by_method()
        .iter()
        .filter(|(_, _, limit)| limit.is_some_and(is_rate))
        .map(|(method, _, _)| *method)
        .collect();
    let actors = || server.policy.actors.iter();
    if actors().all(|actor| actor.rate_limit.as_ref().is_some_and(is_rate)) && actors().count() > 0
    {
        return;
    }
    let free: BTreeSet<&str> =
        section.allow.iter().map(String::as_str).filter(|it| !limited.contains(it)).collect();
    if !free.is_empty() {
        let name = server.policy_name();
        findings.push(
            Finding::note(format!(
                "{name} does not limit how often these are asked: {}",
                some(&free)
            ))
            .at(server.place_in_policy("methods.allow"))
            .todo("add `rate_limit` to the method, or to the actor"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::finding::tests::{none_found, of, only_finding};
    use super::super::site::tests::{POLICY, Place};
    use super::*;

    fn check(policy: &str) -> Vec<Finding> {
        super::check(&Place::new().site("", "", policy))
    }

    #[test]
    fn a_tool_without_a_limit_is_found() {
        only_finding(&check(POLICY), "these are called: read_file");
        let in_flight = format!("{POLICY}rate_limits: {{read_file: {{max_concurrent_calls: 1}}}}");
        only_finding(&check(&in_flight), "read_file");
        only_finding(&check("allowed_tools: {ada: [fetch]}"), "fetch");
        only_finding(&check("default_action: ALLOW\nactors: [{id: ada}]"), "how often an actor");
    }

    #[test]
    fn a_limit_of_tool_or_actor_will_do() {
        for policy in [
            format!("{POLICY}rate_limits: {{read_file: {{max_calls_per_hour: 9}}}}"),
            "actors: [{id: a, allowed_tools: [t], rate_limit: {max_calls_per_minute: 9}}]".into(),
            "global_deny_list: [t]\nactors: [{id: a, allowed_tools: [t]}]".into(),
            "default_action: ALLOW\nactors: [{id: a, rate_limit: {max_calls_per_hour: 9}}]".into(),
        ] {
            none_found(&check(&policy));
        }
    }

    #[test]
    fn endless_tools_and_methods_are_told() {
        let notes = |policy: &str| of(Level::Note, &check(policy)).join("\n");
        assert!(notes(POLICY).contains("as long as they like: read_file"));
        let timed = format!("{POLICY}constraints: {{read_file: {{timeout_seconds: 5}}}}");
        assert!(!notes(&timed).contains("as long as they like"));
        let asks = format!("{POLICY}methods: {{allow: [prompts/get]}}");
        assert!(notes(&asks).contains("these are asked: prompts/get"));
        let limited = format!(
            "{POLICY}methods: {{allow: [prompts/get], prompts/get: {{allowed_prompts: [a], rate_limit: \
             {{max_calls_per_minute: 9}}}}}}"
        );
        assert!(!notes(&limited).contains("are asked"), "{}", notes(&limited));
    }
}
