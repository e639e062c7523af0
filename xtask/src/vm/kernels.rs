//! Debian's kernels, fetched with the ordinary apt client and unpacked, never installed.
//!
//! Each series has a state directory of apt's own below the cache, with one release in its sources; the
//! machine's configuration is read for the mirror and the way to it, and left alone. A kernel that has been
//! fetched stays until an update is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use nix::fcntl::{Flock, FlockArg};

use super::series::Series;
use super::sources::{self, Mirrors};
use crate::cache;
use crate::shell::{output, run, say};

/// The package that depends on the newest kernel for virtual machines.
const NEWEST: &str = "linux-image-cloud-amd64";

/// A series that the releases have left behind, or not reached.
#[derive(Debug, thiserror::Error)]
#[error("Debian {} has no kernel {} (it has {offered}): another release must be named in xtask/src/vm/series.rs",
    series.suites().join(" and "), series.name())]
pub(crate) struct Unavailable {
    series: Series,
    offered: String,
}

/// A kernel that can be booted.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// As the package has it, such as `6.1.0-50-cloud-amd64`.
    pub(super) release: String,
}

/// The kernel of a series, fetched if it is not there, or if `update` asks for the newest one.
pub(super) fn kernel(series: Series, update: bool) -> anyhow::Result<Kernel> {
    let place = cache::dir().join("vm").join(series.name());
    fs::create_dir_all(&place).with_context(|| format!("{}", place.display()))?;
    // Two commands may run at the same time.
    let lock = fs::File::create(place.join("lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    let image = place.join("vmlinuz");
    let release = place.join("release");
    if update || !image.exists() || !release.exists() {
        let found = fetch(series, &place)?;
        // The release is written last: it says that the image is whole.
        let _ = fs::remove_file(&release);
        fs::rename(&found.image, &image)?;
        fs::write(&release, &found.release)?;
        // Lists and packages are a hundred times the size, and soon out of date.
        for rest in ["unpacked", "apt"] {
            let _ = fs::remove_dir_all(place.join(rest));
        }
    }
    Ok(Kernel { image, release: fs::read_to_string(release)? })
}

fn fetch(series: Series, place: &Path) -> anyhow::Result<Kernel> {
    ensure!(
        output(Command::new("apt-get").arg("--version")).is_some(),
        "kernels are Debian packages: apt-get is missing here"
    );
    say(&format!("fetching a kernel {} of Debian {}", series.name(), series.suites().join(" or ")));
    let apt = Apt::new(series, place)?;
    run(apt.command("apt-get").args(["update", "-qq"]))?;
    let image = apt.newest(series)?;
    // From 7.x on, the image itself is in a package of its own.
    let mut packages = vec![image.clone()];
    packages.extend(
        apt.dependencies(&image)?.into_iter().filter(|name| name.starts_with("linux-binary-")),
    );
    let unpacked = place.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    fs::create_dir_all(&unpacked)?;
    for package in packages.iter().rev() {
        run(apt.command("apt-get").current_dir(&unpacked).args(["download", "-qq", package]))?;
        let prefix = format!("{package}_");
        let file = children(&unpacked)?.into_iter().find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
        });
        let file = file.with_context(|| format!("apt-get downloaded no {package}"))?;
        run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
        if let Some(kernel) = unpacked_kernel(&unpacked)? {
            return Ok(kernel);
        }
    }
    bail!("there is no kernel image in {}", packages.join(", "))
}

/// The image where Debian's packages have it.
fn unpacked_kernel(root: &Path) -> anyhow::Result<Option<Kernel>> {
    for path in children(&root.join("boot"))? {
        let release = path.file_name().and_then(|name| name.to_str()?.strip_prefix("vmlinuz-"));
        if let Some(release) = release.map(str::to_owned) {
            return Ok(Some(Kernel { image: path, release }));
        }
    }
    for path in children(&root.join("usr/lib/modules"))? {
        let image = path.join("vmlinuz");
        if let (true, Some(release)) = (image.exists(), path.file_name()) {
            let release = release.to_string_lossy().into_owned();
            return Ok(Some(Kernel { image, release }));
        }
    }
    Ok(None)
}

/// What is in a directory; nothing if there is none.
fn children(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).collect())
}

/// An apt client with a state of its own.
struct Apt {
    configuration: PathBuf,
}

impl Apt {
    fn new(series: Series, place: &Path) -> anyhow::Result<Self> {
        let place = place.join("apt");
        for directory in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(place.join(directory))?;
        }
        fs::write(place.join("status"), "")?;
        let list = sources::list(series, &Mirrors::of_this_machine());
        fs::write(place.join("sources.list"), list)?;
        let configuration = place.join("apt.conf");
        fs::write(&configuration, sources::configuration(&place, &sources::access()?))?;
        Ok(Self { configuration })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.configuration).env("LC_ALL", "C");
        command
    }

    /// The newest kernel package of a series.
    fn newest(&self, series: Series) -> anyhow::Result<String> {
        let offered = output(self.command("apt-cache").args(["madison", NEWEST]));
        let offered = sources::versions(&offered.unwrap_or_default());
        let Some(version) = sources::newest_of(series, &offered) else {
            bail!(Unavailable { series, offered: offered.join(", ") });
        };
        let depends = self.dependencies(&format!("{NEWEST}={version}"))?;
        let image = depends.into_iter().find(|name| name.starts_with("linux-image-"));
        image.with_context(|| format!("{NEWEST} {version} depends on no kernel"))
    }

    fn dependencies(&self, package: &str) -> anyhow::Result<Vec<String>> {
        let shown = output(self.command("apt-cache").args(["show", "--no-all-versions", package]));
        let shown = shown.with_context(|| format!("apt knows no {package}"))?;
        let line = shown.lines().find_map(|line| line.strip_prefix("Depends: "));
        Ok(line.map(sources::names).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_where_old_and_new_packages_have_them() {
        let root = tempfile::tempdir().unwrap();
        assert!(unpacked_kernel(root.path()).unwrap().is_none());
        let modules = root.path().join("usr/lib/modules/7.2.13+deb14-cloud-amd64");
        fs::create_dir_all(&modules).unwrap();
        assert!(unpacked_kernel(root.path()).unwrap().is_none());
        fs::write(modules.join("vmlinuz"), "").unwrap();
        let kernel = unpacked_kernel(root.path()).unwrap().unwrap();
        assert_eq!(kernel.release, "7.2.13+deb14-cloud-amd64");

        fs::create_dir(root.path().join("boot")).unwrap();
        fs::write(root.path().join("boot/vmlinuz-6.1.0-50-cloud-amd64"), "").unwrap();
        let kernel = unpacked_kernel(root.path()).unwrap().unwrap();
        assert_eq!(kernel.release, "6.1.0-50-cloud-amd64");
        assert!(kernel.image.ends_with("boot/vmlinuz-6.1.0-50-cloud-amd64"));
    }
}
