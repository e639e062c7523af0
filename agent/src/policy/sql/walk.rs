//! The walk through a statement's tree: what it collects, and the scopes that it keeps.

use std::collections::{BTreeSet, HashMap};

use sqlparser::ast::{Ident, ObjectName, Statement};

use super::limit::RowLimit;
use super::names::{self, Name};
use super::{Dialect, SqlFacts, reserved};

/// Deepest nesting of the tree, chains of operators apart.
const MAX_DEPTH: usize = 200;

/// Why the walk stopped: what it does not understand.
pub(super) type Step = Result<(), String>;

/// What a statement does.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Operations by name.
    pub(super) operations: BTreeSet<&'static str>,
    pub(super) tables: BTreeSet<Name>,
    pub(super) functions: BTreeSet<Name>,
    /// Names after a dot, which PostgreSQL also reads as calls of functions with one argument.
    pub(super) attributes: BTreeSet<String>,
    pub(super) limit: RowLimit,
    /// An operation that hides what it reads.
    pub(super) opaque: Option<&'static str>,
}

impl Found {
    /// The facts as strings.
    pub(super) fn facts(&self) -> SqlFacts {
        SqlFacts {
            operation: self.operation().to_owned(),
            operations: self.operations.iter().map(ToString::to_string).collect(),
            tables: self.tables.iter().map(ToString::to_string).collect(),
            functions: self.functions.iter().map(ToString::to_string).collect(),
            limit: match self.limit {
                RowLimit::Rows(rows) => Some(rows),
                RowLimit::Absent | RowLimit::Unclear => None,
            },
        }
    }

    /// The operation that says most: any other before a plan, and a plan before a plain query.
    fn operation(&self) -> &'static str {
        let mut others = self.operations.iter().filter(|o| !matches!(**o, "SELECT" | "EXPLAIN"));
        match others.next() {
            Some(other) => other,
            None if self.operations.contains("EXPLAIN") => "EXPLAIN",
            None => "SELECT",
        }
    }
}

/// Walks through a statement.
pub(super) fn walk(dialect: Dialect, statement: &Statement) -> Result<Found, String> {
    let mut walk = Walk {
        dialect,
        plan_only: false,
        inside_write: false,
        depth: 0,
        visible: HashMap::new(),
        found: Found::default(),
    };
    walk.statement(statement)?;
    Ok(walk.found)
}

/// The state of a walk.
pub(super) struct Walk {
    pub(super) dialect: Dialect,
    /// Below an `EXPLAIN` that does not execute.
    pub(super) plan_only: bool,
    /// Below a statement that writes.
    pub(super) inside_write: bool,
    depth: usize,
    /// Names of the common table expressions in scope, and how often each is.
    visible: HashMap<String, usize>,
    pub(super) found: Found,
}

impl Walk {
    /// Runs `step` one level deeper.
    pub(super) fn deeper(&mut self, step: impl FnOnce(&mut Self) -> Step) -> Step {
        if self.depth == MAX_DEPTH {
            return Err("it nests too deeply".to_owned());
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    /// Notes an operation.
    pub(super) fn operation(&mut self, name: &'static str) {
        self.found.operations.insert(name);
    }

    /// Notes a table that is read, unless the name is a common table expression's.
    pub(super) fn read(&mut self, name: &ObjectName) -> Step {
        if let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident()
            && self.is_visible(ident)
        {
            return Ok(());
        }
        self.target(name)
    }

    /// Notes a table that is written to, locked or changed. Such a name never means a common
    /// table expression.
    pub(super) fn target(&mut self, name: &ObjectName) -> Step {
        if let Some(first) = name.0.first().and_then(|part| part.as_ident()) {
            reserved::check(self.dialect, first)?;
        }
        let name = names::table(self.dialect, name)?;
        self.found.tables.insert(name);
        Ok(())
    }

    /// Brings a common table expression into scope.
    pub(super) fn show(&mut self, name: &Ident) {
        *self.visible.entry(names::expression(self.dialect, name)).or_default() += 1;
    }

    /// Takes it out of scope again.
    pub(super) fn hide(&mut self, name: &Ident) {
        if let Some(count) = self.visible.get_mut(&names::expression(self.dialect, name)) {
            *count = count.saturating_sub(1);
        }
    }

    fn is_visible(&self, name: &Ident) -> bool {
        self.visible.get(&names::expression(self.dialect, name)).is_some_and(|count| *count > 0)
    }
}
