//! What a policy's `methods` say that can hardly be meant.

use super::names::{Entry, List};
use crate::config::{MethodsSection, PolicyFile, Problem};
use crate::mcp::methods::known;

/// Remarks on the `methods` of a valid policy, each with the way out.
pub fn method_remarks(policy: &PolicyFile) -> Vec<Problem> {
    let mut remarks = Vec::new();
    let all = entries(&policy.methods.allow, List::Allow);
    let denied = entries(&policy.methods.deny, List::Deny);
    let own: Vec<_> = policy
        .actors
        .iter()
        .enumerate()
        .map(|(index, actor)| (format!("actors[{index}].methods"), &actor.methods))
        .collect();
    let everyone: Vec<_> =
        own.iter().flat_map(|(_, methods)| entries(&methods.allow, List::Allow)).collect();
    let sections = std::iter::once(("methods".to_owned(), &policy.methods, None))
        .chain(own.iter().map(|(key, methods)| (key.clone(), *methods, Some(*methods))));
    for (key, section, actor) in sections {
        let allowed: Vec<_> = match actor {
            None => all.iter().chain(&everyone).cloned().collect(),
            Some(own) => all.iter().cloned().chain(entries(&own.allow, List::Allow)).collect(),
        };
        for method in section.limited() {
            if !allowed.iter().any(|entry| entry.allows(method)) {
                let message = format!("nobody may use `{method}`: add it to `{key}.allow`");
                remarks.push(Problem::new(format!("{key}.{method}"), message));
            }
        }
        remarks.extend(of_list(&key, section, &denied));
    }
    remarks
}

/// Remarks on the list of what is allowed.
fn of_list(key: &str, section: &MethodsSection, denied: &[Entry]) -> Vec<Problem> {
    let own = entries(&section.deny, List::Deny);
    let remark = |(index, text): (usize, &String)| {
        let place = format!("{key}.allow[{index}]");
        if own.iter().chain(denied).any(|entry| entry.denies(text)) {
            let message = format!("`{text}` is denied, too, and that wins; keep one of the two");
            return Some(Problem::new(place, message));
        }
        if !text.ends_with('*') && known(text).is_none() {
            let message = format!(
                "no revision of MCP has `{text}`; clients may send it, without limits and with a warrant for \
                 nothing"
            );
            return Some(Problem::new(place, message));
        }
        None
    };
    section.allow.iter().enumerate().filter_map(remark).collect()
}

/// The entries of a list that was checked.
fn entries(texts: &[String], list: List) -> Vec<Entry> {
    texts.iter().filter_map(|text| Entry::read(text, list, "").ok()).collect()
}
