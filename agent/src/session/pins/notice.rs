//! What is noticed of a tool and told in the audit log.

use crate::audit::{DefinitionRecord, Event, Record, Sanitizer};
use crate::policy::pin::{Definition, shortened};

/// Characters of a server's description that a record has.
const MAX_DESCRIPTION: usize = 1000;

/// What is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Its definition is not the accepted one.
    Changed,
    /// It was never accepted.
    New,
    /// It is not listed any more.
    Vanished,
}

/// One tool of which something is to be told.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) what: What,
    pub(crate) tool: String,
    /// The accepted definition.
    pub(crate) old: Option<Definition>,
    /// The listed one.
    pub(crate) new: Option<Definition>,
    /// A tool of a name that reads like this one.
    pub(crate) similar_to: Option<String>,
}

impl Notice {
    /// In one line, for people.
    pub(crate) fn line(&self) -> String {
        let tool = &self.tool;
        match (self.what, &self.similar_to) {
            (What::Changed, _) => {
                format!("tool `{tool}` is not defined as accepted: {}", self.changed().join(", "))
            }
            (What::New, None) => format!("tool `{tool}` was never accepted"),
            (What::New, Some(other)) => {
                format!("tool `{tool}` is new, and its name reads like that of `{other}`")
            }
            (What::Vanished, _) => format!("tool `{tool}` is not listed any more"),
        }
    }

    /// The rest of the record of this, whose beginning is `record`.
    pub(crate) fn fill(&self, record: Record, sanitizer: &Sanitizer) -> Record {
        let hash = |definition: &Definition| definition.hash().to_owned();
        let description = |definition: &Definition| {
            let clean = sanitizer.text(Some(&self.tool), definition.description());
            shortened(&clean, MAX_DESCRIPTION)
        };
        let definition = DefinitionRecord {
            old_hash: self.old.as_ref().map(hash),
            new_hash: self.new.as_ref().map(hash),
            changed: self.changed(),
            description: self.new.as_ref().map(description),
            similar_to: self.similar_to.clone(),
        };
        Record { tool_name: Some(self.tool.clone()), definition: Some(definition), ..record }
    }

    pub(crate) fn event(&self) -> Event {
        match self.what {
            What::Changed => Event::ToolChanged,
            What::New => Event::ToolNew,
            What::Vanished => Event::ToolVanished,
        }
    }

    /// The keys that differ. The server chooses their names.
    fn changed(&self) -> Vec<String> {
        let (Some(old), Some(new)) = (&self.old, &self.new) else { return Vec::new() };
        let parts = new.changed_parts(old);
        parts.iter().take(16).map(|part| shortened(part, 64)).collect()
    }
}
