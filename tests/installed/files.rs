//! What a package leaves behind: files, users and groups that were not there before it came.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use crate::machine::{lines, sh};

/// Where packages put what they have.
const TREES: &str = "/etc /opt /usr /var/lib";
/// What every package changes.
const OF_EVERYONE: [&str; 4] =
    ["/etc/ld.so.cache", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd"];
const ACCOUNTS: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

/// How it was before.
static BEFORE: Mutex<Option<Snapshot>> = Mutex::new(None);

/// What there is at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at everything.
    pub(crate) fn take() -> anyhow::Result<Self> {
        // Directories come and go while it looks; what remains of a package does not.
        let (_, found) = sh(&format!("find {TREES} -xdev"))?;
        let of_everyone = |path: &str| {
            OF_EVERYONE.iter().any(|place| path.starts_with(place))
                // Lists of accounts as they were before the last change.
                || (path.starts_with("/etc/") && path.ends_with('-'))
        };
        let mut all: BTreeSet<String> =
            found.lines().filter(|path| !of_everyone(path)).map(str::to_owned).collect();
        for file in ACCOUNTS {
            all.extend(lines(file)?.into_iter().map(|line| format!("{file}: {line}")));
        }
        Ok(Self(all))
    }

    /// Remembers this as how it was before.
    pub(crate) fn keep(self) -> anyhow::Result<()> {
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
        Ok(())
    }

    /// What was not there before.
    pub(crate) fn new(&self) -> anyhow::Result<Vec<String>> {
        let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = before.as_ref().context("nobody looked before the package came")?;
        Ok(self.0.difference(&before.0).cloned().collect())
    }
}
