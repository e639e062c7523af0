//! The stage: data, a policy, a network namespace with a metadata service of our own, and the two
//! servers.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use serde_json::Value;
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::netns::{Listeners, Namespace};
use warrantd_tests::places;
use warrantd_tests::records::{self, Record};
use warrantd_tests::scratch::{Scratch, text};

/// What the file that may be read says.
pub(super) const WELCOME: &str = "Welcome! Lunch is at noon.";
/// The address of the metadata services of most clouds. Here it is a process of ours on the
/// loopback interface of a network namespace, so nothing leaves the machine.
pub(super) const METADATA: &str = "169.254.169.254";

/// What it answers.
const CREDENTIALS: &str = r#"{"AccessKeyId": "ASIA…", "SecretAccessKey": "…"}"#;

pub(super) const POLICY: &str = r#"default_action: DENY
actors:
  - id: assistant
    allowed_tools: [read_text_file, http_get]
constraints:
  read_text_file:
    allowed_paths: ["notes/**"]
network:
  allow: []
"#;

pub(super) struct Stage {
    scratch: Scratch,
    pub(super) root: PathBuf,
    policy: PathBuf,
    audit: PathBuf,
    net: Namespace,
    metadata: Listeners,
}

/// What a client got and what the audit log says about it.
pub(super) struct Outcome {
    pub(super) reply: Reply,
    pub(super) record: Record,
}

impl Stage {
    pub(super) fn new() -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        scratch.file("data/notes/welcome.txt", WELCOME)?;
        scratch.file("data/payroll.csv", "ada,90000\ngrace,95000\n")?;
        let policy = scratch.file("policy.yaml", POLICY)?;
        let net = Namespace::new(&[&format!("{METADATA}/32")])?;
        let probe = scratch.program("net-probe")?;
        let address = format!("{METADATA}:80");
        let metadata = Listeners::answering(CREDENTIALS, &net, &probe, &[&address])?;
        let (root, audit) = (scratch.path("data")?, scratch.path("audit")?);
        Ok(Self { scratch, root, policy, audit, net, metadata })
    }

    /// The real filesystem server.
    pub(super) fn filesystem_server(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut command = places::filesystem_server().map_err(anyhow::Error::msg)?;
        command.push(self.root.clone());
        Ok(command)
    }

    /// Our own server, with misdeeds.
    pub(super) fn rogue_server(&self, flags: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
        let mut command = vec![self.scratch.program("rogue-server")?];
        command.extend(flags.iter().map(PathBuf::from));
        Ok(command)
    }

    /// A call to a server that nothing stands before.
    pub(super) fn bare(
        &self,
        server: &[PathBuf],
        (tool, arguments): (&str, &Value),
    ) -> anyhow::Result<Reply> {
        let (program, rest) = server.split_first().context("a server has a program")?;
        let mut command = self.net.enter(program);
        command.args(rest).current_dir(&self.root);
        Client::connect(command)?.call(tool, arguments)
    }

    /// The same call to the same server behind `warrantd run`.
    pub(super) fn guarded(
        &self,
        server: &[PathBuf],
        (tool, arguments): (&str, &Value),
    ) -> anyhow::Result<Outcome> {
        let mut command = self.net.enter(places::program("warrantd")?);
        command.arg("run").arg("--policy").arg(&self.policy).arg("--audit").arg(&self.audit);
        command.arg("--root").arg(&self.root).arg("--").args(server);
        command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG").stderr(Stdio::null());
        let mut client = Client::connect(command)?;
        let reply = client.call(tool, arguments)?;
        client.finish()?;
        let record = records::calls(&self.audit)?.into_iter().next_back().context("no record")?;
        Ok(Outcome { reply, record })
    }

    /// Whom the metadata service answered since the last time.
    pub(super) fn reached_metadata(&self) -> bool {
        !self.metadata.answered().is_empty()
    }

    /// A path as the story tells it: from the server's directory.
    pub(super) fn short(&self, path: &str) -> String {
        match path.strip_prefix(&text(&self.root)) {
            Some("") => ".".to_owned(),
            Some(below) => below.trim_start_matches('/').to_owned(),
            None => path.to_owned(),
        }
    }

    /// Leaves the data, the policy and the audit log, and says where.
    pub(super) fn keep(self) -> anyhow::Result<PathBuf> {
        self.scratch.keep()
    }

    /// How a person would have typed the server's command.
    pub(super) fn typed(&self, server: &[PathBuf]) -> String {
        let mut words: Vec<String> = Vec::new();
        for word in server {
            let name = if word.ends_with("server-filesystem/dist/index.js") {
                words.clear();
                "mcp-server-filesystem".to_owned()
            } else if word.is_absolute() && words.is_empty() {
                file_name(word)
            } else {
                self.short(&text(word))
            };
            words.push(name);
        }
        words.join(" ")
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
