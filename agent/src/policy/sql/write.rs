//! Statements that write rows: `INSERT`, `UPDATE`, `DELETE`, `MERGE`.

use sqlparser::ast::{
    Assignment, ConflictTarget, Delete, FromTable, Insert, Merge, MergeAction, MergeInsertExpr,
    MergeInsertKind, MergeUpdateExpr, MergeUpdateKind, ObjectName, OnConflict, OnConflictAction,
    OnInsert, OutputClause, SelectItem, SqliteOnConflict, TableFactor, TableObject, TableWithJoins,
    Update, UpdateTableFromKind,
};

use super::walk::{Step, Walk};

impl Walk {
    /// Runs the walk of a statement that writes.
    fn write(&mut self, operation: &'static str, step: impl FnOnce(&mut Self) -> Step) -> Step {
        self.operation(operation);
        let outer = std::mem::replace(&mut self.inside_write, true);
        let result = step(self);
        self.inside_write = outer;
        result
    }

    /// `INSERT`, also MySQL's and SQLite's `REPLACE`.
    pub(super) fn insert(&mut self, insert: &Insert) -> Step {
        let Insert {
            insert_token: _,
            optimizer_hints,
            or,
            ignore: _,
            into: _,
            table,
            table_alias: _,
            columns: _,
            overwrite,
            source,
            assignments,
            partitioned,
            after_columns: _,
            has_table_keyword: _,
            on,
            returning,
            output,
            replace_into,
            priority: _,
            insert_alias: _,
            settings,
            format_clause,
            multi_table_insert_type,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause,
        } = insert;
        let TableObject::TableName(name) = table else {
            return Err("INSERT into something that is no table".to_owned());
        };
        if !optimizer_hints.is_empty()
            || *overwrite
            || settings.is_some()
            || format_clause.is_some()
            || multi_table_insert_type.is_some()
            || !multi_table_into_clauses.is_empty()
            || !multi_table_when_clauses.is_empty()
            || multi_table_else_clause.is_some()
        {
            return Err("a clause of another database".to_owned());
        }
        // `INSERT OR REPLACE` deletes the rows in its way, as `REPLACE` does.
        let replaces = *replace_into || matches!(or, Some(SqliteOnConflict::Replace));
        self.write(if replaces { "REPLACE" } else { "INSERT" }, |walk| {
            walk.target(name)?;
            if let Some(source) = source {
                walk.query(source)?;
            }
            walk.assignments(assignments)?;
            walk.expressions(partitioned.iter().flatten())?;
            match on {
                Some(OnInsert::DuplicateKeyUpdate(assignments)) => walk.assignments(assignments)?,
                Some(OnInsert::OnConflict(conflict)) => walk.conflict(conflict)?,
                // The enum may grow.
                Some(_) => return Err("a clause of another database".to_owned()),
                None => {}
            }
            walk.returning(returning.as_deref())?;
            walk.output(output.as_ref())
        })
    }

    fn conflict(&mut self, conflict: &OnConflict) -> Step {
        match &conflict.conflict_target {
            None | Some(ConflictTarget::Columns(_) | ConflictTarget::OnConstraint(_)) => {}
        }
        match &conflict.action {
            OnConflictAction::DoNothing => Ok(()),
            OnConflictAction::DoUpdate(update) => {
                self.assignments(&update.assignments)?;
                self.expressions(&update.selection)
            }
        }
    }

    /// `UPDATE`.
    pub(super) fn update(&mut self, update: &Update) -> Step {
        let Update {
            update_token: _,
            optimizer_hints,
            table,
            assignments,
            from,
            selection,
            returning,
            output,
            or: _,
            order_by,
            limit,
        } = update;
        if !optimizer_hints.is_empty() {
            return Err("an optimizer hint".to_owned());
        }
        self.write("UPDATE", |walk| {
            walk.target_with_joins(table)?;
            walk.assignments(assignments)?;
            if let Some(
                UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables),
            ) = from
            {
                walk.sources(tables)?;
            }
            walk.expressions(selection)?;
            walk.returning(returning.as_deref())?;
            walk.output(output.as_ref())?;
            walk.order_by(order_by)?;
            walk.expressions(limit)
        })
    }

    /// `DELETE`.
    pub(super) fn delete(&mut self, delete: &Delete) -> Step {
        let Delete {
            delete_token: _,
            optimizer_hints,
            tables,
            from,
            using,
            selection,
            returning,
            output,
            order_by,
            limit,
        } = delete;
        if !optimizer_hints.is_empty() {
            return Err("an optimizer hint".to_owned());
        }
        self.write("DELETE", |walk| {
            let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = from;
            for table in from {
                walk.target_with_joins(table)?;
            }
            // MySQL's `DELETE a FROM users a`: the names may be aliases.
            for name in tables.iter().filter(|name| !is_alias(name, from)) {
                walk.target(name)?;
            }
            walk.sources(using.as_deref().unwrap_or_default())?;
            walk.expressions(selection)?;
            walk.returning(returning.as_deref())?;
            walk.output(output.as_ref())?;
            walk.order_by(order_by)?;
            walk.expressions(limit)
        })
    }

    /// `MERGE`.
    pub(super) fn merge(&mut self, merge: &Merge) -> Step {
        let Merge { merge_token: _, optimizer_hints, into: _, table, source, on, clauses, output } =
            merge;
        if !optimizer_hints.is_empty() {
            return Err("an optimizer hint".to_owned());
        }
        self.write("MERGE", |walk| {
            walk.target_factor(table)?;
            walk.source(source)?;
            walk.expression(on)?;
            for clause in clauses {
                walk.expressions(&clause.predicate)?;
                match &clause.action {
                    MergeAction::Insert(MergeInsertExpr { kind, insert_predicate, .. }) => {
                        if let MergeInsertKind::Values(values) = kind {
                            for row in &values.rows {
                                walk.expressions(&row.content)?;
                            }
                        }
                        walk.expressions(insert_predicate)?;
                    }
                    MergeAction::Update(update) => {
                        let MergeUpdateExpr { kind, update_predicate, delete_predicate, .. } =
                            update;
                        if let MergeUpdateKind::Set(assignments) = kind {
                            walk.assignments(assignments)?;
                        }
                        walk.expressions(update_predicate)?;
                        walk.expressions(delete_predicate)?;
                    }
                    MergeAction::Delete { .. } | MergeAction::DoNothing { .. } => {}
                }
            }
            walk.output(output.as_ref())
        })
    }

    /// Tables that a write reads from. Reading them is a query.
    fn sources(&mut self, tables: &[TableWithJoins]) -> Step {
        if !tables.is_empty() {
            self.operation("SELECT");
        }
        tables.iter().try_for_each(|table| self.table_with_joins(table))
    }

    fn source(&mut self, factor: &TableFactor) -> Step {
        let table = TableWithJoins { relation: factor.clone(), joins: Vec::new() };
        self.sources(std::slice::from_ref(&table))
    }

    fn assignments(&mut self, assignments: &[Assignment]) -> Step {
        self.expressions(assignments.iter().map(|assignment| &assignment.value))
    }

    fn returning(&mut self, items: Option<&[SelectItem]>) -> Step {
        items.unwrap_or_default().iter().try_for_each(|item| self.select_item(item))
    }

    fn output(&mut self, output: Option<&OutputClause>) -> Step {
        match output {
            None => Ok(()),
            Some(OutputClause::Returning { returning_token: _, select_items }) => {
                self.returning(Some(select_items))
            }
            Some(OutputClause::Output { .. }) => Err("a clause of another database".to_owned()),
        }
    }
}

fn is_alias(name: &ObjectName, from: &[TableWithJoins]) -> bool {
    let [part] = name.0.as_slice() else { return false };
    let Some(ident) = part.as_ident() else { return false };
    from.iter()
        .flat_map(|table| {
            std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
        })
        .any(|factor| match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. } => alias.name.value == ident.value,
            _ => false,
        })
}
