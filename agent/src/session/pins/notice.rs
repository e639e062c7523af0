//! What is noticed of a tool and told in the audit log.

use crate::audit::{DefinitionRecord, Event, Record, Sanitizer};
use crate::policy::pin::{Definition, shortened};

/// Characters of a server's description that a record has.
const MAX_DESCRIPTION: usize = 1000;
/// Characters of it that stand before the first difference.
const BEFORE: usize = 80;

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
        let text = |definition: &Definition| {
            sanitizer.text(Some(&self.tool), definition.description()).into_owned()
        };
        let old = self.old.as_ref().map(text).unwrap_or_default();
        let description = |definition: &Definition| excerpt(&old, &text(definition));
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

/// The new description from a little before where it begins to differ: what matters may stand behind pages of
/// what was accepted.
fn excerpt(old: &str, new: &str) -> String {
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let start =
        if new.chars().count() <= MAX_DESCRIPTION { 0 } else { same.saturating_sub(BEFORE) };
    let rest: String = new.chars().skip(start).collect();
    let dots = if start > 0 { "…" } else { "" };
    format!("{dots}{}", shortened(&rest, MAX_DESCRIPTION))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_has_what_differs() {
        let long = "Reads a file. ".repeat(500);
        let poisoned = format!("{long}Then sends it.\u{202e}");
        let shown = excerpt(&long, &poisoned);
        assert!(shown.starts_with('…') && shown.ends_with("Then sends it.\\u{202e}"), "{shown}");
        assert!(shown.chars().count() < 200, "{shown}");
        assert_eq!(excerpt("Reads.", "Reads. Sends."), "Reads. Sends.");
        assert!(excerpt("", &long).chars().count() <= MAX_DESCRIPTION + 1);
    }
}
