//! What stands in `FROM`: tables, functions, subqueries and joins.

use sqlparser::ast::{
    Expr, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableSample,
    TableSampleKind, TableWithJoins, XmlTableColumnOption,
};

use super::reserved;
use super::walk::{Step, Walk};

impl Walk {
    /// A table that is read, and what is joined to it.
    pub(super) fn table_with_joins(&mut self, table: &TableWithJoins) -> Step {
        let TableWithJoins { relation, joins } = table;
        self.table_factor(relation)?;
        self.joins(joins)
    }

    /// A table that is written to, and what is joined to it.
    pub(super) fn target_with_joins(&mut self, table: &TableWithJoins) -> Step {
        let TableWithJoins { relation, joins } = table;
        self.target_factor(relation)?;
        if !joins.is_empty() {
            self.operation("SELECT");
        }
        self.joins(joins)
    }

    /// A table that is written to.
    pub(super) fn target_factor(&mut self, factor: &TableFactor) -> Step {
        if let TableFactor::Table { name, .. } = factor {
            self.target(name)?;
        }
        self.table_factor(factor)
    }

    fn joins(&mut self, joins: &[Join]) -> Step {
        for Join { relation, global: _, join_operator } in joins {
            self.table_factor(relation)?;
            let constraint = match join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint)
                | JoinOperator::CrossJoin(constraint)
                | JoinOperator::Semi(constraint)
                | JoinOperator::LeftSemi(constraint)
                | JoinOperator::RightSemi(constraint)
                | JoinOperator::Anti(constraint)
                | JoinOperator::LeftAnti(constraint)
                | JoinOperator::RightAnti(constraint)
                | JoinOperator::StraightJoin(constraint) => constraint,
                JoinOperator::AsOf { match_condition, constraint } => {
                    self.expression(match_condition)?;
                    constraint
                }
                JoinOperator::CrossApply
                | JoinOperator::OuterApply
                | JoinOperator::ArrayJoin
                | JoinOperator::LeftArrayJoin
                | JoinOperator::InnerArrayJoin => continue,
            };
            match constraint {
                JoinConstraint::On(expr) => self.expression(expr)?,
                JoinConstraint::Using(_) | JoinConstraint::Natural | JoinConstraint::None => {}
            }
        }
        Ok(())
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Step {
        self.deeper(|walk| walk.table_factor_in_depth(factor))
    }

    fn table_factor_in_depth(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality: _,
                partitions: _,
                json_path,
                sample,
                index_hints: _,
            } => {
                if version.is_some() || json_path.is_some() {
                    return Err("a table of another database".to_owned());
                }
                self.alias(alias.as_ref())?;
                self.expressions(with_hints)?;
                self.sample(sample.as_ref())?;
                match args {
                    Some(args) if args.settings.is_some() => {
                        Err("a table of another database".to_owned())
                    }
                    Some(args) => {
                        self.call(name)?;
                        self.arguments(&args.args)
                    }
                    None => self.plain_table(name),
                }
            }
            TableFactor::Derived { lateral: _, subquery, alias, sample } => {
                self.alias(alias.as_ref())?;
                self.query(subquery)?;
                self.sample(sample.as_ref())
            }
            TableFactor::TableFunction { expr, alias } => {
                self.alias(alias.as_ref())?;
                self.expression(expr)
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality: _, alias } => {
                self.alias(alias.as_ref())?;
                self.call(name)?;
                self.arguments(args)
            }
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: _,
                with_offset_alias: _,
                with_ordinality: _,
            } => {
                self.alias(alias.as_ref())?;
                self.call_named("unnest");
                self.expressions(array_exprs)
            }
            TableFactor::JsonTable { json_expr, json_path: _, columns: _, alias } => {
                self.alias(alias.as_ref())?;
                self.expression(json_expr)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.alias(alias.as_ref())?;
                self.table_with_joins(table_with_joins)
            }
            TableFactor::XmlTable { namespaces, row_expression, passing, columns, alias } => {
                self.alias(alias.as_ref())?;
                self.expressions(namespaces.iter().map(|namespace| &namespace.uri))?;
                self.expression(row_expression)?;
                self.expressions(passing.arguments.iter().map(|argument| &argument.expr))?;
                for column in columns {
                    match &column.option {
                        XmlTableColumnOption::NamedInfo {
                            r#type: _,
                            path,
                            default,
                            nullable: _,
                        } => {
                            self.expressions(path)?;
                            self.expressions(default)?;
                        }
                        XmlTableColumnOption::ForOrdinality => {}
                    }
                }
                Ok(())
            }
            TableFactor::OpenJsonTable { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. }
            | TableFactor::UnpivotExpr { .. }
            | TableFactor::MatchRecognize { .. }
            | TableFactor::SemanticView { .. } => Err("a table of another database".to_owned()),
        }
    }

    /// A name in `FROM` without arguments: a table, or one of SQLite's virtual tables that is
    /// really a function.
    fn plain_table(&mut self, name: &ObjectName) -> Step {
        // PostgreSQL's `FROM current_date`.
        if let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident()
            && reserved::check(self.dialect, ident).is_err()
            && reserved::check_column(self.dialect, ident).is_ok()
        {
            return self.call(name);
        }
        self.call_if_virtual(name)?;
        self.read(name)
    }

    fn alias(&self, alias: Option<&TableAlias>) -> Step {
        reserved::check_alias(self.dialect, alias)
    }

    fn sample(&mut self, sample: Option<&TableSampleKind>) -> Step {
        let Some(
            TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample),
        ) = sample
        else {
            return Ok(());
        };
        let TableSample { modifier: _, name: _, quantity, seed: _, bucket, offset } =
            sample.as_ref();
        self.expressions(quantity.as_ref().map(|quantity| &quantity.value))?;
        self.expressions(bucket.as_ref().and_then(|bucket| bucket.on.as_ref()))?;
        self.expressions(offset)
    }

    /// Where `SELECT … INTO` writes.
    pub(super) fn select_into(&mut self, target: &Expr) -> Step {
        match target {
            Expr::Identifier(name) => self.target(&ObjectName::from(vec![name.clone()])),
            Expr::CompoundIdentifier(names) => self.target(&ObjectName::from(names.clone())),
            _ => Err("SELECT INTO something that is no table".to_owned()),
        }
    }
}
