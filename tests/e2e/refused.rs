//! What the kernel does not let the rogue server do at all, so that there is nothing to report.

use anyhow::ensure;
use libtest_mimic::Trial;
use serde_json::json;
use std::process::Command;
use warrantd_tests::client::Client;
use warrantd_tests::count::{Counts, calls};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;

use crate::rig::{NOTE, Rig, SECRET};

/// Calls of each kind when nothing else is asked for.
const CALLS: u32 = 20;

/// No unix socket is listed, so there are none.
const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("refused::io_uring_every_time", KERNEL, || {
            refused("--also-ring", "secret.txt", "ENOSYS")
        }),
        test("refused::unix_sockets_that_are_not_listed_every_time", KERNEL, || {
            refused("--also-unix", "out/socket", "EPERM")
        }),
    ]
}

/// Lets the server try it: nothing happens and the answer arrives. By itself the server can do it.
fn refused(flag: &str, target: &str, error: &str) -> anyhow::Result<()> {
    let calls = calls(CALLS);
    let rig = Rig::new(POLICY)?;
    let target = rig.root.join(target);
    let _listener = (flag == "--also-unix")
        .then(|| std::os::unix::net::UnixListener::bind(&target))
        .transpose()?;
    let flags = [flag, &target.to_string_lossy()];
    let arguments = json!({"path": rig.root.join("public/note.txt")});

    let server = rig.rogue(&flags)?;
    let mut alone = Command::new(&server[0]);
    alone.args(&server[1..]);
    let mut alone = Client::connect(alone)?;
    ensure!(alone.call("read_text_file", &arguments)?.text()? == NOTE);
    let ending = alone.finish()?;
    if !ending.stderr.contains("ENOSYS") {
        // Kernels can be built without io_uring, or have it switched off.
        ensure!(ending.stderr.contains(": done"), "alone: {}", ending.stderr);
    }

    let mut client = Client::connect(rig.run(&server)?)?;
    for _ in 0..calls {
        let reply = client.call("read_text_file", &arguments)?;
        ensure!(reply.text()? == NOTE, "{}", reply.line);
    }
    ensure!(!client.received().contains(SECRET));
    let ending = client.finish()?;
    ensure!(!ending.stderr.contains(": done"), "{}", ending.stderr);
    ensure!(ending.stderr.matches(error).count() == calls as usize, "{}", ending.stderr);
    let mut counts = Counts::default();
    for record in records::calls(&rig.audit)? {
        counts.add(record.verdict());
        ensure!(record.verdict() == "WITHIN" && record.warranted().len() == 1, "{record:#?}");
    }
    counts.tell(&format!("refused::{flag} with {error}"));
    ensure!(counts.of("WITHIN") == calls, "{counts}");
    Ok(())
}
