//! What would have to be different for a denied call to be allowed: for people, not for programs.

use super::compile::Policy;
use super::decide::{Call, Decision};
use crate::config::{Action, suggestion};

/// How a denied call misses being allowed, in one line; `None` when nothing near would allow it.
pub fn near_miss(policy: &Policy, call: Call, decision: &Decision) -> Option<String> {
    if decision.action == Action::Allow {
        return None;
    }
    let tool = call.tool;
    match decision.rule.as_str() {
        "global_deny_list" => Some(format!("would go on if `{tool}` were not in global_deny_list")),
        "actors" => {
            let hint = suggestion(call.actor, policy.actor_ids());
            Some(format!("would go on if `{}` were among the actors{hint}", call.actor))
        }
        "default_action" => Some(missing_tool(policy, call)),
        rule if rule.ends_with(".allowed_paths") => {
            let limits = policy.limits_by_key(rule.strip_suffix(".allowed_paths")?)?;
            let patterns = limits.paths.as_ref()?.allowed.as_ref()?.patterns().join("`, `");
            Some(format!("would go on if the path matched one of `{patterns}`"))
        }
        rule if rule.contains(".denied_") => Some(format!("would go on without {rule}")),
        _ => None,
    }
}

/// For a tool that the actor may not call: a tool of a similar name, or who else may call it.
fn missing_tool(policy: &Policy, call: Call) -> String {
    let tool = call.tool;
    let Some(actor) = policy.actors.get(call.actor) else { return String::new() };
    let list = &actor.key;
    let hint = suggestion(tool, actor.tools.iter().map(String::as_str));
    let may = |id: &&str| policy.actors.get(*id).is_some_and(|other| other.tools.contains(tool));
    let others: Vec<_> = policy.actor_ids().filter(may).take(3).collect();
    let others = if others.is_empty() {
        String::new()
    } else {
        format!(" (actors who may: {})", others.join(", "))
    };
    format!("would be allowed by {list} if it named `{tool}`{hint}{others}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PolicyFile;
    use crate::policy::decide;

    fn hint(actor: &str, tool: &str, arguments: &str) -> Option<String> {
        let text = "
global_deny_list: [rm]
actors:
  - {id: reader, allowed_tools: [read_file]}
  - {id: admin, allowed_tools: [write_file]}
constraints:
  read_file: {allowed_paths: ['docs/**'], denied_paths: ['**/.env']}
";
        let file: PolicyFile = serde_yaml::from_str(text).expect("policy");
        let policy = Policy::compile(&file, "/srv").expect("compiles");
        let arguments = serde_json::from_str(arguments).expect("arguments");
        let call =
            Call { actor, tool, arguments: &arguments, resolve: &str::to_owned, schema: None };
        near_miss(&policy, call, &decide(&policy, call))
    }

    #[test]
    fn the_way_to_an_allow_is_named() {
        for (actor, tool, arguments, expected) in [
            ("reader", "raed_file", "{}", "did you mean `read_file`?"),
            ("reader", "write_file", "{}", "actors who may: admin"),
            ("raeder", "read_file", "{}", "did you mean `reader`?"),
            ("reader", "rm", "{}", "global_deny_list"),
            ("reader", "read_file", r#"{"path":"/x"}"#, "matched one of `docs/**`"),
            ("reader", "read_file", r#"{"path":"docs/.env"}"#, "denied_paths[0]"),
        ] {
            let hint = hint(actor, tool, arguments).unwrap_or_default();
            assert!(hint.contains(expected), "{hint}");
        }
        assert_eq!(hint("reader", "read_file", r#"{"path":"docs/a"}"#), None);
    }
}
