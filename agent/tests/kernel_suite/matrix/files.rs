//! Files and programs: each deed once in a directory that the session may use, once in one it may not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use nix::unistd::chown;
use tempfile::TempDir;
use warrantd::kernel::{Access, Backend, FileRules, Reach};
use warrantd::policy::network::Table;
use warrantd::warrant::{Effect, EffectKind, Outcome, Target};

use super::{Answer, Row};
use crate::actor;
use crate::support::{NOBODY, Run, equal, kernel, public_dir, run_spec, spec};

/// The rows of this file.
pub(crate) const ROWS: &[Row] = &[
    ("file read", |b| deed(b, &["read", "{}/file"], EffectKind::FileRead, "file")),
    ("file written", |b| deed(b, &["write", "{}/file"], EffectKind::FileWrite, "file")),
    ("file made", |b| deed(b, &["create", "{}/new"], EffectKind::FileCreate, "new")),
    ("file made by mknod", |b| deed(b, &["mknod", "{}/node"], EffectKind::FileCreate, "node")),
    ("pipe made", |b| deed(b, &["fifo", "{}/fifo"], EffectKind::FileCreate, "fifo")),
    ("file cut by its path", |b| deed(b, &["truncate", "{}/file"], EffectKind::FileWrite, "file")),
    ("file deleted", |b| deed(b, &["unlink", "{}/file"], EffectKind::FileDelete, "file")),
    ("directory made", |b| deed(b, &["mkdir", "{}/made"], EffectKind::FileCreate, "made")),
    ("directory removed", |b| deed(b, &["rmdir", "{}/empty"], EffectKind::FileDelete, "empty")),
    ("file renamed", |b| {
        deed(b, &["rename", "{}/file", "{}/moved"], EffectKind::FileRename, "file")
    }),
    ("name taken by a rename", |b| {
        deed(b, &["rename", "{}/file", "{}/moved"], EffectKind::FileRename, "moved")
    }),
    ("hard link", |b| deed(b, &["link", "{}/file", "{}/alias"], EffectKind::FileLink, "file")),
    ("name of a hard link", |b| {
        deed(b, &["link", "{}/file", "{}/alias"], EffectKind::FileCreate, "alias")
    }),
    ("symbolic link", |b| {
        deed(b, &["symlink", "/etc/shadow", "{}/sym"], EffectKind::FileCreate, "sym")
    }),
    ("permissions changed", |b| deed(b, &["chmod", "{}/file"], EffectKind::FileAttributes, "file")),
    ("owner changed", owner),
    ("file mapped as code", mapped),
    ("opened through a symbolic link", |b| {
        deed(b, &["read", "{}-link"], EffectKind::FileRead, "file")
    }),
    ("opened through /proc/self/root", |b| {
        deed(b, &["read", "/proc/self/root{}/file"], EffectKind::FileRead, "file")
    }),
    ("opened by openat2", |b| deed(b, &["openat2", "{}/file", "0"], EffectKind::FileRead, "file")),
    ("O_PATH descriptor opened anew", |b| {
        deed(b, &["reopen-path", "{}/file"], EffectKind::FileRead, "file")
    }),
    ("name changed by a thread during the call", race),
    ("directory deeper than paths can be told", deep),
    ("program run", |b| deed(b, &["run", "{}/program"], EffectKind::Exec, "program")),
    ("program given to the loader", loader),
    ("program without a name (memfd)", nameless),
];

/// Two directories with the same content, and what may be done with a session in force.
pub(super) struct Stage {
    _place: TempDir,
    base: PathBuf,
}

impl Stage {
    pub(super) fn new() -> Result<Self, Failed> {
        let place = public_dir()?;
        let base = place.path().canonicalize()?;
        for name in ["open", "shut"] {
            let directory = base.join(name);
            fs::create_dir_all(directory.join("empty"))?;
            fs::write(directory.join("file"), if name == "shut" { "secret" } else { "decoy" })?;
            fs::copy("/usr/bin/true", directory.join("program"))?;
            fs::copy("/usr/bin/true", directory.join("copy"))?;
            symlink(directory.join("file"), base.join(format!("{name}-link")))?;
            for entry in ["", "empty", "file", "program", "copy"] {
                chown(&directory.join(entry), Some(NOBODY.into()), Some(NOBODY.into()))?;
            }
        }
        Ok(Self { _place: place, base })
    }

    pub(super) fn directory(&self, name: &str) -> String {
        self.base.join(name).display().to_string()
    }

    /// What the actor needs to run, and everything in the open directory.
    pub(super) fn rules(&self) -> Result<FileRules, Failed> {
        let mut rules = FileRules::default();
        let own = std::env::current_exe()?;
        rules.allow(&own, Access::EXEC, Reach::This)?;
        for tree in ["/usr", "/lib", "/lib64", "/proc", "/etc", "/sys"] {
            if Path::new(tree).exists() {
                rules.allow(Path::new(tree), Access::EXEC, Reach::Tree)?;
            }
        }
        rules.allow(Path::new("/dev/null"), Access::READ.and(Access::WRITE), Reach::This)?;
        // It may be read, so that running it is what is refused.
        rules.allow(&self.base.join("shut/program"), Access::READ, Reach::This)?;
        let all = Access::EXEC.and(Access::WRITE).and(Access::DELETE);
        rules.allow(&self.base.join("open"), all, Reach::Tree)?;
        Ok(rules)
    }

    /// Runs an actor, with files enforced where that is possible.
    pub(super) fn run(&self, words: &[&str], directory: &str) -> Result<Run, Failed> {
        let session = kernel()?.open_session("matrix", &Table::default())?;
        if kernel()?.backend().enforces_files() {
            session.set_files(Some(self.rules()?))?;
        }
        let words: Vec<String> =
            words.iter().map(|word| word.replace("{}", &self.directory(directory))).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run_spec(&session, &spec(actor::command(&words)))
    }
}

/// The effects of one kind on a path.
pub(super) fn on(run: &Run, kind: EffectKind, path: &str) -> Vec<Effect> {
    let matches = |effect: &&Effect| {
        effect.kind == kind && matches!(&effect.target, Target::File(file) if file.path == path)
    };
    run.drained.effects.iter().filter(matches).cloned().collect()
}

/// A deed in both directories, which shows as an effect on `leaf`.
fn deed(backend: Backend, words: &[&str], kind: EffectKind, leaf: &str) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let twin = stage.run(words, "open")?;
    equal(twin.printed.as_str(), "ok").map_err(|why| in_case("twin", &why, &twin))?;
    let path = format!("{}/{leaf}", stage.directory("open"));
    let seen = on(&twin, kind, &path);
    equal(seen.first().map(|effect| effect.outcome), Some(Outcome::Allowed))
        .map_err(|why| in_case("twin", &why, &twin))?;

    let attack = stage.run(words, "shut")?;
    let path = format!("{}/{leaf}", stage.directory("shut"));
    let mut outcomes: Vec<Outcome> =
        on(&attack, kind, &path).iter().map(|effect| effect.outcome).collect();
    outcomes.dedup();
    if backend.enforces_files() {
        equal(attack.printed.as_str(), "EPERM").map_err(|why| in_case("attack", &why, &attack))?;
        equal(outcomes.as_slice(), [Outcome::Denied].as_slice())
            .map_err(|why| in_case("attack", &why, &attack))?;
        return Ok(Answer::Blocked);
    }
    equal(attack.printed.as_str(), "ok").map_err(|why| in_case("attack", &why, &attack))?;
    equal(outcomes.as_slice(), [Outcome::Allowed].as_slice())
        .map_err(|why| in_case("attack", &why, &attack))?;
    Ok(Answer::Reported)
}

/// The failure with what was seen.
pub(super) fn in_case(which: &str, why: &Failed, run: &Run) -> Failed {
    let effects: Vec<String> = run.drained.effects.iter().map(ToString::to_string).collect();
    let why = why.message().unwrap_or_default();
    format!("{which}: {why}; printed {:?}; seen {effects:#?}", run.printed).into()
}

fn owner(backend: Backend) -> Result<Answer, Failed> {
    if kernel()?.lacking().iter().any(|hook| hook.ends_with("path_chown")) {
        return Ok(Answer::NotCovered(
            "this kernel lets no program see arguments that are structs",
        ));
    }
    deed(backend, &["chown", "{}/file"], EffectKind::FileAttributes, "file")
}

/// The tracepoints see the open that comes before.
fn mapped(backend: Backend) -> Result<Answer, Failed> {
    // Enforced, the open that comes before is what is refused.
    let kind = match backend {
        Backend::Fentry => EffectKind::FileMap,
        Backend::Lsm | Backend::Tracepoint => EffectKind::FileRead,
    };
    deed(backend, &["map", "{}/file"], kind, "file")
}

/// Enforcement of files leaves alone what shows no file: compilers at run time make code of such memory.
pub(super) fn code_without_a_file() -> Result<(), Failed> {
    let run = Stage::new()?.run(&["map-memory"], "open")?;
    equal(run.printed.as_str(), "ok").map_err(|why| in_case("memory", &why, &run))
}

fn race(backend: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let words = ["race", "{}/file", "/usr/bin/true"];
    let attack = stage.run(&words, "shut")?;
    let path = format!("{}/file", stage.directory("shut"));
    let seen = on(&attack, EffectKind::FileRead, &path);
    if backend.enforces_files() {
        equal(attack.printed.as_str(), "EPERM")?;
        equal(seen.iter().all(|effect| effect.outcome == Outcome::Denied), true)?;
        return Ok(Answer::Blocked);
    }
    equal((attack.printed.as_str(), seen.is_empty()), ("ok", false))?;
    Ok(Answer::Reported)
}

fn deep(backend: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let twin = stage.run(&["descend", "{}", "d", "60"], "open")?;
    equal(twin.printed.as_str(), "ok").map_err(|why| in_case("twin", &why, &twin))?;
    // Even where everything may be done: what cannot be told is not granted.
    let attack = stage.run(&["descend", "{}", "e", "120"], "open")?;
    if backend.enforces_files() {
        equal(attack.printed.as_str(), "EPERM").map_err(|why| in_case("attack", &why, &attack))?;
        return Ok(Answer::Blocked);
    }
    let cut = attack.drained.effects.iter().any(|effect| {
        matches!(&effect.target, Target::File(file) if file.truncated && file.path.ends_with("/bottom"))
    });
    equal((attack.printed.as_str(), cut), ("ok", true))?;
    Ok(Answer::Reported)
}

/// `ld.so program` runs a program that was never executed.
fn loader(backend: Backend) -> Result<Answer, Failed> {
    let loader = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
        .into_iter()
        .find(|loader| Path::new(loader).exists())
        .ok_or("no loader is where loaders are")?;
    deed(backend, &["load", loader, "{}/copy"], EffectKind::FileRead, "copy")
}

fn nameless(backend: Backend) -> Result<Answer, Failed> {
    let stage = Stage::new()?;
    let attack = stage.run(&["run-memfd", "/usr/bin/true"], "open")?;
    let runs: Vec<&Effect> = attack
        .drained
        .effects
        .iter()
        .filter(|effect| effect.kind == EffectKind::Exec)
        .filter(|e| matches!(&e.target, Target::File(file) if !file.path.starts_with('/')))
        .collect();
    if backend.enforces_files() {
        equal(attack.printed.as_str(), "EPERM").map_err(|why| in_case("attack", &why, &attack))?;
        return Ok(Answer::Blocked);
    }
    equal((attack.printed.as_str(), runs.len()), ("ok", 1))?;
    Ok(Answer::Reported)
}
