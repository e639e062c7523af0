//! From a server that is only observed to a policy that is enforced: what the script of a real server showed
//! is learned, and then enforced on the same script, which goes on with arguments that were not seen.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use warrantd_tests::count::calls;
use warrantd_tests::harness::test;
use warrantd_tests::records::Record;

use crate::real::{REAL, Real, expect_within};
use crate::rig::{DENIED, Rig, expect_error};

/// Calls that are learned from: each script three times.
const OBSERVED: u32 = 39;
/// Calls under the learned policy when nothing else is asked for.
const CALLS: u32 = 60;

/// Nothing is allowed, and everything let through.
const OBSERVE: &str = "
mode: observe
actors:
  - {id: assistant-service}
";

pub(crate) fn tests() -> Vec<Trial> {
    REAL.iter()
        .map(|real| {
            let name = format!("learned::{}_stays_within_what_it_showed", real.name);
            test(&name, real.needs, move || learned(real))
        })
        .collect()
}

fn learned(real: &Real) -> anyhow::Result<()> {
    let mut rig = real.rig(OBSERVE)?;
    let observed = real.play(&rig, OBSERVED)?;
    ensure!(observed.len() == OBSERVED as usize, "{} records", observed.len());
    let as_it_was = |record: &Record| {
        record.text("mode") == "observe" && record.text("policy_decision") == "DENY"
    };
    ensure!(observed.iter().all(as_it_was), "{:#?}", observed.first());

    let policy = rig.scratch.path("learned.yaml")?;
    warrantd(&rig, &["learn".as_ref(), &rig.audit, "--out".as_ref(), &policy])?;
    warrantd(&rig, &["check".as_ref(), &policy])?;
    warrantd(&rig, &["learn".as_ref(), &rig.audit, "--diff".as_ref(), &policy])?;

    // Enforced, in a log of its own.
    rig.policy = policy;
    rig.audit = rig.scratch.writable_directory("audit-enforced")?;
    let calls = calls(CALLS);
    let shown = || std::fs::read_to_string(&rig.policy).unwrap_or_default();
    let records = real.play(&rig, calls).with_context(shown)?;
    expect_within(&format!("learned::{}", real.name), &records, calls).with_context(shown)?;

    // What the script does not do is denied.
    let (mut client, _web) = real.client(&rig)?;
    let (tool, arguments) = (real.outside)(&rig);
    let reply = client.call(tool, &arguments)?;
    expect_error(&reply, DENIED).with_context(shown)?;
    client.finish()?;
    ensure!(rig.record_of(&reply)?.text("policy_decision") == "DENY");
    Ok(())
}

/// Runs `warrantd`, which must succeed.
fn warrantd(rig: &Rig, words: &[&Path]) -> anyhow::Result<()> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(words).env_remove("WARRANTD_LOG");
    let done = command.output().with_context(|| format!("{command:?}"))?;
    let (out, error) =
        (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "{command:?}: {}: {out}{error}", done.status);
    Ok(())
}
