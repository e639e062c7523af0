//! What a server showed that is not accepted.

use crate::config::PinEntry;
use crate::policy::pin::Definition;
use crate::session::Content;

/// One tool of which something else was seen than was accepted.
pub(super) struct Difference {
    /// The accepted definition; `None` for a tool that was never accepted.
    pub(super) old: Option<Definition>,
    /// The one that was seen.
    pub(super) new: Definition,
    /// The same as it is kept.
    pub(super) entry: PinEntry,
}

impl Difference {
    pub(super) fn name(&self) -> &str {
        self.new.name()
    }

    /// `changed` or `new`.
    pub(super) fn kind(&self) -> &'static str {
        if self.old.is_some() { "changed" } else { "new" }
    }

    /// The keys that differ; of a tool that was never accepted, all but its name.
    pub(super) fn parts(&self) -> Vec<String> {
        match &self.old {
            Some(old) => self.new.changed_parts(old),
            None => self.new.parts().filter(|part| *part != "name").map(str::to_owned).collect(),
        }
    }
}

/// Everything that was seen and is not accepted, by name.
pub(super) fn differences(accepted: &Content, seen: &Content) -> Vec<Difference> {
    let tools = seen.definitions.iter().zip(seen.file.tools.values());
    tools
        .map(|((name, new), entry)| {
            let old = accepted.definitions.get(name).cloned();
            Difference { old, new: new.clone(), entry: entry.clone() }
        })
        .filter(|difference| difference.old.as_ref() != Some(&difference.new))
        .collect()
}
