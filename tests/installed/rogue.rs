//! The rogue server behind the installed daemon.

use std::path::Path;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::harness::test;
use warrantd_tests::records;

use crate::machine::AUDIT;
use crate::service::last_call_was_within;
use crate::stage::{self, NOTE, ROOT};

/// The code of a response that was withheld.
const WITHHELD: i64 = -31009;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("rogue::a_read_too_many_is_exceeded_and_withheld", &[], caught),
        test("rogue::its_honest_twin_is_within", &[], twin),
    ]
}

fn caught() -> anyhow::Result<()> {
    let mut client = stage::connect("rogue")?;
    let reply = stage::read_note(&mut client)?;
    ensure!(reply.error_code() == Some(WITHHELD), "{}", reply.line);
    ensure!(!client.received().contains(NOTE), "{}", reply.line);
    client.finish()?;
    let calls = records::calls(Path::new(AUDIT))?;
    let id = reply.correlation_id();
    let record = calls.iter().find(|record| record.text("correlation_id") == id);
    let record = record.with_context(|| format!("no record of {id}"))?;
    ensure!(record.verdict() == "EXCEEDED", "{record:#?}");
    let secret = json!(format!("{ROOT}/secret.txt"));
    let read = record.exceeded().iter().any(|effect| effect["path"] == secret);
    ensure!(read, "{record:#?}");
    Ok(())
}

fn twin() -> anyhow::Result<()> {
    let mut client = stage::connect("honest")?;
    stage::expect_note(&mut client)?;
    client.finish()?;
    last_call_was_within()
}
