//! Definitions: `CREATE TABLE`, `CREATE VIEW`, `CREATE INDEX`, `ALTER TABLE`.
//!
//! Their trees are wide and shallow, so the parser's own visitor goes through them; every table
//! name it meets counts as a table, and every query is walked like any other.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AlterTableOperation, ColumnDef, ColumnOption, CreateTableLikeKind, Expr, Ident, ObjectName,
    Query, Statement, TableConstraint, Visit, Visitor,
};

use super::reserved;
use super::walk::{Step, Walk};

impl Walk {
    /// Notes a definition and all that stands in it.
    pub(super) fn definition(&mut self, operation: &'static str, statement: &Statement) -> Step {
        self.operation(operation);
        self.other_tables(statement)?;
        // What a definition sets up runs later, at every use.
        let outer = std::mem::replace(&mut self.plan_only, false);
        let flow = statement.visit(&mut DefinitionVisitor { walk: self, queries: 0 });
        self.plan_only = outer;
        match flow {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(reason) => Err(reason),
        }
    }
}

/// Tables that the visitor does not take for such, and clauses that reach elsewhere.
impl Walk {
    fn other_tables(&mut self, statement: &Statement) -> Step {
        match statement {
            Statement::CreateTable(create) => {
                if create.external
                    || create.location.is_some()
                    || create.clone.is_some()
                    || create.with_connection.is_some()
                {
                    return Err("a clause of another database".to_owned());
                }
                if let Some(
                    CreateTableLikeKind::Parenthesized(like) | CreateTableLikeKind::Plain(like),
                ) = &create.like
                {
                    self.target(&like.name)?;
                }
                let inherits = create.inherits.iter().flatten();
                inherits.chain(&create.partition_of).try_for_each(|name| self.target(name))?;
                create.constraints.iter().try_for_each(|constraint| self.constraint(constraint))?;
                create.columns.iter().try_for_each(|column| self.column(column))
            }
            Statement::AlterTable(alter) => {
                alter.operations.iter().try_for_each(|operation| self.alteration(operation))
            }
            _ => Ok(()),
        }
    }

    fn alteration(&mut self, operation: &AlterTableOperation) -> Step {
        match operation {
            AlterTableOperation::AddColumn { column_def, .. } => self.column(column_def),
            AlterTableOperation::AddConstraint { constraint, .. } => self.constraint(constraint),
            AlterTableOperation::DropColumn { .. }
            | AlterTableOperation::DropConstraint { .. }
            | AlterTableOperation::RenameColumn { .. }
            | AlterTableOperation::RenameTable { .. }
            | AlterTableOperation::RenameConstraint { .. }
            | AlterTableOperation::AlterColumn { .. }
            | AlterTableOperation::ValidateConstraint { .. } => Ok(()),
            _ => Err("this form of ALTER TABLE is not supported".to_owned()),
        }
    }

    fn column(&mut self, column: &ColumnDef) -> Step {
        // `(a int, LIKE t)`, which the parser takes for a column called `like`.
        reserved::check(self.dialect, &column.name)?;
        for option in &column.options {
            if let ColumnOption::ForeignKey(key) = &option.option {
                self.target(&key.foreign_table)?;
            }
        }
        Ok(())
    }

    fn constraint(&mut self, constraint: &TableConstraint) -> Step {
        match constraint {
            TableConstraint::ForeignKey(key) => self.target(&key.foreign_table),
            _ => Ok(()),
        }
    }
}

struct DefinitionVisitor<'a> {
    walk: &'a mut Walk,
    /// Queries that the visitor is inside of; they are walked as a whole from the outermost.
    queries: usize,
}

impl DefinitionVisitor<'_> {
    fn flow(step: Step) -> ControlFlow<String> {
        match step {
            Ok(()) => ControlFlow::Continue(()),
            Err(reason) => ControlFlow::Break(reason),
        }
    }
}

impl Visitor for DefinitionVisitor<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.queries += 1;
        if self.queries == 1 {
            Self::flow(self.walk.query(query))
        } else {
            ControlFlow::Continue(())
        }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        Self::flow(self.walk.target(relation))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        if self.queries > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Function(function) => Self::flow(self.walk.call(&function.name)),
            Expr::CompoundIdentifier(names) => {
                names.iter().skip(1).for_each(|name: &Ident| self.walk.attribute(name));
                ControlFlow::Continue(())
            }
            Expr::CompoundFieldAccess { .. } => Self::flow(self.walk.expression(expr)),
            _ => ControlFlow::Continue(()),
        }
    }
}
