//! The package goes, and takes everything with it that it brought.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use libtest_mimic::Trial;
use warrantd_tests::harness::test;

use crate::files::Snapshot;
use crate::killed::{Insistent, always_enforced};
use crate::machine::{AUDIT, UNIT, measured, sh, succeeds};
use crate::stage::{self, POLICY};

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("removal::the_audit_log_of_all_this_is_whole", &[], verified),
        test("removal::nothing_runs_after_a_removal", &[], removed),
        test("removal::nothing_is_left_after_a_purge", &[], purged),
    ]
}

fn verified() -> anyhow::Result<()> {
    let key = "/var/lib/warrantd/audit.pub";
    succeeds(&format!("warrantd audit verify --open --key {key} {AUDIT}"))?;
    Ok(())
}

fn removed() -> anyhow::Result<()> {
    // A client and its server are there when the package goes.
    let _insistent = Insistent::start()?;
    let start = Instant::now();
    succeeds("apt-get remove -y warrantd")?;
    measured("the removal", start.elapsed());
    always_enforced()?;
    // Until a purge the unit is masked, as Debian has it, so that nothing starts what is not there.
    nothing_runs("masked")?;
    ensure!(!Path::new("/usr/bin/warrantd").exists(), "the program is still there");
    // What somebody wrote, and what was recorded, stay until a purge.
    for kept in [POLICY, "/etc/warrantd/warrantd.yaml", AUDIT] {
        ensure!(Path::new(kept).exists(), "{kept} is gone, too");
    }
    Ok(())
}

/// Fails when processes, units, sockets, cgroups or kernel objects are there. Units of this state do not count.
fn nothing_runs(but: &str) -> anyhow::Result<()> {
    let none = |what: &str, command: &str| {
        let (_, found) = sh(command)?;
        ensure!(found.trim().is_empty(), "{what}:\n{found}");
        Ok(())
    };
    none(
        "processes run on",
        "for exe in /proc/[0-9]*/exe; do readlink $exe; done 2>/dev/null |
         grep -E '^(/usr/bin/warrantd|/usr/lib/warrantd-tests/rogue-server)'",
    )?;
    let list = "systemctl list-units --all --plain --no-legend 'warrantd*'";
    none("units are loaded", &format!("{list} | grep -v ' {but} '"))?;
    none("sockets are there", "find /run -name '*warrantd*'")?;
    none("kernel objects are pinned", "find /sys/fs/bpf -mindepth 1")?;
    none("cgroups are there", "find /sys/fs/cgroup -name '*warrantd*'")?;
    let enabled = sh(&format!("systemctl is-enabled {UNIT}"))?.1;
    ensure!(!enabled.starts_with("enabled"), "the unit is enabled still");
    Ok(())
}

fn purged() -> anyhow::Result<()> {
    stage::clear()?;
    succeeds("apt-get purge -y warrantd")?;
    nothing_runs("not-found")?;
    let new = Snapshot::take()?.new()?;
    ensure!(new.is_empty(), "left behind:\n{}", new.join("\n"));
    // By name, and everywhere.
    let (_, named) = sh("find / -xdev -name '*warrantd*' -not -path '/proc/*'
         -not -path '/usr/lib/warrantd-tests*' -not -path '/srv/packages/*' -not -path /etc/warrantd-vm.json"
        .replace('\n', " ")
        .as_str())?;
    ensure!(named.trim().is_empty(), "left behind:\n{named}");
    let known = sh("dpkg-query --show warrantd")?.1;
    ensure!(known.contains("no packages found"), "{known}");
    Ok(())
}
