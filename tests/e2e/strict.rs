//! Messages that parsers read differently: refused, and their twins carried byte for byte.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::corpus::{self, Fate, Specimen};
use warrantd_tests::harness::test;
use warrantd_tests::http::{Endpoint, Response};
use warrantd_tests::needs::Need;
use warrantd_tests::scratch::text;

use crate::daemon::Daemon;
use crate::http_world::listeners;
use crate::rig::{Rig, expect_error};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [echo]}
# The server writes down what it hears.
effects: {on_exceeded: report}
";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("strict::over_stdio", &[Need::Kernel], over_stdio),
        test("strict::over_http", &[Need::Kernel], over_http),
    ]
}

/// Sends every message of the corpus, each followed by one that must still be served, and compares what the
/// server says that it heard.
fn over_stdio() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let (server, log) = (rig.scratch.program("echo-server")?, rig.root.join("out/log"));
    let mut client = Client::connect(rig.run(&[&server, &log])?)?;
    client.request("tools/list", &json!({}))?.result()?;
    let mut exchange = |message: &[u8], probe: &Value| {
        client.send_bytes(message)?;
        client.send(probe)?;
        let mut replies = client.replies_until(&probe["id"])?;
        replies.pop().context("it ends with the answer to the second message")?.result()?;
        Ok(replies)
    };
    let tried = Tried::all(&mut exchange)?;
    client.finish()?;
    tried.compare(&log)
}

/// The same, with a POST for each.
fn over_http() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let log = rig.root.join("out/log");
    let command = [text(&rig.scratch.program("echo-server")?), text(&log)];
    let daemon = Daemon::configured(rig, "[peer_uid]", &command, |config| {
        // As fast as the machine can: the corpus is longer than a second's due.
        let limits = "limits: {requests_per_second: 100000}";
        format!(
            "{config}listen: [{{address: '127.0.0.1:0', actor: assistant-service}}]\n{limits}\n"
        )
    })?;
    let address = listeners(&daemon, 1)?.pop().context("a listener")?;
    let session = Endpoint::tcp(address, "/files/mcp").session()?;
    session.post(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}))?.json()?;
    let mut exchange = |message: &[u8], probe: &Value| {
        let reply = posted(session.clone().posting().send("POST", Some(message))?)?;
        let served = session.post(probe)?;
        ensure!(served.status == 200, "not served: {}", served.shown());
        Ok(reply.into_iter().collect())
    };
    // The log goes with the daemon.
    Tried::all(&mut exchange)?.compare(&log)
}

/// The message that answers a POST, if there is one. What the session refuses is an answer with status 200.
fn posted(response: Response) -> anyhow::Result<Option<Reply>> {
    let status = response.status;
    if status == 202 {
        return Ok(None);
    }
    let line = response.text()?;
    let message: Value = serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))?;
    let refused = message.get("error").is_some();
    let accepted = status == 200;
    ensure!(accepted || (refused && (400..500).contains(&status)), "HTTP {status} for {line}");
    Ok(Some(Reply { line, message }))
}

/// A way to send a message of the corpus and after it one that must be served; gives the answers to the first.
type Exchange<'a> = dyn FnMut(&[u8], &Value) -> anyhow::Result<Vec<Reply>> + 'a;

/// What was sent and must have reached the server, and what came back from it.
#[derive(Default)]
struct Tried {
    heard: Vec<String>,
    said: Vec<String>,
}

impl Tried {
    /// Sends the whole corpus.
    fn all(exchange: &mut Exchange<'_>) -> anyhow::Result<Self> {
        let mut tried = Self::default();
        let mut wrong = Vec::new();
        let corpus = corpus::strict_json()?;
        for (number, specimen) in corpus.iter().enumerate() {
            let id = format!("still served {number}");
            let probe = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
            let replies =
                exchange(&specimen.message, &probe).with_context(|| specimen.name.clone())?;
            if specimen.fate == Fate::Passes {
                tried.heard.push(specimen.message.escape_ascii().to_string());
                let lines = replies.iter().map(|reply| reply.line.as_bytes().escape_ascii());
                tried.said.extend(lines.map(|line| line.to_string()));
            }
            tried.heard.push(probe.to_string().as_bytes().escape_ascii().to_string());
            if let Err(error) = fares(specimen, &replies) {
                wrong.push(format!("{}: {error:#}", specimen.name));
            }
        }
        ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), corpus.len(), wrong.join("\n"));
        Ok(tried)
    }

    /// Demands that the server heard this and nothing else after the handshake, and that what came back is what
    /// it said.
    fn compare(&self, log: &Path) -> anyhow::Result<()> {
        let log = fs::read_to_string(log)?;
        let lines = |word: &str| -> Vec<&str> {
            log.lines().filter_map(|line| line.strip_prefix(word)).collect()
        };
        let really = lines("heard ");
        // The handshake has two messages, and the list of tools is one.
        for (number, expected) in self.heard.iter().enumerate() {
            let really = really.get(number + 3);
            ensure!(really == Some(&expected.as_str()), "not {expected} was heard but {really:?}");
        }
        ensure!(really.len() == self.heard.len() + 3, "it heard more: {:?}", really.last());
        let answers = lines("said ");
        for said in &self.said {
            ensure!(answers.contains(&said.as_str()), "altered: {said}");
        }
        Ok(())
    }
}

/// Whether what came back is what becomes of such a message.
fn fares(specimen: &Specimen, replies: &[Reply]) -> anyhow::Result<()> {
    match (&specimen.fate, replies) {
        (Fate::Dropped, []) => Ok(()),
        (Fate::Refused(id), [reply]) => {
            ensure!(reply.message["id"] == *id, "not the id {id}: {}", reply.line);
            let code = reply.error_code().with_context(|| format!("no error: {}", reply.line))?;
            expect_error(reply, code)
        }
        (Fate::Passes, [reply]) => {
            let ours = reply.message["id"] == json!(7) || reply.message["id"] == json!("seven");
            ensure!(ours, "another id: {}", reply.line);
            reply.result().map(drop)
        }
        (fate, replies) => {
            let lines: Vec<_> = replies.iter().map(|reply| &reply.line).collect();
            bail!("{fate:?}, but answered by {lines:?}")
        }
    }
}
