//! What a client asks of a server, by the method that it uses.

use std::time::Duration;

use serde_json::{Map, Value};

use super::arguments::method_arguments;
use super::compile::{Methods, NameLimits, ResourceRules};
use super::decide::Asked;
use super::uris::path_of;
use crate::mcp::json::case_collision;
use crate::policy::check::{Denial, deny, named_paths};
use crate::policy::decide::{ApprovedPath, Call};

/// What limits leave of a request.
#[derive(Debug, Default)]
pub(super) struct Approved {
    pub(super) paths: Vec<ApprovedPath>,
    pub(super) timeout: Option<Duration>,
}

/// Judges a request that may be made by the limits that hold for it.
pub(super) fn check_request(
    root: &str,
    asked: Asked,
    levels: &[&Methods],
) -> Result<Approved, Denial> {
    let timeout = |limit: &dyn Fn(&Methods) -> Option<Duration>| {
        levels.iter().filter_map(|level| limit(level)).min()
    };
    match asked.method {
        "resources/read" => {
            let limits = levels.iter().filter_map(|level| level.read.as_ref());
            Ok(Approved {
                paths: resource(root, asked, text(asked, "uri")?, "uri", limits)?,
                timeout: timeout(&|level| level.read.as_ref()?.timeout),
            })
        }
        "resources/subscribe" | "resources/unsubscribe" => {
            let limits = levels.iter().filter_map(|level| level.subscribe.as_ref());
            Ok(Approved {
                paths: resource(root, asked, text(asked, "uri")?, "uri", limits)?,
                timeout: timeout(&|level| level.subscribe.as_ref()?.timeout),
            })
        }
        "prompts/get" => {
            let name = text(asked, "name")?;
            for level in levels {
                level.prompt.as_ref().map_or(Ok(()), |rules| rules.names.check(name))?;
            }
            Ok(Approved {
                paths: argument_paths(root, asked)?,
                timeout: timeout(&|level| level.prompt.as_ref()?.timeout),
            })
        }
        "completion/complete" => {
            reference(root, asked, levels)?;
            Ok(Approved {
                paths: argument_paths(root, asked)?,
                timeout: timeout(&|level| level.complete.as_ref()?.timeout),
            })
        }
        _ => Ok(Approved::default()),
    }
}

/// Judges a resource by URI, and gives its path when it is a file.
pub(super) fn resource<'a>(
    root: &str,
    asked: Asked,
    uri: &str,
    place: &str,
    limits: impl Iterator<Item = &'a ResourceRules>,
) -> Result<Vec<ApprovedPath>, Denial> {
    let path = path_of(uri, place, root, asked.resolve)
        .or_else(|why| deny(format!("methods.{}", asked.method), format!("{place}: {why}")))?;
    for limits in limits {
        limits.uris.judge(uri, place, root, asked.resolve)?;
    }
    Ok(path.into_iter().collect())
}

/// Judges what a completion is for: a prompt or a resource template.
fn reference(root: &str, asked: Asked, levels: &[&Methods]) -> Result<(), Denial> {
    let own = || format!("methods.{}", asked.method);
    let of = asked.params.get("ref").and_then(Value::as_object);
    let part = |name: &str| of.and_then(|of| of.get(name)).and_then(Value::as_str);
    let limits = levels.iter().filter_map(|level| level.complete.as_ref());
    match (part("type"), part("name"), part("uri")) {
        (Some("ref/prompt"), Some(name), None) => {
            for limits in limits {
                limits.names.check(name)?;
            }
        }
        (Some("ref/resource"), None, Some(uri)) => {
            for limits in limits {
                limits.uris.judge(uri, "ref.uri", root, asked.resolve)?;
            }
        }
        _ => return deny(own(), "`ref` is neither a prompt with a name nor a resource with a URI"),
    }
    Ok(())
}

impl NameLimits {
    fn check(&self, name: &str) -> Result<(), Denial> {
        let key = &self.key;
        let shown = name.escape_debug();
        if let Some((index, pattern)) = self.denied.first_match(name) {
            let reason = format!("prompt `{shown}` matches `{pattern}`");
            return deny(format!("{key}.denied_prompts[{index}]"), reason);
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.matches(name)) {
            let reason = format!("prompt `{shown}` matches no allowed prompt");
            return deny(format!("{key}.allowed_prompts"), reason);
        }
        Ok(())
    }
}

/// The paths among the arguments, for a warrant that names one of them.
fn argument_paths(root: &str, asked: Asked) -> Result<Vec<ApprovedPath>, Denial> {
    let arguments = method_arguments(asked.method, asked.params);
    if let Some((a, b)) = case_collision(&arguments) {
        let reason = format!("arguments `{a}` and `{b}` differ only in case");
        return deny(format!("methods.{}", asked.method), reason);
    }
    let Asked { actor, method: tool, resolve, .. } = asked;
    Ok(named_paths(root, Call { actor, tool, arguments: &arguments, resolve, schema: None }))
}

fn text<'a>(asked: Asked<'a>, name: &str) -> Result<&'a str, Denial> {
    let own: &Map<String, Value> = asked.params;
    match own.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text),
        None => deny(format!("methods.{}", asked.method), format!("it needs a \"{name}\"")),
    }
}
