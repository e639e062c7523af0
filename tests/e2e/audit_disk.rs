//! The audit log on a disk that gets full: nothing is done that could not be recorded, and it goes on by
//! itself when there is room again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;

use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file, write_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
  write_file: {allowed_paths: ['out/**']}
";

/// The code of a request that cannot be recorded.
const UNRECORDED: i64 = -31011;
/// Calls until a full disk must have been noticed: the room kept ahead is for far fewer.
const ENOUGH: usize = 5000;

pub(crate) fn tests() -> Vec<Trial> {
    vec![test("audit_disk::a_full_disk_denies_and_recovers", &[Need::Root], full)]
}

/// A disk of its own for the log, in a mount namespace that ends with warrantd.
fn on_small_disk(rig: &Rig, inner: &Command) -> anyhow::Result<Command> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    command.arg("mount -t tmpfs -o size=6m,mode=755 tmpfs \"$1\"; shift; exec \"$@\"");
    command.arg("sh").arg(&rig.audit).arg(inner.get_program()).args(inner.get_args());
    command.env_remove("SUDO_UID").env_remove("WARRANTD_LOG");
    command.env("WARRANTD_RUNTIME_DIR", rig.scratch.path("run")?);
    Ok(command)
}

fn full() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let server = rig.rogue(&[])?;
    let mut run = rig.run(&[] as &[&str])?;
    // The command of the server stands last.
    run = {
        let mut with_key = Command::new(run.get_program());
        let words: Vec<_> = run.get_args().map(ToOwned::to_owned).collect();
        let (before, _) = words.split_at(words.len() - 1);
        with_key.args(before).args(["--kernel", "off", "--audit-key"]);
        with_key.arg(rig.scratch.path("keys/audit.key")?).arg("--").args(&server);
        with_key
    };
    let mut client = Client::connect(on_small_disk(&rig, &run)?)?;
    let audit = inside(client.pid(), &rig.audit);
    let read = json!({"path": "public/note.txt"});
    ensure!(client.call("read_text_file", &read)?.text()? == NOTE);

    let filler = audit.join("filler");
    fill(&filler)?;
    let mut denied = None;
    for _ in 0..ENOUGH {
        let reply = client.call("read_text_file", &read)?;
        if reply.error_code() == Some(UNRECORDED) {
            denied = Some(reply);
            break;
        }
        ensure!(reply.text()? == NOTE, "neither answered nor denied: {reply:?}");
    }
    let denied = denied.context("a full disk was never noticed")?;
    let said = format!("{denied:?}");
    ensure!(said.contains("No space left on device"), "{said}");
    // The server never sees such a call: what it would write is not there.
    let write = |name: &str| json!({"path": format!("out/{name}"), "content": "x"});
    let reply = client.call("write_file", &write("during"))?;
    ensure!(reply.error_code() == Some(UNRECORDED), "{reply:?}");
    ensure!(!rig.root.join("out/during").exists(), "the server saw a call that was denied");

    fs::remove_file(&filler)?;
    client.call("write_file", &write("after"))?.result()?;
    ensure!(rig.root.join("out/after").exists(), "the call after that did nothing");
    let all = records::read(&audit)?;
    let failure = all.iter().find(|record| record.text("event") == "log_failure");
    let failure = failure.context("nothing says that the log could not be written")?;
    ensure!(failure.text("error").contains("2 requests were denied, 0 records"), "{failure:?}");
    let last = all.last().context("records")?;
    ensure!(last.text("tool_name") == "write_file" && last.text("status") == "SUCCESS", "{last:?}");

    verify(&rig, &audit, &[])?;
    client.finish()?;
    Ok(())
}

/// A path as a process sees it.
fn inside(pid: u32, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root{}", path.display()))
}

/// Writes until nothing more fits.
fn fill(path: &Path) -> anyhow::Result<()> {
    let mut file = File::create(path)?;
    for size in [1 << 16, 1 << 12, 1] {
        let block = vec![0_u8; size];
        let mut room = 0..(64 << 20) / size;
        if room.all(|_| file.write_all(&block).is_ok()) {
            bail!("the disk is larger than it should be");
        }
    }
    Ok(())
}

/// `warrantd audit verify` with the key of this rig.
pub(crate) fn verify(rig: &Rig, log: &Path, more: &[&str]) -> anyhow::Result<String> {
    let mut verify = Command::new(rig.scratch.program("warrantd")?);
    let key = match rig.scratch.path("keys/audit.pub")? {
        key if key.exists() => key,
        _ => rig.scratch.path("audit.pub")?,
    };
    let output = verify.args(["audit", "verify", "--key"]).arg(key).args(more).arg(log).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}
