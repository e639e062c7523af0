//! Opens and execs are reported as what they are.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use libtest_mimic::Failed;
use tempfile::TempDir;
use warrantd::policy::network::Table;
use warrantd::warrant::{EffectKind, Outcome};

use crate::Test;
use crate::actor;
use crate::support::{
    NOBODY, Run, ensure, equal, file, files, kernel, outside, public_dir, run, run_in,
};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("an_open_is_reported_with_who_and_what", an_open_is_reported),
    ("only_sessions_are_reported", only_sessions),
    ("every_access_has_its_kind", kinds_of_access),
    ("every_call_that_opens_is_seen", every_call),
    ("truncation_is_a_write_whatever_the_mode", truncation),
    ("a_handle_for_paths_alone_is_no_effect", path_only),
    ("a_failed_open_is_no_effect", failed_open),
    ("an_exec_is_reported_and_names_the_process", exec),
    ("a_nameless_program_has_no_path", nameless_program),
];

fn an_open_is_reported() -> Result<(), Failed> {
    let run = run("open", &Table::default(), &["read", "/etc/hostname"])?;
    equal(run.printed.as_str(), "ok")?;
    let metadata = fs::metadata("/etc/hostname")?;
    let (file, effect) = file(&run, EffectKind::FileRead, "/etc/hostname")?;
    equal((file.dev, file.ino), (metadata.dev(), metadata.ino()))?;
    equal((effect.process.pid, effect.process.tid), (run.pid, run.pid))?;
    equal((effect.process.uid, effect.outcome), (NOBODY, Outcome::Allowed))?;
    let own = fs::read_link("/proc/self/exe")?;
    equal(effect.process.exe.as_str(), own.to_str().unwrap_or_default())?;
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME)?;
    let age = std::time::Duration::from(now)
        .saturating_sub(std::time::Duration::from_nanos(effect.boot_ns));
    ensure(age.as_secs() < 60, "the time of the effect is not now")
}

fn only_sessions() -> Result<(), Failed> {
    let (_guard, path) = scratch_file()?;
    let session = kernel()?.open_session("only", &Table::default())?;
    equal(outside(&actor::command(&["read", &path]))?.as_str(), "ok")?;
    let drained = session.drain();
    equal((drained.effects.len(), drained.lost, drained.incomplete), (0, 0, false))?;
    // The twin: the same in the session is seen.
    let run = run_in(&session, &["read", &path])?;
    file(&run, EffectKind::FileRead, &path).map(drop)
}

fn kinds_of_access() -> Result<(), Failed> {
    let (guard, path) = scratch_file()?;
    let fresh = guard.path().join("fresh").display().to_string();
    let kinds = |words: &[&str], path: &str| -> Result<Vec<EffectKind>, Failed> {
        let run = run(&format!("kind-{}", words[0]), &Table::default(), words)?;
        equal(run.printed.as_str(), "ok")?;
        Ok(kinds_on(&run, path))
    };
    equal(kinds(&["read", &path], &path)?, vec![EffectKind::FileRead])?;
    equal(kinds(&["write", &path], &path)?, vec![EffectKind::FileWrite])?;
    equal(kinds(&["update", &path], &path)?, vec![EffectKind::FileRead, EffectKind::FileWrite])?;
    let created = vec![EffectKind::FileRead, EffectKind::FileCreate];
    equal(kinds(&["create", &fresh], &fresh)?, created)?;
    let directory = guard.path().display().to_string();
    equal(kinds(&["list", &directory], &directory)?, vec![EffectKind::FileRead])
}

fn every_call() -> Result<(), Failed> {
    let (guard, path) = scratch_file()?;
    let fresh = guard.path().join("made").display().to_string();
    for words in [vec!["open", path.as_str(), "0"], vec!["openat2", &path, "0"]] {
        let run = run(&format!("call-{}", words[0]), &Table::default(), &words)?;
        equal((run.printed.as_str(), kinds_on(&run, &path)), ("ok", vec![EffectKind::FileRead]))?;
    }
    let made = run("call-creat", &Table::default(), &["creat", &fresh])?;
    equal((made.printed.as_str(), kinds_on(&made, &fresh)), ("ok", vec![EffectKind::FileCreate]))?;
    let again = run("call-creat", &Table::default(), &["creat", &fresh])?;
    equal(kinds_on(&again, &fresh), vec![EffectKind::FileWrite])
}

fn truncation() -> Result<(), Failed> {
    let (_guard, path) = scratch_file()?;
    let both = vec![EffectKind::FileRead, EffectKind::FileWrite];
    let flags = libc::O_TRUNC.to_string();
    for call in ["open", "openat2"] {
        fs::write(&path, "content")?;
        let run = run(&format!("truncate-{call}"), &Table::default(), &[call, &path, &flags])?;
        equal((run.printed.as_str(), kinds_on(&run, &path)), ("ok", both.clone()))?;
        equal(fs::read(&path)?.len(), 0)?;
    }
    Ok(())
}

fn path_only() -> Result<(), Failed> {
    let (_guard, path) = scratch_file()?;
    let flags = libc::O_PATH.to_string();
    let run = run("o-path", &Table::default(), &["open", &path, &flags])?;
    equal((run.printed.as_str(), kinds_on(&run, &path)), ("ok", vec![]))
}

fn failed_open() -> Result<(), Failed> {
    let run = run("failed", &Table::default(), &["read", "/etc/shadow"])?;
    equal((run.printed.as_str(), kinds_on(&run, "/etc/shadow")), ("EACCES", vec![]))
}

fn exec() -> Result<(), Failed> {
    let program = fs::canonicalize("/usr/bin/true")?.display().to_string();
    let run = run("exec", &Table::default(), &["exec", "/usr/bin/true"])?;
    equal(run.printed.as_str(), "ok")?;
    let metadata = fs::metadata(&program)?;
    let (target, effect) = file(&run, EffectKind::Exec, &program)?;
    equal((target.dev, target.ino), (metadata.dev(), metadata.ino()))?;
    ensure(effect.process.pid != run.pid, "the child has a pid of its own")?;
    // What the child opened afterwards is told of the program it became.
    let opened =
        files(&run, EffectKind::FileRead).into_iter().filter(|(_, e)| e.process.exe == program);
    ensure(opened.count() > 0, "nothing is said to be opened by the new program")
}

fn nameless_program() -> Result<(), Failed> {
    let run = run("memfd-exec", &Table::default(), &["run-memfd", "/usr/bin/true"])?;
    equal(run.printed.as_str(), "ok")?;
    let (target, _) = file(&run, EffectKind::Exec, "memfd:copy")?;
    ensure(!target.path.starts_with('/'), "a memfd has no absolute path")
}

/// The kinds of effect on a path, in order.
fn kinds_on(run: &Run, path: &str) -> Vec<EffectKind> {
    use EffectKind::{FileCreate, FileRead, FileWrite};
    [FileRead, FileWrite, FileCreate]
        .into_iter()
        .flat_map(|kind| files(run, kind))
        .filter(|(file, _)| file.path == path)
        .map(|(_, effect)| effect.kind)
        .collect()
}

/// A file that nobody may read and write, in a directory of its own.
fn scratch_file() -> Result<(TempDir, String), Failed> {
    let directory = public_dir()?;
    let path = directory.path().join("file");
    fs::write(&path, "content")?;
    nix::unistd::chown(&path, Some(NOBODY.into()), None)?;
    Ok((directory, path.display().to_string()))
}
