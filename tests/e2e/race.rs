//! A path that policy approved leads elsewhere by the time the server opens it: somebody swaps what it
//! leads to, all the while. The server says what it read; the verdict must say the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::count::{Counts, calls};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records;
use warrantd_tests::scratch::text;

use crate::rig::{NOTE, Rig, SECRET};

/// Calls when nothing else is asked for.
const CALLS: u32 = 150;
/// How many times as many are made, at most, until both outcomes were seen.
const PATIENCE: u32 = 20;

const POLICY: &str = "
actors:
  - {id: tester, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects:
  tools:
    # The directory is also met under the name that it has while it is moved away.
    read_text_file: {read: ['${arguments.path}', 'public/moved/note.txt']}
";

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("race::a_link_that_is_swapped_during_calls", KERNEL, || {
            race("a link to the file", "public/swapped.txt", &|rig| {
                let (link, fresh) =
                    (rig.root.join("public/swapped.txt"), rig.root.join("public/fresh"));
                Ok(Box::new(move |secret| {
                    let target = if secret { "../secret.txt" } else { "note.txt" };
                    symlink(target, &fresh)?;
                    fs::rename(&fresh, &link)
                }))
            })
        }),
        test("race::a_directory_whose_link_is_swapped_during_calls", KERNEL, || {
            race("a link to the directory", "public/dir/note.txt", &|rig| {
                directories(rig)?;
                let (link, fresh) = (rig.root.join("public/dir"), rig.root.join("public/fresh"));
                Ok(Box::new(move |secret| {
                    let target = if secret { "../vault" } else { "moved" };
                    symlink(target, &fresh)?;
                    fs::rename(&fresh, &link)
                }))
            })
        }),
        test("race::a_directory_that_is_renamed_during_calls", KERNEL, || {
            race("a directory", "public/dir/note.txt", &|rig| {
                directories(rig)?;
                let public = rig.root.join("public");
                let (place, moved) = (public.join("dir"), public.join("moved"));
                Ok(Box::new(move |secret| {
                    if secret {
                        if place.exists() {
                            fs::rename(&place, &moved)?;
                        }
                        symlink("../vault", &place)
                    } else {
                        let _ = fs::remove_file(&place);
                        fs::rename(&moved, &place)
                    }
                }))
            })
        }),
    ]
}

/// Lets a path lead to the secret, or to the note.
type Swap = Box<dyn FnMut(bool) -> std::io::Result<()> + Send>;

/// Two directories with a file of the same name: one that may be read, one that may not.
fn directories(rig: &Rig) -> anyhow::Result<()> {
    rig.scratch.file("root/public/moved/note.txt", NOTE)?;
    rig.scratch.file("root/vault/note.txt", SECRET)?;
    Ok(())
}

fn race(
    name: &str,
    path: &str,
    prepare: &dyn Fn(&Rig) -> anyhow::Result<Swap>,
) -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let log = rig.scratch.file("log", "")?;
    std::os::unix::fs::chown(&log, Some(crate::stage::NOBODY), None)?;
    let mut swap = prepare(&rig)?;
    swap(false)?;
    let server = rig.rogue(&["--log", &text(&log)])?;
    let mut client = Client::connect(rig.run(&server)?)?;
    let over = AtomicBool::new(false);
    let made = thread::scope(|scope| {
        let swapper = scope.spawn(|| -> std::io::Result<()> {
            for round in 0_u64.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                swap(round % 2 == 0)?;
                thread::sleep(Duration::from_micros(round * 37 % 400));
            }
            Ok(())
        });
        let made = make_calls(&mut client, path, &log);
        over.store(true, Ordering::Relaxed);
        swapper.join().map_err(|_| anyhow::anyhow!("the swapper panicked"))?.context("swapping")?;
        made
    })?;
    ensure!(!client.received().contains(SECRET), "the secret got out");
    client.finish()?;
    judge(name, made, &rig, &log)
}

/// Calls until enough were made and both outcomes seen; gives how many.
fn make_calls(client: &mut Client, path: &str, log: &PathBuf) -> anyhow::Result<u32> {
    let calls = calls(CALLS);
    for n in 1..=calls * PATIENCE {
        let reply = client.call("read_text_file", &json!({"path": path}))?;
        if let Ok(text) = reply.text() {
            ensure!(text == NOTE || reply.result()?["isError"] == json!(true), "{}", reply.line);
        }
        if n >= calls && n % 50 == 0 {
            let read = fs::read_to_string(log)?;
            if read.contains(SECRET) && read.contains(first_line(NOTE)) {
                return Ok(n);
            }
        }
    }
    bail!("the race was never won, or always: {:?}", fs::read_to_string(log)?)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Compares what the server says it read with the verdicts, call by call.
fn judge(name: &str, made: u32, rig: &Rig, log: &Path) -> anyhow::Result<()> {
    let records = records::calls(&rig.audit)?;
    ensure!(records.len() == made as usize, "{} records of {made} calls", records.len());
    let log = fs::read_to_string(log)?;
    let mut read = log.lines();
    let mut counts = Counts::default();
    for record in &records {
        if record.text("policy_decision") == "DENY" {
            counts.add("denied by policy");
            continue;
        }
        let said = read.next().context("the server was not asked")?;
        let (what, expected) = match said {
            SECRET => ("read the secret: EXCEEDED", "EXCEEDED"),
            _ if said == first_line(NOTE) => ("read the note: WITHIN", "WITHIN"),
            _ => ("found nothing: WITHIN", "WITHIN"),
        };
        ensure!(record.verdict() == expected, "the server says `{said}`: {record:#?}");
        let withheld = record.text("error").starts_with("response withheld");
        ensure!(withheld == (expected == "EXCEEDED"), "{record:#?}");
        counts.add(what);
    }
    ensure!(read.next().is_none(), "the server was asked more often than is recorded");
    counts.tell(&format!("race::{name}"));
    Ok(())
}
