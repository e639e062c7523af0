//! The constraints of a policy, checked and ready to judge arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use super::paths::PathGlobs;
use crate::config::{Constraint, Problem};

/// Limits on one tool's arguments.
#[derive(Debug)]
pub(super) struct Limits {
    /// Path of the key in the file.
    pub(super) key: String,
    pub(super) path_arguments: Option<Vec<String>>,
    pub(super) allowed: Option<PathGlobs>,
    pub(super) denied: PathGlobs,
    pub(super) allowed_extensions: Option<Vec<String>>,
    pub(super) denied_extensions: Vec<String>,
    pub(super) max_file_size: Option<u64>,
    pub(super) timeout: Option<Duration>,
}

impl Limits {
    /// Whether a call without a path argument cannot be judged.
    pub(super) fn needs_path(&self) -> bool {
        self.path_arguments.is_some()
            || self.allowed.is_some()
            || !self.denied.is_empty()
            || self.allowed_extensions.is_some()
            || !self.denied_extensions.is_empty()
    }
}

/// Validates the constraints below `key`, by tool.
pub(super) fn limits(
    constraints: &BTreeMap<String, Constraint>,
    key: &str,
    root: &str,
) -> Result<BTreeMap<String, Limits>, Problem> {
    constraints
        .iter()
        .map(|(tool, constraint)| {
            Ok((tool.clone(), limit(constraint, format!("{key}.{tool}"), root)?))
        })
        .collect()
}

fn limit(constraint: &Constraint, key: String, root: &str) -> Result<Limits, Problem> {
    let globs = |name: &str, patterns: &[String]| {
        PathGlobs::new(patterns, root)
            .map_err(|(index, why)| Problem::new(format!("{key}.{name}[{index}]"), why))
    };
    for (name, present) in [
        ("allowed_operations", constraint.allowed_operations.is_some()),
        ("max_rows", constraint.max_rows.is_some()),
    ] {
        if present {
            return Err(not_yet(format!("{key}.{name}")));
        }
    }
    let allowed = constraint.allowed_paths.as_deref().map(|p| globs("allowed_paths", p));
    Ok(Limits {
        path_arguments: constraint.path_arguments.clone(),
        allowed: allowed.transpose()?,
        denied: globs("denied_paths", &constraint.denied_paths)?,
        allowed_extensions: constraint.allowed_extensions.clone(),
        denied_extensions: constraint.denied_extensions.clone(),
        max_file_size: constraint.max_file_size,
        timeout: constraint.timeout_seconds.map(Duration::from_secs),
        key,
    })
}

/// A limit that would not be kept must not look as if it were.
fn not_yet(key: String) -> Problem {
    Problem::new(key, "this limit is not enforced by this version; remove it to go on without")
}
