//! A small Debian with systemd, made by mmdebstrap and kept as an archive that the kernel unpacks.
//!
//! It is in memory as soon as the machine is up: no disk, no boot loader, no modules. What is asked of it
//! names its archive, so that another list of packages makes another one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

use super::series::Series;
use super::sources::{self, Mirrors};
use crate::cache;
use crate::shell::{run, say};

/// Beside what is essential: systemd as it is installed on a server, and what the tests and those who look
/// around want. The package under test must find its dependencies here, since the machine has no network.
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "libnss-systemd",
    "adduser",
    "ca-certificates",
    "iproute2",
    "procps",
    "python3-minimal",
];

/// What no machine reads: a third of everything, which would have to be unpacked at each start.
const LEFT_OUT: &[&str] = &[
    "boot",
    "dev",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
];

/// The archive of a series, made if it is not there, or if `update` asks for newer packages.
pub(super) fn archive(series: Series, update: bool) -> anyhow::Result<PathBuf> {
    let place = cache::dir().join("vm").join(series.name());
    fs::create_dir_all(&place).with_context(|| format!("{}", place.display()))?;
    let lock = File::create(place.join("lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    let archive = place.join(format!("debian-{}.cpio", name(series)));
    if update || !archive.exists() {
        forget_others(&place)?;
        let scratch = tempfile::tempdir_in(&place)?;
        let made = make(series, scratch.path())?;
        fs::rename(made, &archive)?;
    }
    Ok(archive)
}

/// A hash of all that the archive is made from, but for the packages themselves.
fn name(series: Series) -> String {
    let mut hash = Sha256::new();
    for part in [series.suites(), PACKAGES, LEFT_OUT].into_iter().flatten() {
        hash.update(part);
        hash.update("\n");
    }
    format!("{:x}", hash.finalize()).chars().take(12).collect()
}

/// Removes the archives that were made from something else.
fn forget_others(place: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("debian-") && name.ends_with(".cpio") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn make(series: Series, scratch: &Path) -> anyhow::Result<PathBuf> {
    let suite = series.suites().first().context("a series has a suite")?;
    say(&format!("making a Debian {suite} with systemd (a minute, once)"));
    let options = scratch.join("apt.conf");
    fs::write(&options, sources::access()?)?;
    let root = scratch.join("root");
    let mut bootstrap = Command::new("mmdebstrap");
    bootstrap.args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"]);
    bootstrap.arg(format!("--include={}", PACKAGES.join(",")));
    bootstrap.arg(format!("--aptopt={}", options.display()));
    bootstrap.arg("--aptopt=Acquire::Languages \"none\"");
    // How a mirror is reached from here is nothing that the machine should know.
    bootstrap.arg("--customize-hook=rm -f \"$1\"/etc/apt/apt.conf.d/99mmdebstrap");
    bootstrap.arg(suite).arg(&root);
    bootstrap.args(sources::list(series, &Mirrors::of_this_machine()).lines());
    run(&mut bootstrap)?;
    pack(&root, &scratch.join("archive"))
}

/// Writes a directory as an archive, with the owners of its files.
fn pack(root: &Path, archive: &Path) -> anyhow::Result<PathBuf> {
    for path in LEFT_OUT {
        let path = root.join(path);
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_directory = entry.file_type()?.is_dir();
            let removed =
                if is_directory { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| format!("{}", path.display()))?;
        }
    }
    let mut find = Command::new("find");
    find.args([".", "-xdev", "-print0"]).current_dir(root).stdout(Stdio::piped());
    let mut find = find.spawn().context("cannot run find")?;
    let names = find.stdout.take().context("its output is piped")?;
    let mut cpio = Command::new("cpio");
    cpio.args(["--create", "--null", "--quiet", "--format=newc"]).current_dir(root);
    run(cpio.stdin(names).stdout(File::create(archive)?))?;
    let status = find.wait()?;
    ensure!(status.success(), "find failed: {status}");
    Ok(archive.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_release_has_an_archive_of_its_own() {
        assert_ne!(name(Series::V6_1), name(Series::V6_12));
        assert_eq!(name(Series::V6_1).len(), 12);
    }

    #[test]
    fn archives_of_other_lists_are_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        for name in ["debian-0123.cpio", "vmlinuz", "release"] {
            fs::write(place.path().join(name), "").unwrap();
        }
        forget_others(place.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["release", "vmlinuz"]);
    }
}
