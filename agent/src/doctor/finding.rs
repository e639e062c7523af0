//! What a check came to.

use serde::Serialize;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing: it may be meant, or could not be looked at.
    Note,
    /// Not fit for production.
    Finding,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What is so, or what is wrong.
    pub what: String,
    /// Where: a file, with line and key if it is about one.
    #[serde(rename = "where")]
    pub place: Option<String>,
    /// What to do.
    pub todo: Option<String>,
}

/// Everything that was found about one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Family {
    /// The subject, in one word or two.
    pub name: &'static str,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Finding {
    fn new(level: Level, what: impl Into<String>) -> Self {
        Self { level, what: what.into(), place: None, todo: None }
    }

    /// Something that is as it should be.
    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self::new(Level::Ok, what)
    }

    /// Something worth knowing.
    pub(super) fn note(what: impl Into<String>) -> Self {
        Self::new(Level::Note, what)
    }

    /// Something that is not fit for production.
    pub(super) fn bad(what: impl Into<String>) -> Self {
        Self::new(Level::Finding, what)
    }

    /// The same, with where it is.
    pub(super) fn at(self, place: impl Into<String>) -> Self {
        Self { place: Some(place.into()), ..self }
    }

    /// The same, with what to do.
    pub(super) fn todo(self, todo: impl Into<String>) -> Self {
        Self { todo: Some(todo.into()), ..self }
    }
}

impl Family {
    pub(super) fn new(name: &'static str, findings: Vec<Finding>) -> Self {
        Self { name, findings }
    }
}

/// Some names of many: `a, b, c and 4 more`.
pub(super) fn some<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    const SHOWN: usize = 6;
    let names: Vec<S> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What is told of a level.
    pub(in crate::doctor) fn of(level: Level, findings: &[Finding]) -> Vec<&str> {
        findings.iter().filter(|it| it.level == level).map(|it| it.what.as_str()).collect()
    }

    /// Demands one finding that says this, with a way out.
    #[track_caller]
    pub(in crate::doctor) fn only_finding(findings: &[Finding], says: &str) {
        let bad: Vec<_> = findings.iter().filter(|it| it.level == Level::Finding).collect();
        assert!(bad.len() == 1 && bad[0].what.contains(says), "`{says}`: {findings:#?}");
        assert!(bad[0].todo.is_some(), "no way out: {bad:#?}");
    }

    /// Demands that nothing is found.
    #[track_caller]
    pub(in crate::doctor) fn none_found(findings: &[Finding]) {
        assert!(of(Level::Finding, findings).is_empty(), "{findings:#?}");
    }

    #[test]
    fn many_names_are_cut() {
        assert_eq!(some(["a", "b"]), "a, b");
        assert_eq!(some(["a"; 9]), "a, a, a, a, a, a and 3 more");
    }
}
