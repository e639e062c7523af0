//! Programs that measure, in a place of their own.
//!
//! A host has one daemon. What is measured must not be in its way, and so gets a mount namespace with a bpffs
//! of its own and a cgroup namespace: the pins and cgroups of an instance there are seen by nobody else.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context, ensure};

use crate::shell::{built, is_root, say};

/// In a new cgroup, whose name is the first argument: the rest is run in namespaces where that is the root.
const SCRIPT: &str = r#"
mount=$(findmnt --noheadings --first-only --output TARGET --types cgroup2)
own="$mount/$1"; shift
mkdir "$own"; echo $$ >"$own/cgroup.procs"
export mount
set +e
unshare --mount --cgroup --propagation private sh -ec '
    umount "$mount"; mount -t cgroup2 none "$mount"; mount -t bpf none /sys/fs/bpf; exec "$@"
' sh "$@"
status=$?
echo $$ >"$mount/cgroup.procs"
for try in 1 2 3 4 5 6 7 8 9 10; do
    find "$own" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null
    rmdir "$own" 2>/dev/null && break
    sleep 0.2
done
exit $status
"#;

/// The programs that measure, optimised.
pub(super) fn programs() -> anyhow::Result<PathBuf> {
    ensure!(is_root(), "the kernel's view is part of what is measured: run it as root");
    say("building warrantd and what measures it, optimised (minutes, the first time)");
    let packages = ["--package", "warrantd", "--package", "warrantd-bench", "--bins"];
    let build = [&["build", "--quiet", "--release"], &packages[..]].concat();
    Ok(PathBuf::from(built(&build, "warrantd-bench")?))
}

/// The directory of raw results, made when missing.
pub(super) fn results(program: &Path) -> anyhow::Result<PathBuf> {
    let target = program.ancestors().nth(2).context("a build is in a directory")?;
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Runs a program that measures.
pub(super) fn run(program: &Path, arguments: &[String]) -> anyhow::Result<ExitStatus> {
    let mut command = Command::new("sh");
    command.args(["-euc", SCRIPT, "sh"]);
    command.arg(format!("warrantd-bench-{}", std::process::id()));
    command.arg(program).args(arguments);
    command.status().context("cannot run sh")
}
