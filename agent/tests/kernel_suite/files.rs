//! Opens and execs are reported as what they are.

use std::os::unix::fs::MetadataExt as _;

use libtest_mimic::Failed;
use warrantd::policy::network::Table;
use warrantd::warrant::EffectKind;

use crate::Test;
use crate::support::{equal, file, run};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[("an_open_is_reported", an_open_is_reported)];

fn an_open_is_reported() -> Result<(), Failed> {
    let run = run("open", &Table::default(), &["read", "/etc/hostname"])?;
    equal(run.printed.as_str(), "ok")?;
    let metadata = std::fs::metadata("/etc/hostname")?;
    let (file, effect) = file(&run, EffectKind::FileRead, "/etc/hostname")?;
    equal((file.dev, file.ino), (metadata.dev(), metadata.ino()))?;
    equal(effect.process.pid, run.pid)?;
    Ok(())
}
