//! The file tree of a virtual machine: a small Debian of programs that are installed here.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::cpio::{Entry, Tree};
use super::job;
use crate::shell::output;

/// Programs that tests start, or that someone who looks around wants. Those that are not installed here
/// are left out.
const PROGRAMS: &str = "sh ip true false cat ls echo printf sleep env id uname dmesg mount umount nsenter unshare \
     setpriv timeout grep sed head tail wc sort mkdir rmdir chmod chown touch ln cp mv rm stat readlink test find \
     mktemp tr cut od ps kill";

/// Directories that are links into `/usr`, as Debian has them.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

const TEXTS: [(&str, &str); 7] = [
    ("/etc/hostname", "warrantd-vm\n"),
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("/etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/resolv.conf", ""),
    ("/etc/os-release", "ID=debian\nNAME=\"warrantd virtual machine\"\n"),
];

/// A tree with everything but what a job brings.
pub(super) fn base() -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    for directory in ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/var/tmp", "/usr/sbin"] {
        tree.put(directory, Entry::Directory { mode: 0o755 })?;
    }
    tree.put("/root", Entry::Directory { mode: 0o700 })?;
    tree.put("/dev/console", Entry::CharacterDevice { mode: 0o600, major: 5, minor: 1 })?;
    tree.put("/dev/null", Entry::CharacterDevice { mode: 0o666, major: 1, minor: 3 })?;
    for name in MERGED {
        tree.put(&format!("/usr/{name}"), Entry::Directory { mode: 0o755 })?;
        tree.put(&format!("/{name}"), Entry::Link { target: format!("usr/{name}") })?;
    }
    for (path, text) in TEXTS {
        tree.put(path, Entry::File { mode: 0o644, content: text.into() })?;
    }
    for name in PROGRAMS.split_whitespace() {
        if let Some(path) = installed(name) {
            add(&mut tree, &path, &format!("/usr/bin/{name}"))?;
        }
    }
    // What nobody but root may read.
    tree.put("/etc/shadow", Entry::File { mode: 0o640, content: b"root:*:20000::::::\n".into() })?;
    ensure!(tree.has("/usr/bin/ip"), "the package iproute2 is not installed");
    add_init(&mut tree)?;
    Ok(tree)
}

/// Puts this program into the machine, as its init.
pub(super) fn add_init(tree: &mut Tree) -> anyhow::Result<()> {
    // Its file may have been replaced by a later build since it was started.
    let own = tempfile::NamedTempFile::new().context("a temporary file")?;
    fs::copy("/proc/self/exe", own.path()).context("the file of this program")?;
    add(tree, &own.path().display().to_string(), job::INIT)
}

/// Copies a file of this machine, without the debug information of programs, and with the libraries that it
/// is linked with unless there are others under the tree: those of two systems do not mix.
pub(super) fn add(tree: &mut Tree, from: &str, to: &str) -> anyhow::Result<()> {
    let content = fs::read(from).with_context(|| from.to_owned())?;
    let mode = fs::metadata(from)?.permissions().mode() & 0o7777;
    if !content.starts_with(b"\x7fELF") {
        return tree.put(to, Entry::File { mode, content });
    }
    let libraries = if tree.lies_over() { Vec::new() } else { libraries(from) };
    for library in libraries {
        let place = merged(&library);
        if !tree.has(&place) {
            let content = fs::read(&library).with_context(|| library.clone())?;
            tree.put(&place, Entry::File { mode: 0o755, content })?;
        }
    }
    let content = stripped(from).unwrap_or(content);
    tree.put(to, Entry::File { mode, content })
}

/// A program without its debug information, which is most of it and never read in the machine.
fn stripped(program: &str) -> Option<Vec<u8>> {
    let scratch = tempfile::NamedTempFile::new().ok()?;
    let mut strip = Command::new("strip");
    output(strip.args(["--strip-debug", "-o"]).arg(scratch.path()).arg(program))?;
    fs::read(scratch.path()).ok().filter(|content| !content.is_empty())
}

/// The libraries that a program is linked with; none when it is linked with none.
fn libraries(program: &str) -> Vec<String> {
    output(Command::new("ldd").arg(program)).map(|text| paths(&text)).unwrap_or_default()
}

/// The paths in what `ldd` says.
fn paths(text: &str) -> Vec<String> {
    let words = text.lines().filter_map(|line| {
        line.split_whitespace().find(|word| word.starts_with('/')).map(str::to_owned)
    });
    words.collect()
}

/// Where a path is when `/lib` is a link.
fn merged(path: &str) -> String {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if MERGED.contains(&first) { format!("/usr{path}") } else { path.to_owned() }
}

/// The program of this name that would be run.
fn installed(name: &str) -> Option<String> {
    let path = env::var("PATH").unwrap_or_default();
    let directories = path.split(':').chain(["/usr/sbin", "/usr/bin", "/sbin", "/bin"]);
    directories
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| format!("{directory}/{name}"))
        .find(|path| Path::new(path).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_in_what_ldd_says() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found = paths(text);
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(merged(&found[1]), "/usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(merged("/opt/lib/x.so"), "/opt/lib/x.so");
    }

    #[test]
    fn programs_come_with_their_libraries() {
        let mut tree = Tree::default();
        add(&mut tree, &installed("true").unwrap(), "/usr/bin/true").unwrap();
        assert!(tree.has("/usr/bin/true") && tree.has("/usr/lib64/ld-linux-x86-64.so.2"));
    }
}
