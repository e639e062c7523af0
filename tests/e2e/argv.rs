//! A program that may be run, with arguments that it may not have.

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::count::{Counts, calls};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;

use crate::rig::{Rig, WITHHELD, expect_error};
use crate::stage::seen;

/// Calls of each kind when nothing else is asked for.
const CALLS: u32 = 20;

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [run_command]}
effects:
  tools:
    run_command:
      exec:
        - {program: '**/bin/true', args: [status, --short]}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("argv::what_is_smuggled_in_is_caught_every_time", KERNEL, smuggled),
        test("argv::what_begins_as_policy_says_never_is", KERNEL, twin),
    ]
}

/// Ways to have the program do something else.
fn attacks() -> Vec<String> {
    let long = "x".repeat(1000);
    [
        "/usr/bin/true".to_owned(),
        "/usr/bin/true status".to_owned(),
        "/usr/bin/true -c core.pager=sh status --short".to_owned(),
        "/usr/bin/true --exec-path=. status --short".to_owned(),
        "/usr/bin/true status -c --short".to_owned(),
        "/usr/bin/true status --short=1".to_owned(),
        "/usr/bin/true Status --short".to_owned(),
        // Not all of it is seen, so nobody can say what it is.
        format!("/usr/bin/true status --short {long}"),
        // Another program by the same words.
        "/usr/bin/false status --short".to_owned(),
    ]
    .into()
}

fn smuggled() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&["--deeds"])?)?)?;
    let (attacks, rounds) = (attacks(), calls(CALLS));
    for _ in 0..rounds {
        for command in &attacks {
            let reply = client.call("run_command", &json!({"command": command}))?;
            expect_error(&reply, WITHHELD)?;
        }
    }
    client.finish()?;
    let mut counts = Counts::default();
    for record in records::calls(&rig.audit)? {
        counts.add(record.verdict());
        let kinds: Vec<_> = record.exceeded().iter().map(|effect| seen(effect).0).collect();
        ensure!(record.verdict() == "EXCEEDED" && kinds == ["exec"], "{record:#?}");
    }
    counts.tell("argv::smuggled");
    ensure!(counts.of("EXCEEDED") as usize == rounds as usize * attacks.len(), "{counts}");
    Ok(())
}

fn twin() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let mut client = Client::connect(rig.run(&rig.rogue(&["--deeds"])?)?)?;
    let calls = calls(CALLS);
    for n in 0..calls {
        let more = ["", " --branch", " -- a.txt b.txt"][n as usize % 3];
        let command = format!("/usr/bin/true status --short{more}");
        let reply = client.call("run_command", &json!({"command": command}))?;
        ensure!(reply.text()? == "done", "{}", reply.line);
    }
    client.finish()?;
    let mut counts = Counts::default();
    for record in records::calls(&rig.audit)? {
        counts.add(record.verdict());
        ensure!(record.verdict() == "WITHIN" && record.warranted().len() == 1, "{record:#?}");
    }
    counts.tell("argv::twin");
    ensure!(counts.of("WITHIN") == calls, "{counts}");
    Ok(())
}
