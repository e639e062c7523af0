//! What the rogue server does when its response is written already, at once or later, itself or by a
//! process that it left behind: every such deed is in a record that says EXCEEDED.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::count::{Counts, calls};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;

use crate::rig::{NOTE, WITHHELD, expect_error};
use crate::stage::{Stage, seen};

/// Calls of each kind when nothing else is asked for.
const CALLS: u32 = 20;

/// Names and flags. In microseconds; the first ones race the gate.
const KINDS: [(&str, &[&str]); 6] = [
    ("at_once", &["--late", "0"]),
    ("microseconds_later", &["--late", "30"]),
    ("a_little_later", &["--late", "300"]),
    ("seconds_later", &["--late", "1500000"]),
    ("by_a_process_left_behind", &["--detached", "--late", "0"]),
    ("by_a_process_left_behind_later", &["--detached", "--late", "300000"]),
];

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    let one = |(name, flags): (&'static str, &'static [&'static str])| {
        test(&format!("late::{name}_is_caught_every_time"), KERNEL, move || caught(name, flags))
    };
    let mut tests: Vec<_> = KINDS.into_iter().map(one).collect();
    tests.push(test("late::what_is_ambient_may_come_late", KERNEL, twin));
    tests
}

fn caught(name: &str, flags: &[&str]) -> anyhow::Result<()> {
    let calls = calls(CALLS);
    let stage = Stage::new(0, false)?;
    let mut client = stage.client(&[flags, &["--also-write", "{root}/out/late-{n}"]].concat())?;
    for _ in 0..calls {
        let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
        // It may have come before the response was read; then not a byte of that gets out.
        if reply.message.get("result").is_some() {
            ensure!(reply.text()? == NOTE, "{}", reply.line);
        } else {
            expect_error(&reply, WITHHELD)?;
        }
    }
    let file = |n| stage.rig.root.join(format!("out/late-{n}"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !(1..=calls).all(|n| file(n).exists()) {
        if Instant::now() > deadline {
            bail!("not every deed was done: {}", client.stderr());
        }
        thread::sleep(Duration::from_millis(10));
    }
    client.finish()?;

    // Where the deed of each call was found.
    let mut counts = Counts::default();
    let mut found = vec![0_u32; calls as usize];
    let prefix = format!("{}/out/late-", stage.rig.root.display());
    for record in records::read(&stage.rig.audit)? {
        // An instance that starts also records what one that crashed has left behind.
        if !["call", "unsolicited"].contains(&record.text("event")) {
            continue;
        }
        for effect in record.exceeded() {
            let (kind, path) = seen(effect);
            let number = path.strip_prefix(&prefix).and_then(|number| number.parse().ok());
            let Some(slot) = number.and_then(|n: usize| found.get_mut(n.checked_sub(1)?)) else {
                bail!("what is {kind} {path}? {record:#?}");
            };
            ensure!(record.verdict() == "EXCEEDED" && kind == "file_create", "{record:#?}");
            *slot += 1;
            counts.add(record.text("event"));
        }
        let withheld = record.text("error").starts_with("response withheld");
        ensure!(withheld == (record.text("event") == "call" && record.verdict() == "EXCEEDED"));
    }
    counts.tell(&format!("late::{name}, found in records of"));
    let missed: Vec<_> = (1..).zip(&found).filter(|(_, times)| **times == 0).collect();
    ensure!(missed.is_empty(), "{} of {calls} were not seen: {missed:?}", missed.len());
    Ok(())
}

fn twin() -> anyhow::Result<()> {
    let calls = calls(CALLS);
    let stage = Stage::new(0, false)?;
    let mut client = stage.client(&["--late", "30", "--also-read", "/usr/lib/os-release"])?;
    for _ in 0..calls {
        let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
        ensure!(reply.text()? == NOTE, "{}", reply.line);
    }
    let ending = client.finish()?;
    ensure!(ending.stderr.contains(": done"), "{}", ending.stderr);
    let mut counts = Counts::default();
    for record in records::read(&stage.rig.audit)? {
        ensure!(record.text("event") != "unsolicited", "{record:#?}");
        if record.text("event") == "call" {
            counts.add(record.verdict());
        }
    }
    counts.tell("late::twin");
    ensure!(counts.of("WITHIN") == calls, "{counts}");
    Ok(())
}
