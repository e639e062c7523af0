//! Every way in which the rogue server does more than it was asked, many times: caught each time, and its
//! twin, which does the same as its warrant says, never.

use std::path::Path;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use warrantd_tests::count::{Counts, calls};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::records::{self, Record};
use warrantd_tests::scratch::text;

use crate::rig::{WITHHELD, expect_error};
use crate::stage::{NOBODY, Stage, expect_no_byte, seen};

/// Calls of each mode when nothing else is asked for.
const CALLS: u32 = 12;

/// A way to do more than was asked. In flags and paths `{root}` is the server's root, `{n}` the number of
/// the call, `{exe}` the server's own program.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    flags: &'static [&'static str],
    /// What must be reported of each call: kinds, and paths or peers.
    effects: &'static [(&'static str, &'static str)],
    /// The same deed as its own tool: the tool and its arguments.
    twin: (&'static str, &'static [(&'static str, &'static str)]),
    network: bool,
}

const VICTIM: &str = "{root}/out/victim-{n}";
const OTHER: &str = "{root}/out/other-{n}";
const NEW: &str = "{root}/out/new-{n}";

const fn mode(
    name: &'static str,
    flags: &'static [&'static str],
    effects: &'static [(&'static str, &'static str)],
    twin: (&'static str, &'static [(&'static str, &'static str)]),
) -> Mode {
    Mode { name, flags, effects, twin, network: false }
}

const MODES: &[Mode] = &[
    mode(
        "read",
        &["--also-read", "{root}/secret.txt"],
        &[("file_read", "{root}/secret.txt")],
        ("look_at_file", &[("path", "{root}/public/note.txt")]),
    ),
    mode(
        "write",
        &["--also-write", VICTIM],
        &[("file_write", VICTIM)],
        ("replace_file", &[("path", VICTIM)]),
    ),
    mode(
        "create",
        &["--also-write", NEW],
        &[("file_create", NEW)],
        ("replace_file", &[("path", NEW)]),
    ),
    mode(
        "delete",
        &["--also-delete", VICTIM],
        &[("file_delete", VICTIM)],
        ("delete_file", &[("path", VICTIM)]),
    ),
    mode(
        "rename",
        &["--also-rename", VICTIM, NEW],
        &[("file_rename", VICTIM), ("file_rename", NEW)],
        ("rename_file", &[("source", VICTIM), ("destination", NEW)]),
    ),
    mode(
        "rename_over",
        &["--also-rename", VICTIM, OTHER],
        &[("file_rename", VICTIM), ("file_rename", OTHER)],
        ("rename_file", &[("source", VICTIM), ("destination", OTHER)]),
    ),
    mode(
        "link",
        &["--also-link", VICTIM, NEW],
        &[("file_link", VICTIM), ("file_create", NEW)],
        ("link_file", &[("source", VICTIM), ("destination", NEW)]),
    ),
    mode(
        "symlink",
        &["--also-symlink", "../secret.txt", NEW],
        &[("file_create", NEW)],
        ("symlink_file", &[("source", "../secret.txt"), ("destination", NEW)]),
    ),
    mode(
        "chmod",
        &["--also-chmod", VICTIM],
        &[("file_attributes", VICTIM)],
        ("change_mode", &[("path", VICTIM)]),
    ),
    mode(
        "truncate",
        &["--also-truncate", VICTIM],
        &[("file_write", VICTIM)],
        ("truncate_file", &[("path", VICTIM)]),
    ),
    mode(
        "mkdir",
        &["--also-mkdir", NEW],
        &[("file_create", NEW)],
        ("make_directory", &[("path", NEW)]),
    ),
    mode(
        "exec",
        &["--also-exec", "/usr/bin/true"],
        &[("exec", "/usr/bin/true")],
        ("run_command", &[("command", "/usr/bin/true")]),
    ),
    mode(
        "memfd_program",
        &["--also-memfd", "{exe}"],
        &[("exec", "memfd:copy")],
        ("run_command", &[("command", "/usr/bin/true")]),
    ),
    mode(
        "unix_socket",
        &["--also-unix", "{root}/out/other.sock"],
        &[("connect_unix", "{root}/out/other.sock")],
        ("connect_unix", &[("path", "{root}/out/listed.sock")]),
    ),
    Mode {
        network: true,
        ..mode(
            "connect",
            &["--also-connect", "10.0.0.7:8080"],
            &[("connect", "10.0.0.7:8080")],
            ("reach_peer", &[("peer", "10.0.0.7:8080")]),
        )
    },
    Mode {
        network: true,
        ..mode(
            "send",
            &["--also-udp", "10.0.0.1:8080"],
            &[("send", "10.0.0.1:8080")],
            ("tell_peer", &[("peer", "10.0.0.7:8080")]),
        )
    },
    mode(
        "detached_read",
        &["--detached", "--also-read", "{root}/secret.txt"],
        &[("file_read", "{root}/secret.txt")],
        ("look_at_file", &[("path", "{root}/public/note.txt"), ("detached", "true")]),
    ),
    mode(
        "detached_write",
        &["--detached", "--also-write", NEW],
        &[("file_create", NEW)],
        ("replace_file", &[("path", NEW), ("detached", "true")]),
    ),
    mode(
        "detached_exec",
        &["--detached", "--also-exec", "/usr/bin/true"],
        &[("exec", "/usr/bin/true")],
        ("run_command", &[("command", "/usr/bin/true"), ("detached", "true")]),
    ),
];

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    const NETWORK: &[Need] = &[Need::Kernel, Need::Netns];
    let mut tests = Vec::new();
    for mode in MODES {
        let needs = if mode.network { NETWORK } else { KERNEL };
        let name = format!("modes::{}_is_caught_every_time", mode.name);
        tests.push(test(&name, needs, move || caught(mode)));
    }
    tests.push(test("modes::their_twins_never_are", NETWORK, never));
    tests
}

fn caught(mode: &Mode) -> anyhow::Result<()> {
    let calls = calls(CALLS);
    let stage = Stage::new(calls, mode.network)?;
    let mut client = stage.client(mode.flags)?;
    for _ in 0..calls {
        let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
        expect_error(&reply, WITHHELD).with_context(|| client.stderr())?;
    }
    expect_no_byte(&mut client)?;
    client.finish()?;
    let records = records::calls(&stage.rig.audit)?;
    ensure!(records.len() == calls as usize, "{} records", records.len());
    let mut counts = Counts::default();
    for (n, record) in (1..).zip(&records) {
        counts.add(record.verdict());
        expect_effects(&stage, mode, n, record).with_context(|| format!("{record:#?}"))?;
    }
    counts.tell(&format!("modes::{}", mode.name));
    ensure!(counts.of("EXCEEDED") == calls, "{counts}");
    Ok(())
}

/// Demands that a record has exactly the effects of its mode beyond the warrant, with a process each that
/// is the server's own or, where the mode says so, not.
fn expect_effects(stage: &Stage, mode: &Mode, n: u32, record: &Record) -> anyhow::Result<()> {
    let wanted = mode.effects.iter().map(|(kind, target)| {
        let target = stage.word(target)?.replace("{n}", &n.to_string());
        // A program's own path is reported, whatever link led there.
        let real = (*kind == "exec").then(|| Path::new(&target).canonicalize().ok()).flatten();
        Ok(((*kind).to_owned(), real.map_or(target, |real| text(&real))))
    });
    let wanted = wanted.collect::<anyhow::Result<Vec<_>>>()?;
    let found: Vec<_> = record.exceeded().iter().map(seen).collect();
    ensure!(found == wanted, "found {found:?}, wanted {wanted:?}");
    let own = record.warranted().first().context("the note was read")?["pid"].as_u64();
    for effect in record.exceeded() {
        ensure!(effect["uid"] == json!(NOBODY), "the server runs as nobody: {effect:#}");
        let pid = effect["pid"].as_u64();
        let elsewhere = mode.flags.contains(&"--detached") || effect["kind"] == "exec";
        ensure!(pid > Some(1) && (pid == own) != elsewhere, "pid {own:?}, and of {effect:#}");
    }
    Ok(())
}

/// The honest tools, all in one session.
fn never() -> anyhow::Result<()> {
    let calls = calls(CALLS);
    let stage = Stage::new(calls * u32::try_from(MODES.len())?, true)?;
    let mut client = stage.client(&["--deeds"])?;
    client.request("tools/list", &json!({}))?.result()?;
    let numbered = MODES.iter().flat_map(|mode| (0..calls).map(move |_| mode)).zip(1_u32..);
    for (Mode { name, twin: (tool, arguments), .. }, n) in numbered {
        let mut filled = serde_json::Map::new();
        for (name, word) in *arguments {
            let word = stage.word(word)?.replace("{n}", &n.to_string());
            let value = if *name == "detached" { json!(true) } else { json!(word) };
            filled.insert((*name).to_owned(), value);
        }
        let reply = client.call(tool, &Value::Object(filled))?;
        ensure!(reply.text().is_ok_and(|text| text == "done"), "{name}: {}", reply.line);
    }
    client.finish()?;
    let records = records::calls(&stage.rig.audit)?;
    for (mode, records) in MODES.iter().zip(records.chunks(calls as usize)) {
        let mut counts = Counts::default();
        for record in records {
            counts.add(record.verdict());
            ensure!(record.verdict() == "WITHIN", "{}: {record:#?}", mode.name);
            let unseen = record.warranted().is_empty() && mode.twin.0 != "connect_unix";
            ensure!(!unseen, "{}: nothing was seen: {record:#?}", mode.name);
        }
        counts.tell(&format!("modes::{} (twin)", mode.name));
        ensure!(counts.of("WITHIN") == calls, "{}: {counts}", mode.name);
    }
    Ok(())
}
