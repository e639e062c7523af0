//! The arguments of a call, as far as effects can follow from them.

use serde_json::Value;

use super::material::Call;
use crate::audit::is_redacted;
use crate::policy::{absolute, means_path};

/// An argument that is a text, a number or a list of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) name: String,
    /// Its texts. Empty when something of it was taken out of the log.
    pub(super) texts: Vec<String>,
    /// Something of it was taken out of the log, so what it was is not known.
    pub(super) redacted: bool,
}

impl Argument {
    /// The paths that it may name: absolute, without `.` and `..`. Of an argument whose name says nothing,
    /// only texts with a slash are paths.
    pub(super) fn paths(&self, root: Option<&str>) -> Vec<String> {
        let named = means_path(&self.name);
        self.paths_of(root, |text| named || text.contains('/'))
    }

    /// The paths that it names, being known to name paths.
    pub(super) fn all_paths(&self, root: Option<&str>) -> Vec<String> {
        self.paths_of(root, |_| true)
    }

    fn paths_of(&self, root: Option<&str>, counts: impl Fn(&str) -> bool) -> Vec<String> {
        let path = |text: &String| {
            let uri = text.contains("://") && !text.starts_with("file:");
            let known = text.starts_with('/') || root.is_some();
            (!uri && known && counts(text)).then(|| absolute(text, root.unwrap_or("/")).ok())?
        };
        self.texts.iter().filter_map(path).collect()
    }
}

/// The arguments of a call, by name.
pub(super) fn arguments(call: &Call) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (name, value) in &call.arguments {
        // A template ends at the first brace.
        if name.is_empty() || is_redacted(name) || name.contains(['}', '$']) {
            continue;
        }
        let mut texts = Vec::new();
        if !collect(value, &mut texts) {
            continue;
        }
        let redacted = texts.iter().any(|text| is_redacted(text));
        if redacted {
            texts.clear();
        }
        arguments.push(Argument { name: name.clone(), texts, redacted });
    }
    arguments.sort_by(|a, b| a.name.cmp(&b.name));
    arguments
}

/// Takes the texts of a value; false when it is something else, too.
fn collect(value: &Value, texts: &mut Vec<String>) -> bool {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Number(number) => texts.push(number.to_string()),
        Value::Array(items) => return items.iter().all(|item| collect(item, texts)),
        _ => return false,
    }
    true
}
