//! Expressions. Every kind is named here; one that the parser learns later does not compile until
//! it is judged.

use sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, CaseWhen, Expr, Interval, JsonPathElem, Map, MemberOf,
    Subscript,
};

use super::walk::{Step, Walk};
use super::{Dialect, reserved};

impl Walk {
    /// An expression with everything below it.
    pub(super) fn expression(&mut self, expr: &Expr) -> Step {
        // Chains of operators lean to the left.
        let mut expr = expr;
        let mut rights = Vec::new();
        while let Expr::BinaryOp { left, op, right } = expr {
            // In PostgreSQL `:=` names an argument; elsewhere it sets a variable.
            if matches!(op, BinaryOperator::Assignment) && self.dialect != Dialect::Postgres {
                return Err("an assignment to a variable".to_owned());
            }
            rights.push(right);
            expr = left;
        }
        self.deeper(|walk| walk.operand(expr))?;
        for right in rights {
            self.deeper(|walk| walk.expression(right))?;
        }
        Ok(())
    }

    /// Any number of expressions.
    pub(super) fn expressions<'a>(
        &mut self,
        expressions: impl IntoIterator<Item = &'a Expr>,
    ) -> Step {
        expressions.into_iter().try_for_each(|expr| self.expression(expr))
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of expression")]
    fn operand(&mut self, expr: &Expr) -> Step {
        match expr {
            Expr::Identifier(name) => reserved::check_column(self.dialect, name),
            Expr::Value(_)
            | Expr::TypedString(_)
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(_, _)
            | Expr::MatchAgainst { .. } => Ok(()),
            Expr::CompoundIdentifier(names) => {
                if let Some(first) = names.first() {
                    reserved::check_column(self.dialect, first)?;
                }
                names.iter().skip(1).for_each(|name| self.attribute(name));
                Ok(())
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsNull(expr)
            | Expr::IsNotNull(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr)
            | Expr::IsJson { expr, .. }
            | Expr::IsNormalized { expr, .. }
            | Expr::UnaryOp { op: _, expr }
            | Expr::Cast { kind: _, expr, data_type: _, format: _ }
            | Expr::Extract { field: _, syntax: _, expr }
            | Expr::Ceil { expr, field: _ }
            | Expr::Floor { expr, field: _ }
            | Expr::Collate { expr, collation: _ }
            | Expr::Nested(expr)
            | Expr::Prefixed { prefix: _, value: expr }
            | Expr::Named { expr, name: _ }
            | Expr::Interval(Interval { value: expr, .. })
            | Expr::OuterJoin(expr)
            | Expr::Prior(expr) => self.expression(expr),
            Expr::BinaryOp { left: first, op: _, right: second }
            | Expr::IsDistinctFrom(first, second)
            | Expr::IsNotDistinctFrom(first, second)
            | Expr::InUnnest { expr: first, array_expr: second, negated: _ }
            | Expr::RLike { expr: first, pattern: second, negated: _, regexp: _ }
            | Expr::AnyOp { left: first, compare_op: _, right: second, is_some: _ }
            | Expr::AllOp { left: first, compare_op: _, right: second }
            | Expr::AtTimeZone { timestamp: first, time_zone: second }
            | Expr::Position { expr: first, r#in: second }
            | Expr::MemberOf(MemberOf { value: first, array: second }) => {
                self.expressions([first.as_ref(), second.as_ref()])
            }
            Expr::InList { expr, list, negated: _ } => {
                self.expression(expr)?;
                self.expressions(list)
            }
            Expr::InSubquery { expr, subquery, negated: _ } => {
                self.expression(expr)?;
                self.query(subquery)
            }
            Expr::Exists { subquery, negated: _ } | Expr::Subquery(subquery) => {
                self.query(subquery)
            }
            Expr::Between { expr, negated: _, low, high } => {
                self.expressions([expr.as_ref(), low, high])
            }
            Expr::Like { expr, pattern, escape_char, .. }
            | Expr::ILike { expr, pattern, escape_char, .. }
            | Expr::SimilarTo { expr, pattern, escape_char, .. } => {
                self.expressions([expr.as_ref(), pattern])?;
                self.expressions(escape_char.as_deref())
            }
            Expr::Convert { expr, styles, .. } => {
                self.expression(expr)?;
                self.expressions(styles)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.expression(expr)?;
                self.expressions(substring_from.as_deref())?;
                self.expressions(substring_for.as_deref())
            }
            Expr::Trim { trim_where: _, trim_what, expr, trim_characters } => {
                self.expression(expr)?;
                self.expressions(trim_what.as_deref())?;
                self.expressions(trim_characters.iter().flatten())
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.expressions([expr.as_ref(), overlay_what, overlay_from])?;
                self.expressions(overlay_for.as_deref())
            }
            Expr::Function(function) => self.function(function),
            Expr::Case { case_token: _, end_token: _, operand, conditions, else_result } => {
                self.expressions(operand.as_deref())?;
                for CaseWhen { condition, result } in conditions {
                    self.expressions([condition, result])?;
                }
                self.expressions(else_result.as_deref())
            }
            Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => {
                self.expressions(sets.iter().flatten())
            }
            Expr::Tuple(values)
            | Expr::Struct { values, fields: _ }
            | Expr::Array(Array { elem: values, named: _ }) => self.expressions(values),
            Expr::Dictionary(fields) => {
                self.expressions(fields.iter().map(|field| field.value.as_ref()))
            }
            Expr::Map(Map { entries }) => {
                self.expressions(entries.iter().flat_map(|entry| [&*entry.key, &*entry.value]))
            }
            Expr::JsonAccess { value, path } => {
                self.expression(value)?;
                for element in &path.path {
                    match element {
                        JsonPathElem::Dot { .. } => {}
                        JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => {
                            self.expression(key)?;
                        }
                    }
                }
                Ok(())
            }
            Expr::Lambda(_) => Err("a function of another database".to_owned()),
        }
    }

    fn access(&mut self, root: &Expr, chain: &[AccessExpr]) -> Step {
        self.expression(root)?;
        for access in chain {
            match access {
                AccessExpr::Dot(Expr::Identifier(name)) => self.attribute(name),
                AccessExpr::Dot(expr) => self.expression(expr)?,
                AccessExpr::Subscript(Subscript::Index { index }) => self.expression(index)?,
                AccessExpr::Subscript(Subscript::Slice { lower_bound, upper_bound, stride }) => {
                    self.expressions(lower_bound)?;
                    self.expressions(upper_bound)?;
                    self.expressions(stride)?;
                }
            }
        }
        Ok(())
    }
}
