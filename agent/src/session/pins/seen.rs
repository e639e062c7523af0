//! What one session's server has listed.

use std::collections::{HashMap, HashSet};

/// Lists that may be read page by page at once.
const MAX_PASSES: usize = 8;
/// Tools of which a session keeps books.
const MAX_TOOLS: usize = 4096;

/// The books of one session.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Hash of the definition that was last listed, by tool.
    tools: HashMap<String, String>,
    /// Hash of what was last told in the audit log, by tool.
    told: HashMap<String, String>,
    /// Tools that are gone, which was told.
    gone: HashSet<String>,
    /// Lists of which pages are missing: the cursor of the next one, and the names until there.
    passes: Vec<(String, HashSet<String>)>,
}

impl Seen {
    /// The hash that a tool was last listed with.
    pub(super) fn hash_of(&self, tool: &str) -> Option<&str> {
        self.tools.get(tool).map(String::as_str)
    }

    /// Notes what a tool is listed with. False when the books are full.
    pub(super) fn note(&mut self, tool: &str, hash: &str) -> bool {
        set(&mut self.tools, tool, hash)
    }

    /// Whether this is to be told, once for each definition in turn.
    pub(super) fn tell(&mut self, tool: &str, hash: &str) -> bool {
        self.told.get(tool).map(String::as_str) != Some(hash) && set(&mut self.told, tool, hash)
    }

    /// Notes a page. Gives the names of the whole list when this was its last page and all before it were
    /// seen. `cursor` is what was asked for, `next` what the answer names.
    pub(super) fn page(
        &mut self,
        cursor: Option<&str>,
        names: impl IntoIterator<Item = String>,
        next: Option<&str>,
    ) -> Option<HashSet<String>> {
        let mut all = match cursor {
            None => HashSet::new(),
            Some(cursor) => {
                let at = self.passes.iter().position(|(next, _)| next == cursor)?;
                self.passes.swap_remove(at).1
            }
        };
        all.extend(names.into_iter().take(MAX_TOOLS));
        let Some(next) = next else { return Some(all) };
        if all.len() <= MAX_TOOLS {
            self.passes.retain(|(other, _)| other != next);
            if self.passes.len() == MAX_PASSES {
                self.passes.remove(0);
            }
            self.passes.push((next.to_owned(), all));
        }
        None
    }

    /// Whether a tool is gone of which that was not told yet. `listed`: it is there.
    pub(super) fn newly_gone(&mut self, tool: &str, listed: bool) -> bool {
        if listed {
            self.gone.remove(tool);
            return false;
        }
        self.gone.len() < MAX_TOOLS && self.gone.insert(tool.to_owned())
    }
}

fn set(books: &mut HashMap<String, String>, tool: &str, hash: &str) -> bool {
    if books.len() >= MAX_TOOLS && !books.contains_key(tool) {
        return false;
    }
    books.insert(tool.to_owned(), hash.to_owned());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_list_is_whole_with_its_last_page() {
        let mut seen = Seen::default();
        let whole = seen.page(None, names(&["a"]), None).expect("whole");
        assert_eq!(whole.len(), 1);
        assert!(seen.page(None, names(&["a"]), Some("2")).is_none());
        assert!(seen.page(None, names(&["x"]), Some("other")).is_none(), "another list at once");
        assert!(seen.page(Some("2"), names(&["b"]), Some("3")).is_none());
        let whole = seen.page(Some("3"), names(&["c"]), None).expect("whole");
        assert_eq!(whole, ["a", "b", "c"].map(str::to_owned).into());
        assert!(seen.page(Some("3"), names(&["c"]), None).is_none(), "its beginning was not seen");
    }

    #[test]
    fn a_thing_is_told_once_for_each_definition() {
        let mut seen = Seen::default();
        assert!(seen.tell("a", "1") && !seen.tell("a", "1"));
        assert!(seen.tell("a", "2") && seen.tell("a", "1"));
        assert!(seen.newly_gone("a", false) && !seen.newly_gone("a", false));
        assert!(!seen.newly_gone("a", true) && seen.newly_gone("a", false));
    }

    #[test]
    fn books_have_bounds() {
        let mut seen = Seen::default();
        for n in 0..MAX_TOOLS {
            assert!(seen.note(&n.to_string(), "1"));
        }
        assert!(!seen.note("more", "1") && seen.note("0", "2"));
        for n in 0..100 {
            assert!(seen.page(None, names(&["a"]), Some(&n.to_string())).is_none());
        }
        assert_eq!(seen.passes.len(), MAX_PASSES);
    }
}
