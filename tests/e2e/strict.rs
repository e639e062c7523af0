//! Messages that parsers read differently: refused, and their twins carried byte for byte.

use std::fs;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::corpus::{self, Fate, Specimen};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;

use crate::rig::Rig;

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [echo]}
# The server writes down what it hears.
effects: {on_exceeded: report}
";

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("strict::over_stdio", &[Need::Kernel], over_stdio)]
}

/// Sends every message of the corpus, each followed by one that must still be served, and compares what the
/// server says that it heard.
fn over_stdio() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let server = rig.scratch.program("echo-server")?;
    let log = rig.root.join("out/log");
    let mut client = Client::connect(rig.run(&[&server, &log])?)?;
    client.request("tools/list", &json!({}))?.result()?;
    let corpus = corpus::strict_json()?;
    let (mut wrong, mut heard, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for (number, specimen) in corpus.iter().enumerate() {
        let id = json!(format!("still served {number}"));
        let probe = json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string();
        client.send_bytes(&specimen.message)?;
        client.send_line(&probe)?;
        let mut replies = client.replies_until(&id).with_context(|| specimen.name.clone())?;
        let last = replies.pop().context("it ends with the answer to the second message")?;
        if specimen.fate == Fate::Passes {
            heard.push(specimen.message.clone());
            said.extend(replies.iter().map(|reply| reply.line.clone()));
        }
        heard.push(probe.into_bytes());
        if let Err(error) = last.result().and_then(|_| fares(specimen, &replies)) {
            wrong.push(format!("{}: {error:#}", specimen.name));
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), corpus.len(), wrong.join("\n"));
    client.finish()?;
    let log = fs::read_to_string(log)?;
    let lines = |word: &str| -> Vec<String> {
        let lines = log.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(str::to_owned).collect()
    };
    // First came the handshake, and the list of tools.
    let escaped = |bytes: &Vec<u8>| bytes.escape_ascii().to_string();
    let heard: Vec<_> = heard.iter().map(escaped).collect();
    let really = lines("heard ");
    for (number, expected) in heard.iter().enumerate() {
        let really = really.get(number + 3);
        ensure!(really == Some(expected), "instead of {expected} it heard {really:?}");
    }
    ensure!(really.len() == heard.len() + 3, "it heard more: {:?}", really.last());
    let answers = lines("said ");
    for said in said {
        ensure!(answers.contains(&said.as_bytes().escape_ascii().to_string()), "altered: {said}");
    }
    Ok(())
}

/// Whether what came back is what becomes of such a message.
fn fares(specimen: &Specimen, replies: &[Reply]) -> anyhow::Result<()> {
    match (&specimen.fate, replies) {
        (Fate::Dropped, []) => Ok(()),
        (Fate::Refused(id), [reply]) => refused(reply, id),
        (Fate::Passes, [reply]) => {
            let ours = reply.message["id"] == json!(7) || reply.message["id"] == json!("seven");
            ensure!(ours, "another id: {}", reply.line);
            reply.result().map(drop)
        }
        (fate, replies) => {
            let lines: Vec<_> = replies.iter().map(|reply| &reply.line).collect();
            anyhow::bail!("{fate:?}, but answered by {lines:?}")
        }
    }
}

/// Whether it is an error of this id that says why and names its record.
fn refused(reply: &Reply, id: &Value) -> anyhow::Result<()> {
    ensure!(reply.message["id"] == *id, "not the id {id}: {}", reply.line);
    let code = reply.error_code().with_context(|| format!("no error: {}", reply.line))?;
    crate::rig::expect_error(reply, code)
}
