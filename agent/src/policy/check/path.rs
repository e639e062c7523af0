//! Which paths a call may name.

use super::{Denial, deny, named, texts};
use crate::policy::arguments::{Meaning, Named};
use crate::policy::decide::{ApprovedPath, Call};
use crate::policy::limits::{Limits, PathLimits};
use crate::policy::paths::absolute;

/// The paths that a call names, each judged by every limit that looks at the argument it stands in.
pub(in crate::policy) fn approve_paths(
    root: &str,
    call: Call,
    limits: &Limits,
) -> Result<Vec<ApprovedPath>, Denial> {
    let Some(paths) = &limits.paths else { return Ok(Vec::new()) };
    let key = limits.key.as_str();
    texts(call.arguments, Meaning::Path, paths.arguments.as_deref(), key)?
        .into_iter()
        .map(|Named { name, value }| {
            let lexical = absolute(value, root)
                .or_else(|why| deny(key, format!("argument `{name}`: {why}")))?;
            let path = ApprovedPath { real: (call.resolve)(&lexical), argument: name, lexical };
            check_path(key, paths, &path)?;
            Ok(path)
        })
        .collect()
}

/// The paths that a call names to a tool that is not limited by path: what reads as one.
pub(in crate::policy) fn named_paths(root: &str, call: Call) -> Vec<ApprovedPath> {
    named(call.arguments, Meaning::Path, None)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|Named { name, value }| {
            let lexical = absolute(value, root).ok()?;
            Some(ApprovedPath { real: (call.resolve)(&lexical), argument: name, lexical })
        })
        .collect()
}

/// Judges a path by both views of it.
fn check_path(key: &str, limits: &PathLimits, path: &ApprovedPath) -> Result<(), Denial> {
    let argument = &path.argument;
    let linked = (path.lexical != path.real).then_some((&path.real, " after symbolic links"));
    for (view, how) in [(&path.lexical, "")].into_iter().chain(linked) {
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
