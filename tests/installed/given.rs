//! What systemd hands to the daemon: sockets that it opened, and secrets that only root can read.

use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use warrantd_tests::client::{Client, Reply};
use warrantd_tests::harness::test;

use crate::machine::{UNIT, is_active, property, sh, succeeds};
use crate::service::last_call_was_within;
use crate::stage::{self, NOTE};

/// The unit of a server's socket, and the socket.
const SOCKET_UNIT: &str = "warrantd@honest.socket";
const SOCKET: &str = "/run/warrantd/honest.sock";
/// A key of a caller and its hash, in files of root.
const KEY: &str = "/root/caller.key";
const HASH: &str = "/root/caller.hash";
const CONFIG: &str = "/etc/warrantd/conf.d/given.yaml";
const OWN_POLICY: &str = "/etc/warrantd/policies/given.yaml";
const OVERRIDE: &str = "/etc/systemd/system/warrantd.service.d/given.conf";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("given::clients_wait_in_a_socket_of_systemd_and_start_the_daemon", &[], socket),
        test("given::a_secret_that_only_root_can_read_arrives", &[], credential),
        test("given::without_it_the_daemon_does_not_start_and_says_why", &[], missing),
    ]
}

fn socket() -> anyhow::Result<()> {
    succeeds(&format!(
        "systemctl stop {UNIT} && systemctl enable --now {SOCKET_UNIT} && systemctl start {UNIT}"
    ))?;
    let owner = succeeds(&format!("stat --format='%U %G %a' {SOCKET}"))?;
    ensure!(owner.trim() == "root mcp 660", "{owner}");
    // The tester is not in the group yet.
    let outside = stage::connect("honest");
    ensure!(outside.is_err(), "somebody outside of the group was let in");
    succeeds("usermod --append --groups mcp alice")?;
    stage::is_served()?;

    // Nobody is there, and who comes is served all the same.
    succeeds(&format!("systemctl stop {UNIT}"))?;
    ensure!(is_active().is_err(), "it was stopped");
    stage::is_served()?;
    is_active()?;
    last_call_was_within()?;

    succeeds(&format!(
        "systemctl stop {UNIT} && systemctl disable --now {SOCKET_UNIT} && systemctl start {UNIT}"
    ))?;
    // warrantd's own socket is everybody's.
    succeeds("gpasswd --delete alice mcp")?;
    stage::is_served()
}

fn credential() -> anyhow::Result<()> {
    succeeds(&format!(
        "umask 077 && warrantd key new >{KEY} && warrantd key hash <{KEY} >{HASH}
         umask 022 && mkdir -p $(dirname {OVERRIDE})"
    ))?;
    fs::write(OVERRIDE, format!("[Service]\nLoadCredential=caller:{HASH}\n")).context(OVERRIDE)?;
    fs::write(
        CONFIG,
        format!(
            "servers:\n  - {{id: keyed, command: [{}], root: {}, user: tools, policy: {OWN_POLICY}, \
             auth: [api_key]}}\nactors:\n  - {{id: caller, api_keys: [{{key_file: 'credential:caller'}}]}}\n",
            stage::SERVER,
            stage::ROOT
        ),
    )
    .context(CONFIG)?;
    let policy = stage::policy("read_text_file").replace("id: tester", "id: caller");
    fs::write(OWN_POLICY, policy).context(OWN_POLICY)?;
    succeeds(&format!("systemctl daemon-reload && systemctl restart {UNIT}"))?;
    let mut client = Client::connect(with_key(KEY))?;
    let reply = stage::read_note(&mut client)?;
    ensure!(reply.text().ok() == Some(NOTE), "{}", reply.line);
    client.finish()?;
    last_call_was_within()?;

    let other = "/root/other.key";
    succeeds(&format!("umask 077 && warrantd key new >{other}"))?;
    let refused: Reply = Client::start(with_key(other))?.initialize()?;
    ensure!(refused.error_code() == Some(-31001), "{}", refused.line);
    fs::remove_file(other).context(other)
}

fn with_key(file: &str) -> Command {
    let mut command = Command::new("/usr/bin/warrantd");
    command.args(["connect", "keyed", "--key-file", file]);
    command
}

fn missing() -> anyhow::Result<()> {
    fs::remove_file(OVERRIDE).context(OVERRIDE)?;
    let (code, said) = sh(&format!("systemctl daemon-reload && systemctl restart {UNIT}"))?;
    ensure!(code != 0, "it runs without its secret: {said}");
    ensure!(property("ExecMainStatus")? == "78", "ended with {}", property("ExecMainStatus")?);
    let log = succeeds(&format!("journalctl --no-pager --lines=20 --unit={UNIT}"))?;
    ensure!(log.contains(CONFIG) && log.contains("LoadCredential=caller:"), "{log}");

    succeeds(&format!("rm {CONFIG} {OWN_POLICY} {KEY} {HASH} && rmdir $(dirname {OVERRIDE})"))?;
    succeeds(&format!("systemctl reset-failed {UNIT} && systemctl start {UNIT}"))?;
    stage::is_served()
}
