//! Paths come from kernel objects: whatever name was used, the reported one is where the file is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use libtest_mimic::Failed;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use warrantd::policy::network::Table;
use warrantd::warrant::EffectKind;

use crate::Test;
use crate::support::{Run, ensure, equal, file, files, public_dir, run};

/// The tests of this file.
pub(crate) const TESTS: &[Test] = &[
    ("symlinks_and_detours_are_resolved", resolved),
    ("a_bind_mount_shows_the_path_through_it", bind_mount),
    ("a_mounted_file_system_has_its_whole_path", mounted),
    ("sixty_levels_fit_and_a_hundred_do_not", deep),
    ("long_names_fit_until_the_path_is_full", long),
    ("strange_names_survive", strange),
    ("a_deleted_file_is_marked", deleted),
    ("a_memfd_cannot_pass_for_a_file", memfd),
];

fn resolved() -> Result<(), Failed> {
    let directory = public_dir()?;
    let base = directory.path().canonicalize()?;
    fs::create_dir(base.join("sub"))?;
    fs::write(base.join("secret"), "s")?;
    symlink("../secret", base.join("sub/innocent"))?;
    let secret = base.join("secret").display().to_string();
    let via_proc = format!("/proc/self/root{secret}");
    let innocent = base.join("sub/innocent").display().to_string();
    let dotted = format!("{}//sub/./../secret", base.display());
    for (index, path) in [&innocent, &via_proc, &dotted].into_iter().enumerate() {
        let run = run(&format!("resolved-{index}"), &Table::default(), &["read", path])?;
        equal(run.printed.as_str(), "ok")?;
        file(&run, EffectKind::FileRead, &secret)?;
        ensure(
            files(&run, EffectKind::FileRead).iter().all(|(file, _)| file.path != innocent),
            "a link was reported",
        )?;
    }
    Ok(())
}

fn bind_mount() -> Result<(), Failed> {
    let directory = public_dir()?;
    let base = directory.path().canonicalize()?;
    for name in ["here", "there"] {
        fs::create_dir(base.join(name))?;
    }
    fs::write(base.join("here/file"), "f")?;
    let there = base.join("there");
    let _mounted = Mounted::new(Some(&base.join("here")), &there, None, MsFlags::MS_BIND)?;
    let path = there.join("file").display().to_string();
    let run = run("bind", &Table::default(), &["read", &path])?;
    equal(run.printed.as_str(), "ok")?;
    file(&run, EffectKind::FileRead, &path).map(drop)
}

fn mounted() -> Result<(), Failed> {
    let directory = public_dir()?;
    let base = directory.path().canonicalize()?;
    let _outer = Mounted::new(None, &base, Some("tmpfs"), MsFlags::empty())?;
    fs::create_dir_all(base.join("a/b"))?;
    let _inner = Mounted::new(None, &base.join("a/b"), Some("tmpfs"), MsFlags::empty())?;
    fs::create_dir(base.join("a/b/c"))?;
    fs::write(base.join("a/b/c/file"), "f")?;
    for path in ["a/b/c/file", "a/b"] {
        let path = base.join(path).display().to_string();
        let run = run("mounted", &Table::default(), &["read", &path])?;
        equal(run.printed.as_str(), "ok")?;
        file(&run, EffectKind::FileRead, &path)?;
    }
    Ok(())
}

fn deep() -> Result<(), Failed> {
    let directory = public_dir()?;
    let base = directory.path().canonicalize()?.display().to_string();
    let fits = run("deep-60", &Table::default(), &["descend", &base, "d", "60"])?;
    let expected = format!("{base}{}/bottom", "/d".repeat(60));
    file(&fits, EffectKind::FileCreate, &expected)?;

    let directory = public_dir()?;
    let base = directory.path().canonicalize()?.display().to_string();
    cut(&run("deep-120", &Table::default(), &["descend", &base, "d", "120"])?)
}

fn long() -> Result<(), Failed> {
    let directory = public_dir()?;
    let base = directory.path().canonicalize()?.display().to_string();
    let name = "n".repeat(255);
    let fits = run("long-15", &Table::default(), &["descend", &base, &name, "15"])?;
    let expected = format!("{base}{}/bottom", format!("/{name}").repeat(15));
    file(&fits, EffectKind::FileCreate, &expected)?;

    let directory = public_dir()?;
    let base = directory.path().canonicalize()?.display().to_string();
    cut(&run("long-17", &Table::default(), &["descend", &base, &name, "17"])?)
}

/// The file at the bottom is known to have a longer path than was reported.
fn cut(run: &Run) -> Result<(), Failed> {
    equal(run.printed.as_str(), "ok")?;
    let made = files(run, EffectKind::FileCreate);
    let bottom = made.iter().find(|(file, _)| file.path.ends_with("/bottom"));
    let (file, _) = bottom.ok_or("the file at the bottom was not reported")?;
    ensure(file.truncated, "a cut path is not marked")?;
    ensure(file.path.starts_with(".../"), "a cut path looks whole")
}

fn strange() -> Result<(), Failed> {
    let directory = public_dir()?;
    let base = directory.path().canonicalize()?;
    for name in ["a b", "new\nline", "…", "-rf", "a\\b", "x (deleted)"] {
        let path = base.join(name);
        fs::write(&path, "f")?;
        let path = path.display().to_string();
        let run = run("strange", &Table::default(), &["read", &path])?;
        equal(run.printed.as_str(), "ok")?;
        file(&run, EffectKind::FileRead, &path)?;
    }
    Ok(())
}

fn deleted() -> Result<(), Failed> {
    let directory = public_dir()?;
    let path = directory.path().canonicalize()?.join("gone").display().to_string();
    let run = run("deleted", &Table::default(), &["reopen-deleted", &path])?;
    equal(run.printed.as_str(), "ok")?;
    file(&run, EffectKind::FileCreate, &path)?;
    file(&run, EffectKind::FileRead, &format!("{path} (deleted)")).map(drop)
}

fn memfd() -> Result<(), Failed> {
    let run = run("memfd", &Table::default(), &["reopen-memfd"])?;
    equal(run.printed.as_str(), "ok")?;
    file(&run, EffectKind::FileRead, "memfd:/etc/passwd").map(drop)
}

/// A mount that ends with the test.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(
        from: Option<&Path>,
        at: &Path,
        kind: Option<&str>,
        flags: MsFlags,
    ) -> Result<Self, Failed> {
        mount(from, at, kind, flags, None::<&str>)?;
        Ok(Self(at.into()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
