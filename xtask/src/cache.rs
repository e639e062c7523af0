//! Tools that `setup` builds or installs, kept outside the checkout.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use warrantd_tests::places;

/// The cache directory: what the variable `WARRANTD_DEV_CACHE` says, else
/// `/var/cache/warrantd-dev`.
pub(crate) fn dir() -> PathBuf {
    places::cache()
}

/// Lets a command find the programs in the cache, after those that are installed otherwise.
pub(crate) fn on_path(command: &mut Command) -> &mut Command {
    let mut path = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    path.push(":");
    path.push(dir().join("bin"));
    command.env("PATH", path)
}
