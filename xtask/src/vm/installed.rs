//! The tests of the installed package, put into a Debian with systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::cpio::{Entry, Tree};
use super::series::Series;
use super::{debian, image};
use crate::dist;
use crate::shell::{built, built_with_all, output, root, run};

/// Where the tests and their programs are in the machine.
const PLACE: &str = "/usr/lib/warrantd-tests";
/// Where the packages are in the machine: the one of this checkout, and the same as a later version.
const PACKAGES: [&str; 2] = ["/srv/packages/warrantd.deb", "/srv/packages/warrantd-next.deb"];
/// What people do who read that document, so it goes with the tests.
const QUICK_START: &str = "docs/quick-start.md";

/// The service that does the machine's job. Its output is on the second serial line without it: systemd has its
/// own say on the first.
const SERVICE: &str = "[Unit]\nDescription=The job of this machine\nAfter=multi-user.target\n\n\
     [Service]\nType=exec\nExecStart=/init\n";

const TEXTS: [(&str, &str); 6] = [
    ("/etc/hostname", "warrantd-vm\n"),
    ("/etc/hosts", "127.0.0.1 localhost warrantd-vm\n::1 localhost\n"),
    ("/etc/resolv.conf", ""),
    // With one, no start is the first one, at which everything is set up anew.
    ("/etc/machine-id", "8f0e4a6c2b5d4c1e9a3f7d6b5c4e3f2a\n"),
    ("/etc/fstab", ""),
    ("/etc/systemd/system/job.service", SERVICE),
];

/// What waits for devices and modules that the machine does not have.
const MASKED: [&str; 5] = [
    "serial-getty@ttyS0.service",
    "getty@tty1.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "apt-daily.timer",
];

/// A Debian with everything but what a job brings.
pub(super) fn base(series: Series, update: bool) -> anyhow::Result<Tree> {
    let mut tree = Tree::over(debian::archive(series, update)?);
    tree.put("/dev/console", Entry::CharacterDevice { mode: 0o600, major: 5, minor: 1 })?;
    tree.put("/dev/null", Entry::CharacterDevice { mode: 0o666, major: 1, minor: 3 })?;
    for (path, text) in TEXTS {
        tree.put(path, Entry::File { mode: 0o644, content: text.into() })?;
    }
    for unit in MASKED {
        let place = format!("/etc/systemd/system/{unit}");
        tree.put(&place, Entry::Link { target: "/dev/null".into() })?;
    }
    tree.put(
        "/etc/systemd/system/multi-user.target.wants/job.service",
        Entry::Link { target: "../job.service".into() },
    )?;
    image::add_init(&mut tree)?;
    Ok(tree)
}

/// Builds the tests and what they run, puts them into the tree, and gives their command line.
pub(super) fn argv(tree: &mut Tree, arguments: &[String]) -> anyhow::Result<Vec<String>> {
    // No test of the workspace's own run, so it is not among all that is built with that.
    let tests = ["test", "--quiet", "--workspace", "--test", "installed", "--no-run"];
    image::add(tree, &built(&tests, "installed")?, &format!("{PLACE}/installed"))?;
    for name in ["rogue-server", "net-probe"] {
        image::add(tree, &built_with_all(name)?, &format!("{PLACE}/{name}"))?;
    }
    let document = root().join(QUICK_START);
    let content = fs::read(&document).with_context(|| format!("{}", document.display()))?;
    tree.put(&format!("{PLACE}/quick-start.md"), Entry::File { mode: 0o644, content })?;
    // One after the other, in their order: each begins where the one before it ended.
    let command = [format!("{PLACE}/installed"), "--test-threads=1".to_owned()];
    Ok(command.into_iter().chain(arguments.iter().cloned()).collect())
}

/// Puts the package into the tree, as it is and as a later version of itself.
pub(super) fn add_package(tree: &mut Tree, package: Option<&Path>) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir().context("a temporary directory")?;
    let package: PathBuf = match package {
        Some(package) => package.to_owned(),
        // Made quickly: what is tried is the same.
        None => dist::deb(&dist::build(dist::QUICK)?, dist::QUICK, scratch.path())?,
    };
    let next = later(&package, scratch.path())?;
    for (package, place) in [package, next].iter().zip(PACKAGES) {
        let content = fs::read(package).with_context(|| format!("{}", package.display()))?;
        tree.put(place, Entry::File { mode: 0o644, content })?;
    }
    Ok(())
}

/// The same package with a version that comes after its own.
fn later(package: &Path, scratch: &Path) -> anyhow::Result<PathBuf> {
    let (unpacked, packed) = (scratch.join("unpacked"), scratch.join("next.deb"));
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(&unpacked))?;
    let control = unpacked.join("DEBIAN/control");
    let text = fs::read_to_string(&control).context("the package's control file")?;
    fs::write(&control, raised(&text))?;
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "-Znone", "--build"]).arg(&unpacked).arg(&packed);
    ensure!(output(&mut pack).is_some(), "the package cannot be packed as a later version");
    Ok(packed)
}

/// The control file of the later version.
fn raised(control: &str) -> String {
    let lines = control.lines().map(|line| match line.strip_prefix("Version:") {
        Some(version) => format!("Version: {}+next\n", version.trim()),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_version_is_later() {
        let control = "Package: warrantd\nVersion: 0.1.0-1\nDescription: x\n y\n";
        let expected = "Package: warrantd\nVersion: 0.1.0-1+next\nDescription: x\n y\n";
        assert_eq!(raised(control), expected);
    }
}
