//! `systemctl reload`: another policy for sessions that go on, or none of it.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::records::{self, Record};

use crate::machine::{AUDIT, UNIT, is_active, property, sh, succeeds};
use crate::service::last_call;
use crate::stage::{self, POLICY};

/// The code of a denied call.
const DENIED: i64 = -31003;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("reload::a_session_goes_on_under_another_policy", &[], live),
        test("reload::a_broken_policy_changes_nothing_and_says_why", &[], broken),
        test("reload::by_command_and_by_signal_as_well", &[], refused),
    ]
}

/// The records of reloads.
fn reloads() -> anyhow::Result<Vec<Record>> {
    let mut records = records::read(Path::new(AUDIT))?;
    records.retain(|record| record.text("event") == "reload");
    Ok(records)
}

fn denied(client: &mut Client) -> anyhow::Result<()> {
    let reply = stage::read_note(client)?;
    ensure!(reply.error_code() == Some(DENIED), "{}", reply.line);
    Ok(())
}

fn live() -> anyhow::Result<()> {
    let pid = property("MainPID")?;
    let mut client = stage::connect("honest")?;
    stage::expect_note(&mut client)?;
    let session = last_call()?.text("session_id").to_owned();
    let known = reloads()?.len();

    fs::write(POLICY, stage::policy("http_get"))?;
    succeeds("systemctl reload warrantd")?;
    denied(&mut client)?;
    let record = last_call()?;
    ensure!(record.text("policy_decision") == "DENY", "{record:#?}");
    ensure!(!session.is_empty() && record.text("session_id") == session, "{record:#?}");

    fs::write(POLICY, stage::policy("read_text_file, http_get"))?;
    succeeds("systemctl reload warrantd")?;
    stage::expect_note(&mut client)?;
    client.finish()?;
    is_active()?;
    ensure!(property("MainPID")? == pid, "a reload is no restart");

    let reloads = reloads()?;
    let [first, second] = reloads.get(known..).unwrap_or_default() else {
        anyhow::bail!("not two reloads: {reloads:#?}");
    };
    for record in [first, second] {
        ensure!(record.text("status") == "SUCCESS", "{record:#?}");
        ensure!(record.get("configuration").to_string().contains(POLICY), "{record:#?}");
    }
    let generation = |record: &Record| record.get("policy_generation").as_u64();
    ensure!(generation(second) > generation(first), "{reloads:#?}");
    Ok(())
}

/// A word that no policy has, on the fourth line.
fn break_policy() -> anyhow::Result<()> {
    let broken = stage::policy("http_get").replace("constraints:", "constrains:");
    fs::write(POLICY, broken).context(POLICY)
}

fn mend_policy() -> anyhow::Result<()> {
    fs::write(POLICY, stage::policy("read_text_file, http_get")).context(POLICY)
}

/// The place of the mistake and the word itself.
fn says_why(said: &str) -> anyhow::Result<()> {
    ensure!(said.contains(&format!("{POLICY}:4")) && said.contains("constrains"), "{said}");
    Ok(())
}

/// Fails unless the reload after those that are known is recorded as one that root ordered and that changed nothing.
fn is_recorded(known: usize) -> anyhow::Result<()> {
    let reloads = reloads()?;
    let record = reloads.get(known).context("the refusal is not recorded")?;
    ensure!(record.text("status") == "FAILURE", "{record:#?}");
    ensure!(record.get("operator_uid").as_u64() == Some(0), "{record:#?}");
    says_why(record.text("error"))
}

fn broken() -> anyhow::Result<()> {
    let mut client = stage::connect("honest")?;
    stage::expect_note(&mut client)?;
    let known = reloads()?.len();
    break_policy()?;
    let (code, said) = sh("systemctl reload warrantd")?;
    ensure!(code != 0, "systemd takes a policy for good that is not: {said}");
    says_why(&succeeds(&format!("journalctl --no-pager --lines=20 --unit={UNIT}"))?)?;
    is_recorded(known)?;
    is_active()?;
    // What was allowed still is, and so for those who come now.
    stage::expect_note(&mut client)?;
    client.finish()?;
    stage::is_served()?;
    mend_policy()
}

/// The same without systemd.
fn refused() -> anyhow::Result<()> {
    let mut client = stage::connect("honest")?;
    stage::expect_note(&mut client)?;
    let known = reloads()?.len();
    break_policy()?;
    let (code, said) = sh("warrantd reload")?;
    ensure!(code == 78, "{code}: {said}");
    says_why(&said)?;
    is_recorded(known)?;
    // The signal does the same.
    succeeds(&format!("systemctl kill --signal=HUP --kill-whom=main {UNIT}"))?;
    crate::machine::in_time("the second refusal is recorded", || {
        reloads().is_ok_and(|reloads| reloads.len() == known + 2)
    })?;
    stage::expect_note(&mut client)?;
    client.finish()?;
    mend_policy()?;
    succeeds("warrantd reload")?;
    is_active()
}
