//! Hosts, name servers and a policy inside a network namespace, and sessions that look for them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, ensure};
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::nameserver::{NameServer, Zone};
use warrantd_tests::netns::{Listeners, Namespace};
use warrantd_tests::places;
use warrantd_tests::records::{Record, await_record};

use crate::rig::Rig;

/// The port that hosts serve on.
pub(crate) const PORT: u16 = 8080;
/// The name server that the policy names.
const UPSTREAM: &str = "10.9.9.53";
/// Another one, whom servers ask and who must never hear of it.
pub(crate) const OTHER: &str = "9.9.9.9";
/// The same by IPv6.
const OTHER_V6: &str = "2600::53";

/// What exists: hosts, name servers, and a policy.
pub(crate) struct World {
    pub(crate) rig: Rig,
    net: Namespace,
    pub(crate) hosts: Listeners,
    pub(crate) upstream: NameServer,
    other: Vec<NameServer>,
    /// What the server finds as /etc/resolv.conf.
    resolv_conf: &'static str,
}

impl World {
    /// A world under a policy with these rules.
    pub(crate) fn new(allow: &str) -> anyhow::Result<Self> {
        Self::build(allow, false)
    }

    /// The same; with IPv6 hosts, too, and servers that ask by it.
    pub(crate) fn build(allow: &str, v6: bool) -> anyhow::Result<Self> {
        let policy = format!(
            "
actors:
  - {{id: tester, allowed_tools: [run_program, try_peers]}}
network:
  resolvers: [{UPSTREAM}]
  allow: [{allow}]
effects:
  network: always
  on_exceeded: report
"
        );
        let rig = Rig::new(&policy)?;
        let v4 = ["8.8.8.0/24", "9.9.9.9/32", "10.9.9.53/32", "10.0.0.1/32", "169.254.169.254/32"];
        let own_v6: &[&str] = if v6 { &["2600::4/128", "2600::53/128"] } else { &[] };
        let net = Namespace::new(&[&v4, own_v6].concat())?;
        let zone = Zone::default()
            .with("api.example.com", 300, if v6 { &["8.8.8.4", "2600::4"] } else { &["8.8.8.4"] })
            .with("zero.example.com", 0, &["8.8.8.5"])
            .with("alias.example.com", 60, &["www.cdn.example.net"])
            .with("www.cdn.example.net", 60, &["edge.cdn.example.net"])
            .with("edge.cdn.example.net", 60, &["8.8.8.6"])
            .with("meta.example.com", 60, &["169.254.169.254"])
            .with("inner.example.com", 60, &["10.0.0.1"])
            .with("mixed.example.com", 60, &["10.0.0.1", "8.8.8.7"])
            .with("evil.example.net", 60, &[OTHER]);
        let many: Vec<_> = (100..200).map(|n| format!("8.8.8.{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let zone = zone.with("many.example.com", 60, &many);
        let liar = Zone::default().with("api.example.com", 300, &[OTHER]);
        let mut other = vec![NameServer::start(&net, &format!("{OTHER}:53"), liar.clone())?];
        let mut listening = vec![format!("0.0.0.0:{PORT}")];
        // Name service that is no port 53: DNS over TLS (RFC 7858) and HTTPS (RFC 8484).
        listening.extend([853, 443].map(|port| format!("{OTHER}:{port}")));
        if v6 {
            other.push(NameServer::start(&net, &format!("[{OTHER_V6}]:53"), liar)?);
            listening.push(format!("[2600::4]:{PORT}"));
        }
        let listening: Vec<_> = listening.iter().map(String::as_str).collect();
        Ok(Self {
            hosts: Listeners::start(&net, &rig.scratch.program("net-probe")?, &listening)?,
            upstream: NameServer::start(&net, &format!("{UPSTREAM}:53"), zone)?,
            other,
            resolv_conf: if v6 { OTHER_V6 } else { OTHER },
            rig,
            net,
        })
    }

    /// A session whose server finds a resolv.conf(5) of this world.
    pub(crate) fn session(&self) -> anyhow::Result<Session<'_>> {
        let server = self.rig.rogue(&[])?;
        let command = self.rig.run_resolving(&self.net, self.resolv_conf, &server)?;
        Ok(Session { world: self, client: Client::connect(command)?, runs: 0 })
    }

    /// Fails when a name server other than the policy's was asked.
    pub(crate) fn expect_no_other(&self) -> anyhow::Result<()> {
        for other in &self.other {
            ensure!(
                other.asked().is_empty(),
                "the other name server was asked {:?}",
                other.asked()
            );
        }
        Ok(())
    }

    /// The record of a refused name.
    pub(crate) fn refused(&self, name: &str) -> anyhow::Result<Record> {
        await_record(&self.rig.audit, |record| {
            record.text("event") == "name_refused" && record.text("error").starts_with(name)
        })
    }
}

/// A client, and its server in a session.
pub(crate) struct Session<'a> {
    world: &'a World,
    pub(crate) client: Client,
    runs: u32,
}

impl Session<'_> {
    /// Lets the server run a program, and gives the lines it prints.
    pub(crate) fn run(&mut self, words: &[&str]) -> anyhow::Result<Vec<String>> {
        self.runs += 1;
        let quoted: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
        let script = format!("#!/bin/sh\n{} 2>&1\n", quoted.join(" "));
        let script = self.world.rig.scratch.file(&format!("run-{}.sh", self.runs), script)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        let reply = self.client.call("run_program", &json!({"program": script}))?;
        Ok(reply.text()?.lines().map(str::to_owned).collect())
    }

    /// Runs a script of `tests/clients` by an interpreter of the system.
    pub(crate) fn script(
        &mut self,
        interpreter: &str,
        name: &str,
        words: &[&str],
    ) -> anyhow::Result<Vec<String>> {
        let interpreter = places::system_program(interpreter).map_err(anyhow::Error::msg)?;
        let text = fs::read(places::client_script(name)).context("a script")?;
        let script = self.world.rig.scratch.file(name, text)?;
        let port = PORT.to_string();
        let (interpreter, script) = (interpreter.to_string_lossy(), script.to_string_lossy());
        let all = [&[&*interpreter, &*script], words, &[&*port]].concat();
        let mut lines = self.run(&all)?;
        lines.sort();
        Ok(lines)
    }

    /// Asks a name server by `net-probe`.
    pub(crate) fn ask(&mut self, server: &str, names: &[&str]) -> anyhow::Result<Vec<String>> {
        let probe = self.world.rig.scratch.program("net-probe")?;
        self.run(&[&[&*probe.to_string_lossy(), "ask", server], names].concat())
    }

    /// How it goes to reach a host.
    pub(crate) fn reach(&mut self, target: &str) -> anyhow::Result<String> {
        let reply = self.client.call("try_peers", &json!({"targets": [target]}))?;
        let outcome = reply.text()?.strip_prefix(target).map(|outcome| outcome.trim().to_owned());
        outcome.with_context(|| format!("not about {target}: {}", reply.line))
    }
}
