//! Real servers, each with a script of calls: what the script does is within the warrants of the server's
//! profile in `policies/`, as often as it is done.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::count::{Counts, calls};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::records::{self, Record};
use warrantd_tests::scratch::text;

use crate::rig::{NOTE, Rig};
use crate::scripts::{self, Call};
use crate::web::{PORT, Web};

/// Calls of each script when nothing else is asked for: each script twice and more.
const CALLS: u32 = 30;

/// A real server and what it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Real {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Need],
    /// The shipped policy.
    profile: &'static str,
    command: fn(&Rig) -> Result<Vec<PathBuf>, String>,
    /// The `n`th call, from 0.
    pub(crate) call: fn(&Rig, u32) -> Call,
    /// A call that its script never makes.
    pub(crate) outside: fn(&Rig) -> Call,
}

/// All of them.
pub(crate) const REAL: [Real; 5] = [
    Real {
        name: "filesystem",
        needs: &[Need::Kernel, Need::FilesystemServer],
        profile: include_str!("../../policies/filesystem.yaml"),
        command: |rig| {
            let mut command = places::filesystem_server()?;
            command.push(rig.root.join("data"));
            Ok(command)
        },
        call: scripts::filesystem,
        outside: |rig| ("read_text_file", json!({"path": rig.root.join("secret.txt")})),
    },
    Real {
        name: "memory",
        needs: &[Need::Kernel, Need::NpmServer("server-memory")],
        profile: include_str!("../../policies/memory.yaml"),
        command: |_| places::npm_server("server-memory"),
        call: scripts::memory,
        outside: |_| ("delete_entities", json!({"entityNames": ["Ada 0"]})),
    },
    Real {
        name: "everything",
        needs: &[Need::Kernel, Need::NpmServer("server-everything")],
        profile: include_str!("../../policies/everything.yaml"),
        command: |_| places::npm_server("server-everything"),
        call: scripts::everything,
        outside: |_| ("get-env", json!({})),
    },
    Real {
        name: "fetch",
        needs: &[Need::Kernel, Need::Netns, Need::PythonServer("mcp-server-fetch")],
        profile: include_str!("../../policies/fetch.yaml"),
        command: |_| Ok(vec![places::python_server("mcp-server-fetch")?]),
        call: scripts::fetch,
        outside: |_| ("fetch", json!({"url": format!("http://elsewhere.example.net:{PORT}/")})),
    },
    Real {
        name: "time",
        needs: &[Need::Kernel, Need::PythonServer("mcp-server-time")],
        profile: include_str!("../../policies/time.yaml"),
        command: |_| Ok(vec![places::python_server("mcp-server-time")?]),
        call: scripts::time,
        outside: |_| ("set_time", json!({"time": "09:30"})),
    },
];

pub(crate) fn tests() -> Vec<Trial> {
    REAL.iter()
        .map(|real| {
            let name = format!("real::{}_stays_within_its_profile", real.name);
            test(&name, real.needs, move || profile(real))
        })
        .collect()
}

impl Real {
    /// Surroundings with what the script expects.
    pub(crate) fn rig(&self, policy: &str) -> anyhow::Result<Rig> {
        let mut rig = Rig::new(policy)?;
        rig.scratch.file("root/data/a.md", NOTE)?;
        rig.scratch.writable_directory("root/data/drafts")?;
        if self.name == "memory" {
            // It replaces its graph by renaming a new one.
            fs::set_permissions(&rig.root, Permissions::from_mode(0o777))?;
            rig.env.push(format!("MEMORY_FILE_PATH={}", rig.root.join("memory.jsonl").display()));
        }
        if self.name == "fetch" {
            // Where it finds Node.js it runs it, and npm.
            rig.env.push("PATH=/nonexistent".to_owned());
        }
        Ok(rig)
    }

    /// The shipped policy for a test: `fetch` finds no TLS here, and nothing is too often.
    pub(crate) fn policy(&self) -> String {
        let mut policy = without_limits(self.profile);
        if self.name == "fetch" {
            policy = policy
                .replace("https://docs.example.com", &format!("http://docs.example.com:{PORT}"));
            policy = policy.replace("https://*.docs", "http://*.docs");
            policy =
                policy.replace(".docs.example.com/**", &format!(".docs.example.com:{PORT}/**"));
            policy = policy.replace("ports: [443]", &format!("ports: [{PORT}]"));
        }
        policy
    }

    /// Its command line.
    pub(crate) fn command_line(&self, rig: &Rig) -> anyhow::Result<Vec<String>> {
        let command = (self.command)(rig).map_err(anyhow::Error::msg)?;
        Ok(command.iter().map(|word| text(word)).collect())
    }

    /// A client of the server behind `warrantd run`, and the network around it.
    pub(crate) fn client(&self, rig: &Rig) -> anyhow::Result<(Client, Option<Web>)> {
        let server = (self.command)(rig).map_err(anyhow::Error::msg)?;
        let web = (self.name == "fetch").then(|| Web::new(rig)).transpose()?;
        let command: Command = match &web {
            Some(web) => web.run(rig, &server)?,
            None => rig.run(&server)?,
        };
        Ok((Client::connect(command)?, web))
    }

    /// Plays the script for so many calls and gives their records. Every call must succeed.
    pub(crate) fn play(&self, rig: &Rig, calls: u32) -> anyhow::Result<Vec<Record>> {
        let (mut client, _web) = self.client(rig)?;
        client.request("tools/list", &json!({}))?.result()?;
        let before = records::calls(&rig.audit)?.len();
        for n in 0..calls {
            let (tool, arguments) = (self.call)(rig, n);
            let reply = client.call(tool, &arguments)?;
            let good = reply.result().is_ok_and(|result| result["isError"] != json!(true));
            ensure!(
                good,
                "{}: {tool} {arguments}: {}; stderr: {}",
                self.name,
                reply.line,
                client.stderr()
            );
        }
        client.finish()?;
        Ok(records::calls(&rig.audit)?.split_off(before))
    }
}

/// A policy without its limits on how often something is called.
fn without_limits(policy: &str) -> String {
    let mut inside = false;
    let lines = policy.lines().filter(|line| {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            inside = line.starts_with("rate_limits:");
        }
        // An actor's own is one line.
        !inside && !line.trim_start().starts_with("rate_limit:")
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// Counts verdicts, tells them, and fails unless all are `WITHIN`.
pub(crate) fn expect_within(what: &str, records: &[Record], calls: u32) -> anyhow::Result<()> {
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    for record in records {
        counts.add(record.verdict());
        if record.verdict() != "WITHIN" {
            let (tool, arguments) = (record.text("tool_name"), record.get("arguments"));
            wrong.push(format!("{tool} {arguments}: {:?}", record.exceeded()));
        }
    }
    counts.tell(what);
    wrong.truncate(5);
    ensure!(wrong.is_empty(), "{what}: {counts}\n{}", wrong.join("\n"));
    ensure!(counts.of("WITHIN") == calls, "{what}: {counts} of {calls}");
    Ok(())
}

fn profile(real: &Real) -> anyhow::Result<()> {
    let calls = calls(CALLS);
    let rig = real.rig(&real.policy())?;
    let records = real.play(&rig, calls)?;
    expect_within(&format!("real::{}", real.name), &records, calls)?;
    // Neither did it anything on its own.
    for record in records::read(&rig.audit)? {
        ensure!(record.text("event") != "unsolicited", "{}: {record:#?}", real.name);
    }
    Ok(())
}
