//! The decision about one call.
//!
//! The order: tools that nobody may call, then the actor, its tools, then every constraint of the
//! tool, those of the whole policy and those of the actor. Each must pass.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::check::{
    Denial, approve_paths, check_schema, check_size, check_sql, check_urls, deny, named_paths,
};
use super::compile::{Actor, Policy};
use super::limits::Limits;
use super::schema::ArgumentSchema;
use super::sql::SqlFacts;
use super::url::UrlPeer;
use crate::config::Action;

/// A call to decide about.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Who calls.
    pub actor: &'a str,
    /// Which tool.
    pub tool: &'a str,
    /// With what.
    pub arguments: &'a Map<String, Value>,
    /// Where a lexical absolute path leads after symbolic links, as the file system has it now; the
    /// path itself where it does not exist. Policy does no I/O, so the caller looks it up.
    pub resolve: &'a dyn Fn(&str) -> String,
    /// The tool's own `inputSchema`, when it is known.
    pub schema: Option<&'a ArgumentSchema>,
}

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Decision {
    /// Whether the call may go on.
    #[serde(rename = "decision")]
    pub action: Action,
    /// The key of the rule that decided, such as `constraints.read_file.denied_paths[0]`.
    pub rule: String,
    /// Why, in one line.
    pub reason: String,
    /// The paths that the call names, when it is allowed.
    #[serde(skip)]
    pub paths: Vec<ApprovedPath>,
    /// What the SQL that the call names does, when it is allowed.
    #[serde(rename = "sql", skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<SqlFacts>,
    /// Whom the URLs reach that the call names to a tool limited by URL, when it is allowed.
    #[serde(skip)]
    pub urls: Vec<UrlPeer>,
    /// How long the call may take.
    #[serde(skip)]
    pub timeout: Option<Duration>,
    /// The arguments are not what the tool takes: a tool execution error (MCP 2025-11-25, section
    /// Tools, Error Handling), so that a model can correct itself.
    #[serde(skip)]
    pub bad_arguments: bool,
}

/// A path that a call names and that policy allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedPath {
    /// The argument that names it.
    pub argument: String,
    /// Absolute, as written.
    pub lexical: String,
    /// Absolute, after symbolic links.
    pub real: String,
}

/// Decides about a call.
pub fn decide(policy: &Policy, call: Call) -> Decision {
    let outcome = judge(policy, call);
    outcome.unwrap_or_else(|Denial { rule, reason, bad_arguments }| Decision {
        bad_arguments,
        ..Decision::denied(rule, reason)
    })
}

impl Decision {
    /// A denial by a rule, for a reason.
    pub fn denied(rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            action: Action::Deny,
            rule: rule.into(),
            reason: reason.into(),
            paths: Vec::new(),
            queries: Vec::new(),
            urls: Vec::new(),
            timeout: None,
            bad_arguments: false,
        }
    }
}

fn judge(policy: &Policy, call: Call) -> Result<Decision, Denial> {
    let tool = call.tool;
    let (actor, rule) = entitled(policy, call.actor, tool)?;
    let arguments = call.arguments;
    let limits: Vec<_> = limits_of(policy, actor, tool).collect();
    check_schema(call.schema, arguments, || "inputSchema".to_owned())?;
    let (mut paths, mut queries, mut urls) = (Vec::new(), Vec::new(), Vec::new());
    for limits in &limits {
        check_schema(limits.schema.as_ref(), arguments, || format!("{}.schema", limits.key))?;
        check_size(limits, arguments)?;
        for peer in check_urls(limits, arguments)? {
            if !urls.contains(&peer) {
                urls.push(peer);
            }
        }
        for facts in check_sql(limits, arguments)? {
            if !queries.contains(&facts) {
                queries.push(facts);
            }
        }
        for path in approve_paths(&policy.root, call, limits)? {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    // A tool limited by SQL works through its database: what its arguments name is no file.
    if limits.iter().all(|limits| limits.paths.is_none() && limits.sql.is_none()) {
        paths = named_paths(&policy.root, call);
    }
    Ok(Decision {
        action: Action::Allow,
        rule,
        reason: "allowed".to_owned(),
        paths,
        queries,
        urls,
        timeout: limits.iter().filter_map(|limits| limits.timeout).min(),
        bad_arguments: false,
    })
}

/// The actor that may call the tool at all, and by which rule.
pub(super) fn entitled<'a>(
    policy: &'a Policy,
    actor: &str,
    tool: &str,
) -> Result<(&'a Actor, String), Denial> {
    if policy.denied_tools.contains(tool) {
        return deny("global_deny_list", format!("tool `{tool}` is denied to everyone"));
    }
    let Some(known) = policy.actors.get(actor) else {
        return deny("actors", format!("policy does not know actor `{actor}`"));
    };
    if known.tools.contains(tool) {
        Ok((known, known.key.clone()))
    } else if policy.default_action == Action::Allow {
        Ok((known, "default_action".to_owned()))
    } else {
        let why = format!("tool `{tool}` is not among the tools of actor `{actor}`");
        deny("default_action", why)
    }
}

fn limits_of<'a>(
    policy: &'a Policy,
    actor: &'a Actor,
    tool: &str,
) -> impl Iterator<Item = &'a Limits> {
    policy.constraints.get(tool).into_iter().chain(actor.constraints.get(tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PolicyFile;

    const POLICY: &str = "
global_deny_list: [delete_file]
actors:
  - id: reader
    allowed_tools: [read_file, delete_file, write_file, version]
    constraints:
      read_file: {denied_extensions: [.key]}
constraints:
  read_file:
    allowed_paths: ['public/**']
    denied_paths: ['**/.env']
  write_file:
    allowed_paths: ['public/**']
    allowed_extensions: ['.md']
    max_file_size: 4
";

    fn decision(actor: &str, tool: &str, arguments: &str) -> Decision {
        let file: PolicyFile = serde_yaml::from_str(POLICY).expect("policy");
        let policy = Policy::compile(&file, "/srv").expect("compiles");
        let arguments = serde_json::from_str(arguments).expect("arguments");
        // In this file system, public/link leads out.
        let resolve = |path: &str| match path {
            "/srv/public/link" => "/etc/passwd".to_owned(),
            other => other.to_owned(),
        };
        decide(
            &policy,
            Call { actor, tool, arguments: &arguments, resolve: &resolve, schema: None },
        )
    }

    #[track_caller]
    fn denied_by(actor: &str, tool: &str, arguments: &str, rule: &str) {
        let decision = decision(actor, tool, arguments);
        assert_eq!(decision.action, Action::Deny, "{decision:?}");
        assert_eq!(decision.rule, rule, "{decision:?}");
    }

    #[track_caller]
    fn allowed(actor: &str, tool: &str, arguments: &str) {
        let decision = decision(actor, tool, arguments);
        assert_eq!(decision.action, Action::Allow, "{decision:?}");
    }

    #[test]
    fn actors_have_their_tools_and_no_others() {
        allowed("reader", "version", "{}");
        denied_by("reader", "execute_shell", "{}", "default_action");
        denied_by("reader", "Version", "{}", "default_action");
        denied_by("stranger", "version", "{}", "actors");
    }

    #[test]
    fn the_global_deny_list_beats_every_allow_list() {
        denied_by("reader", "delete_file", r#"{"path":"public/a"}"#, "global_deny_list");
    }

    #[test]
    fn paths_must_be_allowed_and_not_denied_on_both_views() {
        allowed("reader", "read_file", r#"{"path":"public/a.txt"}"#);
        let allow = "constraints.read_file.allowed_paths";
        denied_by("reader", "read_file", r#"{"path":"public/../secret"}"#, allow);
        denied_by("reader", "read_file", r#"{"path":"/etc/passwd"}"#, allow);
        denied_by("reader", "read_file", r#"{"path":"public/link"}"#, allow);
        let deny = "constraints.read_file.denied_paths[0]";
        denied_by("reader", "read_file", r#"{"path":"public/.env"}"#, deny);
    }

    #[test]
    fn a_call_without_its_path_cannot_be_judged() {
        denied_by("reader", "read_file", "{}", "constraints.read_file");
        denied_by("reader", "read_file", r#"{"path":7}"#, "constraints.read_file");
        denied_by("reader", "read_file", r#"{"path":"a\u0000b"}"#, "constraints.read_file");
    }

    #[test]
    fn constraints_of_the_actor_hold_beside_those_of_the_policy() {
        let rule = "actors[0].constraints.read_file.denied_extensions";
        denied_by("reader", "read_file", r#"{"path":"public/id.KEY"}"#, rule);
    }

    #[test]
    fn writes_are_bounded() {
        allowed("reader", "write_file", r#"{"path":"public/a.md","content":"four"}"#);
        let size = "constraints.write_file.max_file_size";
        denied_by("reader", "write_file", r#"{"path":"public/a.md","content":"fifth"}"#, size);
        denied_by("reader", "write_file", r#"{"path":"public/a.md"}"#, size);
        let ending = "constraints.write_file.allowed_extensions";
        denied_by("reader", "write_file", r#"{"path":"public/a.sh","content":""}"#, ending);
        denied_by("reader", "write_file", r#"{"path":"public/md","content":""}"#, ending);
    }
}
