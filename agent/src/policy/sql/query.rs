//! Queries: common table expressions and their scopes, set operations, `SELECT` and its clauses.

use sqlparser::ast::{
    Cte, Distinct, Fetch, GroupByExpr, GroupByWithModifier, LimitClause, NamedWindowExpr, OrderBy,
    OrderByExpr, OrderByKind, OrderBySort, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TopQuantity, WildcardAdditionalOptions, With,
};

use super::Dialect;
use super::walk::{Step, Walk};

impl Walk {
    /// A query with everything below it.
    pub(super) fn query(&mut self, query: &Query) -> Step {
        self.deeper(|walk| walk.query_in_scope(query))
    }

    fn query_in_scope(&mut self, query: &Query) -> Step {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        if for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty()
        {
            return Err("a clause of another database".to_owned());
        }
        let mut shown = Vec::new();
        if let Some(with) = with {
            self.with(with, &mut shown)?;
        }
        self.set_expression(body)?;
        if let Some(order_by) = order_by {
            self.order_by_clause(order_by)?;
        }
        match limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                self.expressions(limit)?;
                self.expressions(offset.as_ref().map(|offset| &offset.value))?;
                self.expressions(limit_by)?;
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                self.expressions([offset, limit])?;
            }
            None => {}
        }
        if let Some(Fetch { with_ties: _, percent: _, quantity }) = fetch {
            self.expressions(quantity)?;
        }
        // A plan takes no locks.
        if !locks.is_empty() && !self.plan_only {
            self.operation("SELECT FOR UPDATE");
        }
        for name in shown.drain(..) {
            self.hide(name);
        }
        Ok(())
    }

    /// The common table expressions, which stay in scope until hidden.
    fn with<'a>(&mut self, with: &'a With, shown: &mut Vec<&'a sqlparser::ast::Ident>) -> Step {
        let With { with_token: _, recursive, cte_tables } = with;
        // In SQLite, and in PostgreSQL with RECURSIVE, each sees all of the same clause. Elsewhere
        // it sees itself with RECURSIVE, and those before it in any case.
        let see_all = match self.dialect {
            Dialect::Sqlite => true,
            Dialect::Postgres => *recursive,
            Dialect::Mysql | Dialect::Generic => false,
        };
        if see_all {
            for cte in cte_tables {
                self.show(&cte.alias.name);
                shown.push(&cte.alias.name);
            }
        }
        for cte in cte_tables {
            let Cte { alias, query, from, materialized: _, closing_paren_token: _ } = cte;
            if from.is_some() {
                return Err("a common table expression of another database".to_owned());
            }
            if !see_all && *recursive {
                self.show(&alias.name);
                shown.push(&alias.name);
            }
            self.query(query)?;
            if !see_all && !*recursive {
                self.show(&alias.name);
                shown.push(&alias.name);
            }
        }
        Ok(())
    }

    fn set_expression(&mut self, body: &SetExpr) -> Step {
        // Chains of set operations lean to the left.
        let mut body = body;
        let mut rights = Vec::new();
        while let SetExpr::SetOperation { left, op: _, set_quantifier: _, right } = body {
            rights.push(right);
            body = left;
        }
        self.set_operand(body)?;
        for right in rights {
            self.deeper(|walk| walk.set_expression(right))?;
        }
        Ok(())
    }

    fn set_operand(&mut self, body: &SetExpr) -> Step {
        match body {
            SetExpr::Select(select) => self.deeper(|walk| walk.select(select)),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { .. } => self.deeper(|walk| walk.set_expression(body)),
            SetExpr::Values(values) => {
                if !self.inside_write {
                    self.operation("SELECT");
                }
                values.rows.iter().try_for_each(|row| self.expressions(&row.content))
            }
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement)
            | SetExpr::Merge(statement) => self.deeper(|walk| walk.statement(statement)),
            // The parser loses what follows the name.
            SetExpr::Table(_) => Err("TABLE; write SELECT * FROM".to_owned()),
        }
    }

    fn select(&mut self, select: &Select) -> Step {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers: _,
            top,
            top_before_distinct: _,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor: _,
        } = select;
        if !optimizer_hints.is_empty()
            || exclude.is_some()
            || !lateral_views.is_empty()
            || prewhere.is_some()
            || !connect_by.is_empty()
            || !cluster_by.is_empty()
            || !distribute_by.is_empty()
            || !sort_by.is_empty()
            || value_table_mode.is_some()
        {
            return Err("a clause of another database".to_owned());
        }
        // Inside a write, only what reads tables is a query of its own.
        if !self.inside_write || !from.is_empty() {
            self.operation("SELECT");
        }
        if let Some(into) = into {
            self.operation("SELECT INTO");
            for target in &into.targets {
                self.select_into(target)?;
            }
        }
        if let Some(Distinct::On(expressions)) = distinct {
            self.expressions(expressions)?;
        }
        if let Some(TopQuantity::Expr(expr)) = top.as_ref().and_then(|top| top.quantity.as_ref()) {
            self.expression(expr)?;
        }
        for item in projection {
            self.select_item(item)?;
        }
        for table in from {
            self.table_with_joins(table)?;
        }
        self.expressions(selection)?;
        self.group_by(group_by)?;
        self.expressions(having)?;
        self.expressions(qualify)?;
        for definition in named_window {
            if let NamedWindowExpr::WindowSpec(window) = &definition.1 {
                self.window(window)?;
            }
        }
        Ok(())
    }

    /// A column of a result, also of `RETURNING`.
    pub(super) fn select_item(&mut self, item: &SelectItem) -> Step {
        match item {
            SelectItem::UnnamedExpr(expr)
            | SelectItem::ExprWithAlias { expr, alias: _ }
            | SelectItem::ExprWithAliases { expr, aliases: _ } => self.expression(expr),
            SelectItem::QualifiedWildcard(kind, options) => {
                if let SelectItemQualifiedWildcardKind::Expr(expr) = kind {
                    self.expression(expr)?;
                }
                self.wildcard(options)
            }
            SelectItem::Wildcard(options) => self.wildcard(options),
        }
    }

    pub(super) fn wildcard(&mut self, options: &WildcardAdditionalOptions) -> Step {
        let WildcardAdditionalOptions {
            wildcard_token: _,
            opt_ilike: _,
            opt_exclude: _,
            opt_except: _,
            opt_replace,
            opt_rename: _,
            opt_alias: _,
        } = options;
        let items = opt_replace.iter().flat_map(|replace| &replace.items);
        items.map(|item| &item.expr).try_for_each(|expr| self.expression(expr))
    }

    fn group_by(&mut self, group_by: &GroupByExpr) -> Step {
        let modifiers = match group_by {
            GroupByExpr::All(modifiers) => modifiers,
            GroupByExpr::Expressions(expressions, modifiers) => {
                self.expressions(expressions)?;
                modifiers
            }
        };
        for modifier in modifiers {
            match modifier {
                GroupByWithModifier::Rollup
                | GroupByWithModifier::Cube
                | GroupByWithModifier::Totals => {}
                GroupByWithModifier::GroupingSets(expr) => self.expression(expr)?,
            }
        }
        Ok(())
    }

    fn order_by_clause(&mut self, order_by: &OrderBy) -> Step {
        let OrderBy { kind, interpolate } = order_by;
        if interpolate.is_some() {
            return Err("a clause of another database".to_owned());
        }
        match kind {
            OrderByKind::All(_) => Ok(()),
            OrderByKind::Expressions(expressions) => self.order_by(expressions),
        }
    }

    pub(super) fn order_by(&mut self, order_by: &[OrderByExpr]) -> Step {
        for OrderByExpr { expr, options, with_fill } in order_by {
            if with_fill.is_some() {
                return Err("a clause of another database".to_owned());
            }
            match &options.sort {
                // An operator's name.
                None | Some(OrderBySort::Asc | OrderBySort::Desc | OrderBySort::Using(_)) => {}
            }
            self.expression(expr)?;
        }
        Ok(())
    }
}
