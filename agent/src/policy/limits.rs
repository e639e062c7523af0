//! The constraints of a policy, checked and ready to judge arguments.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::paths::PathGlobs;
use super::schema::{ArgumentSchema, SchemaOptions};
use super::sql::{self, SqlRules, UserFunctions};
use super::url::UrlRules;
use crate::config::{Constraint, Problem};

/// Limits on one tool's arguments.
#[derive(Debug)]
pub(super) struct Limits {
    /// Path of the key in the file.
    pub(super) key: String,
    pub(super) paths: Option<PathLimits>,
    pub(super) urls: Option<UrlLimits>,
    pub(super) sql: Option<SqlLimits>,
    pub(super) schema: Option<ArgumentSchema>,
    pub(super) max_file_size: Option<u64>,
    pub(super) timeout: Option<Duration>,
}

/// Limits on paths. A call without a path argument cannot be judged by them.
#[derive(Debug)]
pub(super) struct PathLimits {
    pub(super) arguments: Option<Vec<String>>,
    pub(super) allowed: Option<PathGlobs>,
    pub(super) denied: PathGlobs,
    pub(super) allowed_extensions: Option<Vec<String>>,
    pub(super) denied_extensions: Vec<String>,
}

/// Limits on URLs. A call without a URL argument cannot be judged by them.
#[derive(Debug)]
pub(super) struct UrlLimits {
    pub(super) arguments: Option<Vec<String>>,
    pub(super) rules: UrlRules,
}

/// Limits on SQL. A call without a query cannot be judged by them.
#[derive(Debug)]
pub(super) struct SqlLimits {
    pub(super) arguments: Option<Vec<String>>,
    pub(super) rules: sql::Compiled,
    pub(super) max_rows: Option<u64>,
}

/// Validates the constraints below `key`, by tool.
pub(super) fn limits(
    constraints: &BTreeMap<String, Constraint>,
    key: &str,
    root: &str,
    options: SchemaOptions,
) -> Result<HashMap<String, Limits>, Problem> {
    constraints
        .iter()
        .map(|(tool, constraint)| {
            Ok((tool.clone(), limit(constraint, format!("{key}.{tool}"), root, options)?))
        })
        .collect()
}

fn limit(
    constraint: &Constraint,
    key: String,
    root: &str,
    options: SchemaOptions,
) -> Result<Limits, Problem> {
    let schema = constraint.schema.as_ref().map(|schema| {
        ArgumentSchema::compile(schema, options)
            .map_err(|error| Problem::new(format!("{key}.schema"), error.to_string()))
    });
    Ok(Limits {
        paths: paths(constraint, &key, root)?,
        urls: urls(constraint, &key)?,
        sql: queries(constraint, &key)?,
        schema: schema.transpose()?,
        max_file_size: constraint.max_file_size,
        timeout: constraint.timeout_seconds.map(Duration::from_secs),
        key,
    })
}

fn paths(constraint: &Constraint, key: &str, root: &str) -> Result<Option<PathLimits>, Problem> {
    let limited = constraint.path_arguments.is_some()
        || constraint.allowed_paths.is_some()
        || !constraint.denied_paths.is_empty()
        || constraint.allowed_extensions.is_some()
        || !constraint.denied_extensions.is_empty();
    let bad = |name: &str, (index, why): (usize, String)| {
        Problem::new(format!("{key}.{name}[{index}]"), why)
    };
    let allowed = constraint.allowed_paths.as_deref().map(|patterns| {
        PathGlobs::new(patterns, root).map_err(|error| bad("allowed_paths", error))
    });
    let limits = PathLimits {
        arguments: constraint.path_arguments.clone(),
        allowed: allowed.transpose()?,
        denied: PathGlobs::any_case(&constraint.denied_paths, root)
            .map_err(|error| bad("denied_paths", error))?,
        allowed_extensions: constraint.allowed_extensions.clone(),
        denied_extensions: constraint.denied_extensions.clone(),
    };
    Ok(limited.then_some(limits))
}

fn urls(constraint: &Constraint, key: &str) -> Result<Option<UrlLimits>, Problem> {
    let limited = constraint.url_arguments.is_some()
        || constraint.allowed_urls.is_some()
        || !constraint.denied_urls.is_empty();
    let rules = UrlRules::compile(constraint.allowed_urls.as_deref(), &constraint.denied_urls)
        .map_err(|(index, field, why)| Problem::new(format!("{key}.{field}[{index}]"), why))?;
    Ok(limited.then(|| UrlLimits { arguments: constraint.url_arguments.clone(), rules }))
}

fn queries(constraint: &Constraint, key: &str) -> Result<Option<SqlLimits>, Problem> {
    let limited = constraint.query_arguments.is_some()
        || constraint.dialect.is_some()
        || constraint.allowed_operations.is_some()
        || constraint.allowed_tables.is_some()
        || !constraint.denied_tables.is_empty()
        || constraint.allowed_functions.is_some()
        || constraint.max_rows.is_some();
    if !limited {
        return Ok(None);
    }
    // Whoever limits queries and does not say to what means reading.
    let operations = constraint.allowed_operations.clone();
    let rules = SqlRules {
        dialect: constraint.dialect.unwrap_or_default(),
        allowed_operations: Some(operations.unwrap_or_else(|| vec!["SELECT".to_owned()])),
        allowed_tables: constraint.allowed_tables.clone(),
        denied_tables: constraint.denied_tables.clone(),
        user_functions: match constraint.allowed_functions {
            Some(_) => UserFunctions::Deny,
            None => UserFunctions::Allow,
        },
        allowed_functions: constraint.allowed_functions.clone().unwrap_or_default(),
        max_rows: constraint.max_rows,
    };
    let rules = rules
        .compile()
        .map_err(|error| Problem::new(format!("{key}.{}", error.field), error.reason))?;
    Ok(Some(SqlLimits {
        arguments: constraint.query_arguments.clone(),
        rules,
        max_rows: constraint.max_rows,
    }))
}
