//! Where tools of development are kept, outside the checkout, so that a fresh clone finds them.

use std::env;
use std::path::PathBuf;

/// Names another directory than [`DEFAULT`].
pub const VARIABLE: &str = "WARRANTD_DEV_CACHE";

/// For root; the servers under test run as another user and must be able to read it.
pub const DEFAULT: &str = "/var/cache/warrantd-dev";

/// The cache directory: what [`VARIABLE`] says, else [`DEFAULT`].
pub fn dir() -> PathBuf {
    env::var_os(VARIABLE).filter(|dir| !dir.is_empty()).unwrap_or_else(|| DEFAULT.into()).into()
}
