//! The checks of one constraint on a call's arguments.

use serde_json::{Map, Value};

use super::decide::ApprovedPath;
use super::limits::Limits;

/// Arguments whose bytes become a file's content, for `max_file_size`.
const CONTENT: [&str; 5] = ["content", "contents", "text", "data", "body"];

/// A denial in the making.
pub(super) struct Denial {
    pub(super) rule: String,
    pub(super) reason: String,
}

/// A denial by `rule`.
pub(super) fn deny<T>(rule: impl Into<String>, reason: impl Into<String>) -> Result<T, Denial> {
    Err(Denial { rule: rule.into(), reason: reason.into() })
}

/// Judges a path by both views of it.
pub(super) fn check_path(limits: &Limits, path: &ApprovedPath) -> Result<(), Denial> {
    let key = &limits.key;
    let argument = &path.argument;
    let linked = path.lexical != path.real;
    let mut views = vec![(path.lexical.as_str(), "")];
    if linked {
        views.push((path.real.as_str(), " after symbolic links"));
    }
    for (view, how) in views {
        if let Some((index, pattern)) = limits.denied.first_match(view) {
            return deny(
                format!("{key}.denied_paths[{index}]"),
                format!("argument `{argument}`{how} matches `{pattern}`"),
            );
        }
        if limits.allowed.as_ref().is_some_and(|allowed| !allowed.matches(view)) {
            return deny(
                format!("{key}.allowed_paths"),
                format!("argument `{argument}`{how} matches no allowed path"),
            );
        }
        if let Some(ending) = limits.denied_extensions.iter().find(|e| has_ending(view, e)) {
            return deny(
                format!("{key}.denied_extensions"),
                format!("argument `{argument}`{how} ends in `{ending}`"),
            );
        }
        if let Some(allowed) = &limits.allowed_extensions
            && !allowed.iter().any(|e| has_ending(view, e))
        {
            return deny(
                format!("{key}.allowed_extensions"),
                format!("argument `{argument}`{how} ends in none of the allowed extensions"),
            );
        }
    }
    Ok(())
}

/// Whether the file name of `path` ends in `.ending`, whatever the case.
fn has_ending(path: &str, ending: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let ending = ending.trim_start_matches('.').to_lowercase();
    name.strip_suffix(&ending).is_some_and(|stem| stem.ends_with('.'))
}

/// Judges the size of what is to be written.
pub(super) fn check_size(limits: &Limits, arguments: &Map<String, Value>) -> Result<(), Denial> {
    let Some(most) = limits.max_file_size else { return Ok(()) };
    let rule = format!("{}.max_file_size", limits.key);
    let contents: Vec<_> = CONTENT.iter().filter_map(|name| arguments.get(*name)).collect();
    if contents.is_empty() {
        return deny(rule, "the tool is limited by content size, and the call has no content");
    }
    let mut size = 0;
    for content in contents {
        match content {
            Value::String(text) => size += text.len() as u64,
            _ => return deny(rule, "the content is not a string"),
        }
    }
    if size > most {
        return deny(rule, format!("{size} bytes of content; at most {most} are allowed"));
    }
    Ok(())
}
