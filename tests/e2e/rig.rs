//! `warrantd run` around a server, with a policy, data and an audit log of its own.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use warrantd_tests::client::Reply;
use warrantd_tests::netns::Namespace;
use warrantd_tests::records::{self, Record};
use warrantd_tests::scratch::Scratch;

/// What the file that calls may read says. Nothing else says it, so that its bytes are told apart.
pub(crate) const NOTE: &str = "the note that may be read\r\n\tGrüße, 世界 🔏\n\n";
/// What the file that no call may read says.
pub(crate) const SECRET: &str = "the secret that may not be read";

/// The code of a denied call.
pub(crate) const DENIED: i64 = -31003;
/// The code of a response that was withheld.
pub(crate) const WITHHELD: i64 = -31009;
/// The code of a caller that could not be authenticated.
pub(crate) const UNAUTHENTICATED: i64 = -31001;

/// A server's surroundings: `public/note.txt`, `secret.txt` and a directory `out` that the server
/// can write to, under the root.
pub(crate) struct Rig {
    pub(crate) scratch: Scratch,
    pub(crate) root: PathBuf,
    pub(crate) policy: PathBuf,
    pub(crate) audit: PathBuf,
    /// Environment of the server, as `NAME=VALUE`.
    pub(crate) env: Vec<String>,
}

impl Rig {
    /// Surroundings with this policy.
    pub(crate) fn new(policy: &str) -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        scratch.file("root/public/note.txt", NOTE)?;
        scratch.file("root/secret.txt", SECRET)?;
        scratch.writable_directory("root/out")?;
        let policy = scratch.file("policy.yaml", policy)?;
        let audit = scratch.writable_directory("audit")?;
        Ok(Self { root: scratch.path("root")?, scratch, policy, audit, env: Vec::new() })
    }

    /// The rogue server with misdeeds.
    pub(crate) fn rogue(&self, flags: &[&str]) -> anyhow::Result<Vec<OsString>> {
        let mut command = vec![self.scratch.program("rogue-server")?.into_os_string()];
        command.extend(flags.iter().map(OsString::from));
        Ok(command)
    }

    /// `warrantd run` around a server.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, server: &[S]) -> anyhow::Result<Command> {
        let mut command = Command::new(self.scratch.program("warrantd")?);
        self.arguments(&mut command, server);
        Ok(command)
    }

    /// `warrantd run` around a server, inside a network namespace.
    pub(crate) fn run_inside<S: AsRef<OsStr>>(
        &self,
        net: &Namespace,
        server: &[S],
    ) -> anyhow::Result<Command> {
        let mut command = net.enter(self.scratch.program("warrantd")?);
        self.arguments(&mut command, server);
        Ok(command)
    }

    /// The same, where the server finds a resolv.conf(5) that leads to this name server.
    pub(crate) fn run_resolving<S: AsRef<OsStr>>(
        &self,
        net: &Namespace,
        resolver: &str,
        server: &[S],
    ) -> anyhow::Result<Command> {
        let inner = self.run_inside(net, server)?;
        let conf = format!("nameserver {resolver}\noptions timeout:5 attempts:1\n");
        let conf = self.scratch.file("resolv.conf", conf)?;
        let switch = self.scratch.file("nsswitch.conf", "hosts: files dns\n")?;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        command.arg(
            "mount --bind \"$1\" /etc/resolv.conf; mount --bind \"$2\" /etc/nsswitch.conf; shift 2; \
             exec \"$@\"",
        );
        command.arg("sh").arg(conf).arg(switch).arg(inner.get_program()).args(inner.get_args());
        command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
        Ok(command)
    }

    fn arguments<S: AsRef<OsStr>>(&self, command: &mut Command, server: &[S]) {
        command.arg("run").arg("--policy").arg(&self.policy).arg("--audit").arg(&self.audit);
        command.arg("--root").arg(&self.root);
        for variable in &self.env {
            command.args(["--env", variable]);
        }
        command.arg("--").args(server);
        // Whoever runs the tests through sudo must not change as whom servers run.
        command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
        if let Ok(runtime) = self.scratch.path("run") {
            command.env("WARRANTD_RUNTIME_DIR", runtime);
        }
    }

    /// The record of the call that was answered with this error.
    pub(crate) fn record_of(&self, error: &Reply) -> anyhow::Result<Record> {
        let id = error.correlation_id();
        ensure!(!id.is_empty(), "no correlation id in {}", error.line);
        let records = records::calls(&self.audit)?;
        let found = records.iter().find(|record| record.text("correlation_id") == id);
        found.cloned().with_context(|| format!("no record of {id} among {records:#?}"))
    }

    /// The record of the only call.
    pub(crate) fn only_record(&self) -> anyhow::Result<Record> {
        let records = records::calls(&self.audit)?;
        ensure!(records.len() == 1, "not one call but {}: {records:#?}", records.len());
        records.into_iter().next().context("one")
    }
}

/// Fails unless the reply is an error of this code that says why and names its audit record.
pub(crate) fn expect_error(reply: &Reply, code: i64) -> anyhow::Result<()> {
    ensure!(reply.error_code() == Some(code), "expected the error {code}: {}", reply.line);
    let reason = reply.message.pointer("/error/data/reason").and_then(|reason| reason.as_str());
    ensure!(reason.is_some_and(|reason| !reason.is_empty()), "no reason: {}", reply.line);
    ensure!(!reply.correlation_id().is_empty(), "no correlation id: {}", reply.line);
    ensure!(reply.message.get("result").is_none(), "a result, too: {}", reply.line);
    Ok(())
}
