//! What it costs to append the record of a typical call to the log.
//!
//! Run with `cargo bench --bench audit_log`. `WARRANTD_BENCH_DIR` is where the log is written, by default
//! the directory of temporary files: figures for `power` are those of its disk.
#![allow(clippy::expect_used)] // A benchmark that cannot start should stop.

use std::path::PathBuf;

use divan::Bencher;
use divan::counter::ItemsCount;
use serde_json::json;
use warrantd::audit::{
    Attribution, EffectsRecord, Event, Log, Options, Record, ResultMetadata, Status,
};
use warrantd::config::{Action, Durability};
use warrantd::warrant::{
    Effect, EffectKind, FileTarget, Judged, Observation, Outcome, Process, Standing, Target,
};

fn main() {
    divan::main();
}

/// Records of one iteration.
const RECORDS: usize = 1000;

/// A call that read one file, and what surrounds it.
fn record() -> Record {
    let id = || Some("0192f3c4-5a6b-7c8d-9e0f-1a2b3c4d5e6f".to_owned());
    let target =
        FileTarget { path: "/srv/data/public/note.txt".into(), dev: 1, ino: 2, truncated: false };
    let effect = Effect {
        kind: EffectKind::FileRead,
        outcome: Outcome::Allowed,
        target: Target::File(target),
        argv: Vec::new(),
        argv_cut: false,
        process: Process { pid: 71, tid: 71, uid: 1000, exe: "/usr/bin/node".into() },
        seq: 7,
        boot_ns: 7,
    };
    let judged = vec![Judged { effect, standing: Standing::Warranted }];
    let seen = Observation { judged, ambient: 12, ..Observation::default() };
    Record {
        correlation_id: id(),
        session_id: id(),
        actor: Some("assistant-service".to_owned()),
        tool_name: Some("read_text_file".to_owned()),
        arguments: Some(json!({ "path": "public/note.txt" })),
        server_id: Some("files".to_owned()),
        policy_decision: Some(Action::Allow),
        policy_rule_matched: Some("actors.assistant-service.allowed_tools".to_owned()),
        status: Some(Status::Success),
        duration_ms: Some(3),
        result_metadata: Some(ResultMetadata {
            bytes: 812,
            content_items: Some(1),
            is_error: false,
        }),
        effective_principal: Some("nobody".to_owned()),
        method: Some("tools/call".to_owned()),
        effects: Some(EffectsRecord::new(&seen, Attribution::Exclusive, "tracepoint")),
        ..Record::new(Event::Call)
    }
}

fn log(durability: Durability) -> (tempfile::TempDir, Log) {
    let place =
        std::env::var_os("WARRANTD_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(place).expect("a directory");
    let options = Options { durability, ..Options::default() };
    let log = Log::open_with(dir.path(), "audit", options).expect("a log");
    (dir, log)
}

/// One thread.
#[divan::bench(sample_count = 50)]
fn process(bencher: Bencher) {
    let ((_dir, log), record) = (log(Durability::Process), record());
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for _ in 0..RECORDS {
            log.append(&record).expect("written");
        }
    });
}

/// As many threads as there are calls at once.
#[divan::bench(args = [1, 8, 64, 256], sample_count = 10)]
fn power(bencher: Bencher, threads: usize) {
    let ((_dir, log), record) = (log(Durability::Power), record());
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (log, record) = (&log, &record);
                let own = RECORDS / threads + usize::from(thread < RECORDS % threads);
                scope.spawn(move || (0..own).for_each(|_| log.append(record).expect("written")));
            }
        });
    });
}
