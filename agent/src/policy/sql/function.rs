//! Calls of functions: their names and all that stands in their brackets.

use sqlparser::ast::{
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments, HavingBound,
    Ident, ListAggOnOverflow, ObjectName, WindowFrame, WindowFrameBound, WindowSpec, WindowType,
};

use super::names::{self, Name};
use super::walk::{Step, Walk};
use super::{Dialect, builtin};

impl Walk {
    /// A call.
    pub(super) fn function(&mut self, function: &Function) -> Step {
        let Function {
            name,
            uses_odbc_syntax: _,
            parameters,
            args,
            within_group,
            filter,
            null_treatment: _,
            over,
        } = function;
        self.call(name)?;
        self.function_arguments(parameters)?;
        self.function_arguments(args)?;
        self.order_by(within_group)?;
        if let Some(filter) = filter {
            self.expression(filter)?;
        }
        match over {
            Some(WindowType::WindowSpec(window)) => self.window(window),
            Some(WindowType::NamedWindow(_)) | None => Ok(()),
        }
    }

    /// Notes a function by its name.
    pub(super) fn call(&mut self, name: &ObjectName) -> Step {
        let name = names::function(self.dialect, name)?;
        self.found.functions.insert(name);
        Ok(())
    }

    /// Notes a built-in function that has a syntax of its own.
    pub(super) fn call_named(&mut self, name: &str) {
        self.found.functions.insert(Name(vec![name.to_owned()]));
    }

    /// Notes a function when the table is a virtual one that acts: SQLite lets `FROM fsdir` and
    /// `WHERE path = …` stand for a call.
    pub(super) fn call_if_virtual(&mut self, name: &ObjectName) -> Step {
        let name = names::function(self.dialect, name)?;
        let sqlite = matches!(self.dialect, Dialect::Sqlite | Dialect::Generic);
        if sqlite && builtin::is_virtual_table(name.split().1) {
            self.found.functions.insert(Name(vec![name.split().1.to_owned()]));
        }
        Ok(())
    }

    /// Notes a name behind a dot.
    pub(super) fn attribute(&mut self, name: &Ident) {
        if matches!(self.dialect, Dialect::Postgres | Dialect::Generic) {
            let name = names::expression(Dialect::Postgres, name);
            self.found.attributes.insert(name);
        }
    }

    pub(super) fn arguments(&mut self, arguments: &[FunctionArg]) -> Step {
        for argument in arguments {
            let value = match argument {
                FunctionArg::Named { name: _, arg, operator: _ } | FunctionArg::Unnamed(arg) => arg,
                FunctionArg::ExprNamed { name, arg, operator: _ } => {
                    self.expression(name)?;
                    arg
                }
            };
            match value {
                FunctionArgExpr::Expr(expr) => self.expression(expr)?,
                FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::Wildcard => {}
                FunctionArgExpr::WildcardWithOptions(options) => self.wildcard(options)?,
            }
        }
        Ok(())
    }

    fn function_arguments(&mut self, arguments: &FunctionArguments) -> Step {
        let list = match arguments {
            FunctionArguments::None => return Ok(()),
            FunctionArguments::Subquery(query) => return self.query(query),
            FunctionArguments::List(list) => list,
        };
        self.arguments(&list.args)?;
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::IgnoreOrRespectNulls(_)
                | FunctionArgumentClause::Separator(_)
                | FunctionArgumentClause::JsonNullClause(_)
                | FunctionArgumentClause::JsonReturningClause(_)
                | FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Error) => {}
                FunctionArgumentClause::Where(expr)
                | FunctionArgumentClause::Limit(expr)
                | FunctionArgumentClause::Having(HavingBound(_, expr)) => self.expression(expr)?,
                FunctionArgumentClause::OrderBy(order_by) => self.order_by(order_by)?,
                FunctionArgumentClause::OnOverflow(ListAggOnOverflow::Truncate {
                    filler,
                    with_count: _,
                }) => {
                    if let Some(filler) = filler {
                        self.expression(filler)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn window(&mut self, window: &WindowSpec) -> Step {
        let WindowSpec { window_name: _, partition_by, order_by, window_frame } = window;
        self.expressions(partition_by)?;
        self.order_by(order_by)?;
        let Some(WindowFrame { units: _, start_bound, end_bound }) = window_frame else {
            return Ok(());
        };
        for bound in [Some(start_bound), end_bound.as_ref()].into_iter().flatten() {
            match bound {
                WindowFrameBound::CurrentRow => {}
                WindowFrameBound::Preceding(expr) | WindowFrameBound::Following(expr) => {
                    if let Some(expr) = expr {
                        self.expression(expr)?;
                    }
                }
            }
        }
        Ok(())
    }
}
