//! Methods as a policy lists them, and globs of names.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::config::{Problem, suggestion};
use crate::mcp::methods::{METHODS, Nature, known};

/// An entry of `allow` or `deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A method.
    One(String),
    /// Those that begin with this, the slash included.
    Group(String),
}

/// On which list an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Allow,
    Deny,
}

impl Entry {
    /// Reads an entry at `key`.
    pub(super) fn read(text: &str, list: List, key: &str) -> Result<Self, Problem> {
        let bad = |why: String| Err(Problem::new(key, why));
        if let Some(group) = text.strip_suffix('*') {
            let has = |group: &str| METHODS.iter().any(|m| m.name.starts_with(group));
            if group.ends_with('/') && (has(group) || list == List::Deny) {
                return Ok(Self::Group(group.to_owned()));
            }
            let groups = METHODS.iter().filter_map(|m| Some(m.name.rsplit_once('/')?.0));
            let hint = suggestion(group.trim_end_matches('/'), groups);
            return bad(format!(
                "`{text}` is no group of methods{hint}; write one such as `resources/*`"
            ));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '$');
        if text.is_empty() || !text.chars().all(plain) {
            return bad("a method is a name such as `resources/read`, or `resources/*`".to_owned());
        }
        match known(text).map(|method| method.nature) {
            Some(Nature::Tool) => {
                bad("tools are allowed by name: write them under `actors[].allowed_tools`"
                    .to_owned())
            }
            Some(Nature::Core) if list == List::Deny => {
                bad(format!("no session can do without `{text}`; remove it"))
            }
            Some(_) => Ok(Self::One(text.to_owned())),
            None => match suggestion(text, METHODS.iter().map(|method| method.name)) {
                none if none.is_empty() => Ok(Self::One(text.to_owned())),
                hint => bad(format!("MCP has no method `{text}`{hint}")),
            },
        }
    }

    /// Whether the entry allows a method. A group does not hold what MCP does not have.
    pub(super) fn allows(&self, method: &str) -> bool {
        match self {
            Self::One(name) => {
                let pair = name == "resources/subscribe" && method == "resources/unsubscribe";
                name == method || pair
            }
            Self::Group(group) => method.starts_with(group) && known(method).is_some(),
        }
    }

    /// Whether the entry denies a method. What no session can do without is in no group.
    pub(super) fn denies(&self, method: &str) -> bool {
        match self {
            Self::One(name) => name == method,
            Self::Group(group) => {
                let core = known(method).is_some_and(|known| known.nature == Nature::Core);
                method.starts_with(group) && !core
            }
        }
    }
}

/// Globs of names: `*` stands for any characters, `?` for one, `[…]` and `{a,b}` choose.
#[derive(Debug)]
pub(super) struct NameGlobs {
    set: GlobSet,
    patterns: Vec<String>,
}

impl NameGlobs {
    /// Builds a set for the list at `key`.
    pub(super) fn new(patterns: &[String], any_case: bool, key: &str) -> Result<Self, Problem> {
        let mut set = GlobSetBuilder::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let key = format!("{key}[{index}]");
            if pattern.is_empty() {
                return Err(Problem::new(key, "an empty pattern matches nothing; remove it"));
            }
            let glob = GlobBuilder::new(pattern)
                .case_insensitive(any_case)
                .build()
                .map_err(|error| Problem::new(key, format!("not a glob: {}", error.kind())))?;
            set.add(glob);
        }
        let set = set.build().map_err(|error| Problem::new(key, error.to_string()))?;
        Ok(Self { set, patterns: patterns.to_vec() })
    }

    /// The first pattern that matches: its index and text.
    pub(super) fn first_match(&self, name: &str) -> Option<(usize, &str)> {
        let index = self.set.matches(name).into_iter().min()?;
        Some((index, self.patterns.get(index)?))
    }

    /// Whether any pattern matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.set.is_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_methods_groups_and_what_mcp_does_not_have() {
        let allow = |text| Entry::read(text, List::Allow, "methods.allow[0]");
        assert!(allow("resources/read").expect("known").allows("resources/read"));
        assert!(allow("resources/subscribe").expect("known").allows("resources/unsubscribe"));
        assert!(!allow("resources/read").expect("known").allows("resources/reads"));
        let group = allow("resources/*").expect("a group");
        assert!(group.allows("resources/read") && !group.allows("resources/delete"));
        assert!(allow("com.example/count").expect("a vendor's").allows("com.example/count"));
        for (bad, hint) in [
            ("resource/read", "did you mean `resources/read`?"),
            ("sampling/create_message", "did you mean `sampling/createMessage`?"),
            ("resource/*", "did you mean `resources`?"),
            ("tools/call", "allowed_tools"),
            ("*", "resources/*"),
            ("", "a method is a name"),
            ("a b", "a method is a name"),
        ] {
            let problem = allow(bad).expect_err(bad);
            assert!(problem.message.contains(hint), "{bad}: {}", problem.message);
        }
    }

    #[test]
    fn what_no_session_can_do_without_cannot_be_denied() {
        let deny = |text| Entry::read(text, List::Deny, "methods.deny[0]");
        assert!(deny("initialize").is_err() && deny("notifications/initialized").is_err());
        let all = deny("notifications/*").expect("a group");
        assert!(all.denies("notifications/message") && !all.denies("notifications/initialized"));
        assert!(deny("com.example/*").expect("a group").denies("com.example/count"));
    }
}
