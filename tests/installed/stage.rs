//! Servers behind the installed daemon, in a drop-in of their own, and who uses them.

use std::fs;
use std::process::Command;

use anyhow::ensure;
use serde_json::json;
use warrantd_tests::client::{Client, Reply};

use crate::hosts::hosts;
use crate::machine::succeeds;

/// What the file that calls may read says, and no other file.
pub(crate) const NOTE: &str = "the note that may be read";
/// Where the servers are at home.
pub(crate) const ROOT: &str = "/srv/stage";
/// The policy of the servers.
pub(crate) const POLICY: &str = "/etc/warrantd/policies/stage.yaml";
/// Hosts of this machine: one that policy denies, and one that it allows.
pub(crate) const DENIED: &str = "10.99.0.1:8080";
pub(crate) const ALLOWED: &str = "10.99.0.7:8080";
/// What a process that a server left behind tells of its attempts to reach both.
pub(crate) const REPORT: &str = "/srv/stage/out/report.txt";

/// As whom servers run.
const TOOLS: &str = "tools";
/// The user that the configuration knows.
const KNOWN: &str = "alice";
/// One that it does not.
const UNKNOWN: &str = "mallory";
const CONFIG: &str = "/etc/warrantd/conf.d/stage.yaml";
pub(crate) const SERVER: &str = "/usr/lib/warrantd-tests/rogue-server";

/// Makes users, hosts, files and the configuration. The daemon has not read it yet.
pub(crate) fn set() -> anyhow::Result<()> {
    succeeds(&format!(
        "useradd --create-home --uid 1500 {KNOWN} && useradd --create-home --uid 1501 {UNKNOWN} &&
         useradd --system {TOOLS} || exit
         for host in {DENIED} {ALLOWED}; do ip addr add ${{host%:*}}/32 dev lo || exit; done
         mkdir -p {ROOT}/public {ROOT}/out && chown {TOOLS}: {ROOT}/out
         printf %s '{NOTE}' >{ROOT}/public/note.txt && printf %s secret >{ROOT}/secret.txt"
    ))?;
    let server = |id: &str, words: &str| {
        format!(
            "  - {{id: {id}, command: [{SERVER}{words}], root: {ROOT}, user: {TOOLS}, policy: {POLICY}, \
             auth: [peer_uid]}}\n"
        )
    };
    let config = format!(
        "servers:\n{}{}{}actors:\n  - {{id: tester, uids: [1500]}}\n",
        server("honest", ""),
        server("rogue", &format!(", --also-read, {ROOT}/secret.txt")),
        server("lasting", &format!(", --descendant, '{DENIED}', '{ALLOWED}', {REPORT}")),
    );
    fs::write(POLICY, policy("read_text_file, http_get"))?;
    fs::write(CONFIG, config)?;
    hosts()?;
    Ok(())
}

/// Takes away again what packages do not know of.
pub(crate) fn clear() -> anyhow::Result<()> {
    succeeds(&format!(
        "userdel --remove {KNOWN} && userdel --remove {UNKNOWN} && userdel {TOOLS} && rm -r {ROOT}"
    ))?;
    Ok(())
}

/// The policy, with these tools allowed.
pub(crate) fn policy(tools: &str) -> String {
    let (host, port) = ALLOWED.split_once(':').unwrap_or_default();
    format!(
        "default_action: DENY
actors:
  - {{id: tester, allowed_tools: [{tools}]}}
constraints:
  read_text_file: {{allowed_paths: [\"public/**\"]}}
network:
  allow:
    - {{cidr: {host}/32, ports: [{port}], protocol: tcp}}
effects:
  network: always
  tools:
    http_get: {{connect: [\"${{arguments.host}}:${{arguments.port}}\"]}}
"
    )
}

/// The client of somebody, who has introduced himself.
pub(crate) fn connect(server: &str) -> anyhow::Result<Client> {
    Client::connect(command(KNOWN, server))
}

/// What a user whom the configuration does not know gets to hear.
pub(crate) fn stranger(server: &str) -> anyhow::Result<Reply> {
    Client::start(command(UNKNOWN, server))?.initialize()
}

fn command(user: &str, server: &str) -> Command {
    let mut command = Command::new("runuser");
    command.args(["-u", user, "--", "/usr/bin/warrantd", "connect", server]);
    command
}

/// Asks for the note.
pub(crate) fn read_note(client: &mut Client) -> anyhow::Result<Reply> {
    client.call("read_text_file", &json!({"path": "public/note.txt"}))
}

/// Asks for the note and demands it.
pub(crate) fn expect_note(client: &mut Client) -> anyhow::Result<()> {
    let reply = read_note(client)?;
    ensure!(reply.text().ok() == Some(NOTE), "{}; stderr: {}", reply.line, client.stderr());
    Ok(())
}

/// A session of its own in which the note is asked for and got.
pub(crate) fn is_served() -> anyhow::Result<()> {
    let mut client = connect("honest")?;
    expect_note(&mut client)?;
    client.finish()?;
    Ok(())
}
