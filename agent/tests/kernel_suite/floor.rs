//! Landlock: what is not below a root is refused, whatever the call, and what is below is not.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use tempfile::TempDir;
use warrantd::kernel::{Floor, Session, floor_shortcomings};
use warrantd::policy::network::Table;

use crate::support::{NOBODY, ensure, equal, kernel, public_dir, run_spec, runtime, spec};
use crate::{Test, actor};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("a_floor_refuses_every_change_outside_and_none_inside", changes),
    ("a_floor_refuses_reads_and_programs_outside", reads_and_programs),
    ("a_root_that_is_missing_opens_nothing", missing_root),
];

/// Two directories with the same in them, of which the floor opens one.
struct Ground {
    _guard: TempDir,
    inside: PathBuf,
    outside: PathBuf,
}

impl Ground {
    fn new() -> Result<Self, Failed> {
        let guard = public_dir()?;
        let base = guard.path().canonicalize()?;
        let ground =
            Self { _guard: guard, inside: base.join("inside"), outside: base.join("outside") };
        for directory in [&ground.inside, &ground.outside] {
            for name in ["", "empty"] {
                fs::create_dir(directory.join(name))?;
                nix::unistd::chown(&directory.join(name), Some(NOBODY.into()), None)?;
            }
            for name in ["read", "write", "cut", "remove", "rename", "link"] {
                fs::write(directory.join(name), "content")?;
                nix::unistd::chown(&directory.join(name), Some(NOBODY.into()), None)?;
            }
        }
        Ok(ground)
    }

    fn floor(&self) -> Result<Floor, Failed> {
        let mut run = vec![fs::read_link("/proc/self/exe")?, fs::canonicalize("/usr/bin/true")?];
        run.extend(loaders());
        let mut read: Vec<PathBuf> = ["/usr/lib", "/lib", "/proc"].map(PathBuf::from).to_vec();
        read.extend(["/lib64", "/etc/ld.so.cache"].map(PathBuf::from));
        // `read_dir` and friends of the actor itself.
        read.push(self.inside.clone());
        let write = vec![self.inside.clone(), "/dev/null".into()];
        Ok(Floor { read, list: Vec::new(), write, run })
    }
}

/// The dynamic loaders of this host.
fn loaders() -> Vec<PathBuf> {
    let all = ["/lib64", "/lib", "/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"];
    let files = all.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path());
    files
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-"))
        })
        .collect()
}

/// What can be changed in a directory: words of an actor.
fn deeds(directory: &Path) -> Vec<Vec<String>> {
    let path = |name: &str| directory.join(name).display().to_string();
    let deed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    vec![
        deed(&["write", &path("write")]),
        deed(&["create", &path("created")]),
        deed(&["open", &path("opened"), &(libc::O_CREAT | libc::O_WRONLY).to_string()]),
        deed(&["cut", &path("cut")]),
        deed(&["remove", &path("remove")]),
        deed(&["rename", &path("rename"), &path("renamed")]),
        deed(&["hard-link", &path("link"), &path("linked")]),
        deed(&["symlink", &path("symlink")]),
        deed(&["make-directory", &path("directory")]),
        deed(&["remove-directory", &path("empty")]),
        deed(&["make-fifo", &path("fifo")]),
    ]
}

/// What an actor prints under a floor, or without one.
fn under(session: &Session, floor: Option<&Floor>, words: &[String]) -> Result<String, Failed> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut spec = spec(actor::command(&words));
    spec.floor = floor.cloned();
    Ok(run_spec(session, &spec)?.printed)
}

/// Whether the kernel has Landlock. One that has not must refuse to start a server that needs it.
fn is_there(session: &Session, floor: &Floor) -> Result<bool, Failed> {
    let Err(missing) = floor_shortcomings() else { return Ok(true) };
    ensure(missing.to_string().contains("Landlock"), &missing.to_string())?;
    let mut spec = spec(actor::command(&["nothing"]));
    spec.floor = Some(floor.clone());
    let _runtime = runtime().enter();
    ensure(session.spawn(&spec).is_err(), "a server was started without its floor")?;
    Ok(false)
}

fn changes() -> Result<(), Failed> {
    let ground = Ground::new()?;
    let floor = ground.floor()?;
    let session = kernel()?.open_session("floor-changes", &Table::default())?;
    if !is_there(&session, &floor)? {
        return Ok(());
    }
    let cannot_cut = floor_shortcomings()?.iter().any(|line| line.contains("truncate"));
    for words in deeds(&ground.outside) {
        if words[0] == "cut" && cannot_cut {
            continue;
        }
        equal((&words, under(&session, Some(&floor), &words)?.as_str()), (&words, "EACCES"))?;
    }
    // Neither is anything carried out or in.
    let path = |directory: &Path, name: &str| directory.join(name).display().to_string();
    for (from, to) in [(&ground.inside, &ground.outside), (&ground.outside, &ground.inside)] {
        let words = ["rename".into(), path(from, "rename"), path(to, "carried")];
        let printed = under(&session, Some(&floor), &words)?;
        ensure(printed != "ok" && !to.join("carried").exists(), &format!("{words:?}: {printed}"))?;
    }
    for words in deeds(&ground.inside) {
        equal((&words, under(&session, Some(&floor), &words)?.as_str()), (&words, "ok"))?;
    }
    // The twin: without a floor, this user may do it all.
    for words in deeds(&ground.outside) {
        equal((&words, under(&session, None, &words)?.as_str()), (&words, "ok"))?;
    }
    Ok(())
}

fn reads_and_programs() -> Result<(), Failed> {
    let ground = Ground::new()?;
    let floor = ground.floor()?;
    let session = kernel()?.open_session("floor-reads", &Table::default())?;
    if !is_there(&session, &floor)? {
        return Ok(());
    }
    let text = |path: PathBuf| path.display().to_string();
    let inside: [[String; 2]; 3] = [
        ["read".into(), text(ground.inside.join("read"))],
        ["list".into(), text(ground.inside.clone())],
        ["exec".into(), "/usr/bin/true".into()],
    ];
    let outside: [[String; 2]; 4] = [
        ["read".into(), text(ground.outside.join("read"))],
        ["read".into(), format!("/proc/self/root{}", text(ground.outside.join("read")))],
        ["list".into(), text(ground.outside.clone())],
        ["exec".into(), "/usr/bin/false".into()],
    ];
    for words in &inside {
        equal((words, under(&session, Some(&floor), words)?.as_str()), (words, "ok"))?;
    }
    for words in &outside {
        equal((words, under(&session, Some(&floor), words)?.as_str()), (words, "EACCES"))?;
        equal((words, under(&session, None, words)?.as_str()), (words, "ok"))?;
    }
    Ok(())
}

fn missing_root() -> Result<(), Failed> {
    let ground = Ground::new()?;
    let mut floor = ground.floor()?;
    let session = kernel()?.open_session("floor-missing", &Table::default())?;
    if !is_there(&session, &floor)? {
        return Ok(());
    }
    let later = ground.outside.join("later");
    floor.write.push(later.clone());
    equal(under(&session, Some(&floor), &["nothing".into()])?.as_str(), "ok")?;
    let words = ["make-directory".to_owned(), later.display().to_string()];
    equal(under(&session, Some(&floor), &words)?.as_str(), "EACCES")
}
