//! Statements: what each counts as. A kind that is not named here is denied.

use sqlparser::ast::{
    ContextModifier, CopySource, CopyTarget, Expr, Ident, ObjectName, ObjectType, Reset, Set,
    ShowStatementOptions, Statement, Value,
};

use super::limit;
use super::walk::{Step, Walk};

/// Operations that a policy can name. `VALUES` and `TABLE t` are `SELECT`; `SELECT INTO` and
/// `SELECT FOR UPDATE` (any row lock) are operations beside it; a statement that reads and writes
/// is all that it does.
pub(super) const OPERATIONS: [&str; 43] = [
    "ALTER TABLE",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CLOSE",
    "COMMIT",
    "COPY",
    "COPY FILE",
    "CREATE INDEX",
    "CREATE TABLE",
    "CREATE VIEW",
    "DEALLOCATE",
    "DELETE",
    "DESCRIBE",
    "DISCARD",
    "DROP INDEX",
    "DROP TABLE",
    "DROP VIEW",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "INSERT",
    "LISTEN",
    "LOCK",
    "MERGE",
    "NOTIFY",
    "PRAGMA",
    "PREPARE",
    "RELEASE",
    "REPLACE",
    "RESET",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SELECT FOR UPDATE",
    "SELECT INTO",
    "SET",
    "SHOW",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "USE",
    "VACUUM",
];

/// SQLite's pragmas that only tell. With a value only those that take a table or an index.
const PRAGMAS: [(&str, bool); 18] = [
    ("collation_list", false),
    ("compile_options", false),
    ("database_list", false),
    ("encoding", false),
    ("foreign_key_check", true),
    ("foreign_key_list", true),
    ("freelist_count", false),
    ("function_list", false),
    ("index_info", true),
    ("index_list", true),
    ("index_xinfo", true),
    ("page_count", false),
    ("page_size", false),
    ("schema_version", false),
    ("table_info", true),
    ("table_list", true),
    ("table_xinfo", true),
    ("user_version", false),
];

impl Walk {
    /// A statement with everything below it.
    pub(super) fn statement(&mut self, statement: &Statement) -> Step {
        match statement {
            Statement::Query(query) => {
                self.found.limit = limit::of(query);
                self.query(query)
            }
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            Statement::Merge(merge) => self.merge(merge),
            Statement::Explain { analyze, statement, options, .. } => {
                let options = options.as_deref().unwrap_or_default();
                let executes = *analyze
                    || options.iter().any(|option| {
                        option.name.value.eq_ignore_ascii_case("analyze")
                            && !option.arg.as_ref().is_some_and(is_off)
                    });
                self.explain(executes, statement)
            }
            Statement::ExplainTable { table_name, .. } => {
                self.operation("DESCRIBE");
                self.read(table_name)
            }
            Statement::Truncate(truncate) => {
                self.operation("TRUNCATE");
                self.targets(truncate.table_names.iter().map(|target| &target.name))
            }
            Statement::Drop { object_type, names, table, .. } => {
                self.drop_object(*object_type, names, table.as_ref())
            }
            Statement::CreateTable(_) => self.definition("CREATE TABLE", statement),
            Statement::CreateView(_) => self.definition("CREATE VIEW", statement),
            Statement::CreateIndex(_) => self.definition("CREATE INDEX", statement),
            Statement::AlterTable(_) => self.definition("ALTER TABLE", statement),
            Statement::Copy { source, target, .. } => self.copy(source, target),
            Statement::Call(function) => {
                self.hidden("CALL");
                self.function(function)
            }
            Statement::Prepare { name: _, data_types: _, statement } => {
                self.operation("PREPARE");
                self.deeper(|walk| walk.statement(statement))
            }
            Statement::Execute { immediate: false, parameters, using, .. } => {
                self.hidden("EXECUTE");
                self.expressions(parameters)?;
                self.expressions(using.iter().map(|value| &value.expr))
            }
            Statement::Fetch { into: None, .. } => {
                self.hidden("FETCH");
                Ok(())
            }
            Statement::Lock(lock) => {
                self.operation("LOCK");
                self.targets(lock.tables.iter().map(|target| &target.name))
            }
            Statement::Analyze(analyze) => {
                self.operation("ANALYZE");
                self.expressions(analyze.partitions.iter().flatten())?;
                self.targets(&analyze.table_name)
            }
            Statement::Vacuum(vacuum) => {
                self.operation("VACUUM");
                self.targets(&vacuum.table_name)
            }
            Statement::Set(set) => self.set(set),
            Statement::Pragma { name, value, is_eq } => {
                self.pragma(name, value.as_ref().map(|value| &value.value), *is_eq)
            }
            other => self.plain(other),
        }
    }

    /// Statements that name no table, or only one.
    fn plain(&mut self, statement: &Statement) -> Step {
        let operation = match statement {
            Statement::ShowVariable { variable } => {
                // The parser keeps MySQL's `SHOW INDEX FROM t` as words.
                if variable.iter().any(|word| is_one_of(word, &["from", "in"])) {
                    self.found.opaque = Some("SHOW");
                }
                "SHOW"
            }
            Statement::ShowStatus { .. }
            | Statement::ShowVariables { .. }
            | Statement::ShowProcessList { .. }
            | Statement::ShowCharset(_)
            | Statement::ShowCollation { .. }
            | Statement::ShowDatabases { .. }
            | Statement::ShowSchemas { .. }
            | Statement::ShowTables { .. }
            | Statement::ShowViews { .. } => "SHOW",
            Statement::ShowCreate { obj_type: _, obj_name } => {
                self.read(obj_name)?;
                "SHOW"
            }
            Statement::ShowColumns { show_options, .. } => {
                let ShowStatementOptions { show_in, .. } = show_options;
                match show_in.as_ref().and_then(|place| place.parent_name.as_ref()) {
                    Some(name) => self.read(name)?,
                    None => return Err("SHOW COLUMNS without a table".to_owned()),
                }
                "SHOW"
            }
            Statement::StartTransaction { statements, exception: None, .. }
                if statements.is_empty() =>
            {
                "BEGIN"
            }
            Statement::Commit { .. } => "COMMIT",
            Statement::Rollback { .. } => "ROLLBACK",
            Statement::Savepoint { .. } => "SAVEPOINT",
            Statement::ReleaseSavepoint { .. } => "RELEASE",
            Statement::Deallocate { .. } => "DEALLOCATE",
            Statement::Close { .. } => "CLOSE",
            Statement::Discard { .. } => "DISCARD",
            Statement::LISTEN { .. } => "LISTEN",
            Statement::UNLISTEN { .. } => "UNLISTEN",
            Statement::NOTIFY { .. } => "NOTIFY",
            Statement::Use(_) => "USE",
            Statement::Reset(reset) => match reset.reset {
                Reset::ALL | Reset::ConfigurationParameter(_) => "RESET",
                Reset::SessionAuthorization => {
                    return Err("RESET that changes who the session acts for".to_owned());
                }
            },
            _ => return Err("this kind of statement is not supported".to_owned()),
        };
        self.operation(operation);
        Ok(())
    }

    /// A plan counts as what it is a plan of; one that executes does it.
    fn explain(&mut self, executes: bool, statement: &Statement) -> Step {
        self.operation("EXPLAIN");
        let outer = std::mem::replace(&mut self.plan_only, !executes);
        let result = self.deeper(|walk| walk.statement(statement));
        self.plan_only = outer;
        result
    }

    fn drop_object(
        &mut self,
        kind: ObjectType,
        names: &[ObjectName],
        table: Option<&ObjectName>,
    ) -> Step {
        match kind {
            ObjectType::Table => self.operation("DROP TABLE"),
            ObjectType::View | ObjectType::MaterializedView => self.operation("DROP VIEW"),
            ObjectType::Index => {
                self.operation("DROP INDEX");
                return self.targets(table);
            }
            _ => return Err("DROP of anything but tables, views and indexes".to_owned()),
        }
        self.targets(names)
    }

    fn copy(&mut self, source: &CopySource, target: &CopyTarget) -> Step {
        match target {
            CopyTarget::Stdin | CopyTarget::Stdout => self.operation("COPY"),
            CopyTarget::File { .. } => self.operation("COPY FILE"),
            CopyTarget::Program { .. } => return Err("COPY … PROGRAM runs a program".to_owned()),
        }
        match source {
            CopySource::Table { table_name, columns: _ } => self.target(table_name),
            CopySource::Query(query) => self.query(query),
        }
    }

    fn set(&mut self, set: &Set) -> Step {
        self.operation("SET");
        match set {
            Set::SingleAssignment { scope: Some(ContextModifier::Global), .. } => {
                Err("SET GLOBAL, which changes the server".to_owned())
            }
            Set::SingleAssignment { variable, .. }
                if ["@@global", "@@persist", "global", "persist", "persist_only"]
                    .iter()
                    .any(|scope| variable.to_string().to_ascii_lowercase().starts_with(scope)) =>
            {
                Err("SET GLOBAL, which changes the server".to_owned())
            }
            Set::SingleAssignment { values, .. } | Set::ParenthesizedAssignments { values, .. } => {
                self.expressions(values)
            }
            Set::MultipleAssignments { assignments } => {
                if assignments.iter().any(|assignment| assignment.scope.is_some()) {
                    return Err(
                        "SET of several variables with a scope; set one at a time".to_owned()
                    );
                }
                self.expressions(assignments.iter().map(|assignment| &assignment.value))
            }
            Set::SetTimeZone { local: _, value } => self.expression(value),
            Set::SetNames { .. } | Set::SetNamesDefault {} | Set::SetTransaction { .. } => Ok(()),
            Set::SetRole { .. } | Set::SetSessionAuthorization(_) | Set::SetSessionParam(_) => {
                Err("SET that changes who the session acts for".to_owned())
            }
        }
    }

    fn pragma(&mut self, name: &ObjectName, value: Option<&Value>, is_eq: bool) -> Step {
        let last = name.0.last().and_then(|part| part.as_ident());
        let last = last.map(|ident| ident.value.to_ascii_lowercase()).unwrap_or_default();
        let takes = PRAGMAS.iter().find(|(known, _)| *known == last).map(|(_, takes)| *takes);
        self.operation("PRAGMA");
        match (takes, value) {
            (Some(_), None) => Ok(()),
            (
                Some(true),
                Some(Value::SingleQuotedString(table) | Value::DoubleQuotedString(table)),
            ) if !is_eq => self.target(&ObjectName::from(vec![table.as_str().into()])),
            _ => Err(format!("PRAGMA {last}, which may do more than tell")),
        }
    }

    /// Notes an operation that does not show which tables it reads.
    fn hidden(&mut self, operation: &'static str) {
        self.operation(operation);
        self.found.opaque = Some(operation);
    }

    fn targets<'a>(&mut self, names: impl IntoIterator<Item = &'a ObjectName>) -> Step {
        names.into_iter().try_for_each(|name| self.target(name))
    }
}

fn is_one_of(ident: &Ident, words: &[&str]) -> bool {
    ident.quote_style.is_none() && words.iter().any(|word| ident.value.eq_ignore_ascii_case(word))
}

/// Whether an option's value switches it off for certain.
fn is_off(value: &Expr) -> bool {
    match value {
        Expr::Identifier(ident) => is_one_of(ident, &["off", "false"]),
        Expr::Value(value) => match &value.value {
            Value::Boolean(on) => !on,
            Value::Number(number, _) => number == "0",
            _ => false,
        },
        _ => false,
    }
}
