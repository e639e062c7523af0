//! Real receivers of logs for the tests: Debian's rsyslog, syslog-ng and nats-server.
//!
//! They are fetched with the ordinary apt client and unpacked below the cache, not installed: a machine has
//! one system log, and the packages of two cannot be installed together.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::cache;
use crate::setup::apt_is_here;
use crate::shell::{run, say};

/// The programs with the libraries that no other package brings.
const PACKAGES: [&str; 11] = [
    "rsyslog",
    "rsyslog-openssl",
    "liblognorm5",
    "libestr0",
    "libfastjson4",
    "syslog-ng-core",
    "libivykis0",
    "libnet1",
    "libpcre3",
    "libwrap0",
    "nats-server",
];

/// Unpacks what is not there yet.
pub(crate) fn unpack() -> anyhow::Result<()> {
    let place = cache::dir().join("receivers");
    // Written last: it says that all is there.
    let done = place.join("packages");
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    ensure!(
        apt_is_here(),
        "missing: receivers of logs. They are Debian packages; apt-get is missing here"
    );
    say(&format!("unpacking {} into {} (apt)", PACKAGES.join(" "), place.display()));
    let _ = fs::remove_dir_all(&place);
    let fetched = place.join("fetched");
    fs::create_dir_all(&fetched).with_context(|| format!("{}", fetched.display()))?;
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut download = Command::new("apt-get");
    run(download.current_dir(&fetched).args(["download", "-qq"]).args(PACKAGES))?;
    for package in fs::read_dir(&fetched)? {
        unpack_one(&package?.path(), &place)?;
    }
    fs::remove_dir_all(&fetched)?;
    fs::write(done, wanted)?;
    Ok(())
}

fn unpack_one(package: &Path, place: &Path) -> anyhow::Result<()> {
    run(Command::new("dpkg-deb").arg("-x").arg(package).arg(place))
}
