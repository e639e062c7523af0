//! A later version of the package is installed while servers run.

use std::time::Instant;

use anyhow::ensure;
use libtest_mimic::Trial;
use warrantd_tests::harness::test;

use crate::killed::{Insistent, always_enforced, report, tried_after};
use crate::machine::{is_active, measured, succeeds};
use crate::service::last_call_was_within;
use crate::stage;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("upgrade::servers_are_enforced_all_the_while", &[], upgrade)]
}

fn upgrade() -> anyhow::Result<()> {
    let insistent = Insistent::start()?;
    let known = report().len();
    let start = Instant::now();
    succeeds("cd /srv/packages && apt-get install -y ./warrantd-next.deb")?;
    measured("the upgrade", start.elapsed());
    let version = succeeds("dpkg-query --show --showformat '${Version}' warrantd")?;
    ensure!(version.ends_with("+next"), "version {version} is installed");
    is_active()?;
    // Attempts were made meanwhile, and decided as ever.
    tried_after(known)?;
    always_enforced()?;
    drop(insistent);

    stage::is_served()?;
    last_call_was_within()?;
    drop(Insistent::start()?);
    always_enforced()
}
