//! Where a path leads after symbolic links, as the file system has it now.

use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};

/// The real path of an absolute one. What does not exist (a file to be written) counts as the real
/// path of its nearest existing directory and the rest. This only explains refusals early and aims
/// the warrant: what the server really opens is judged by what the kernel reports.
pub(super) fn real_path(path: &str) -> String {
    if is_real(path) {
        return path.to_owned();
    }
    let path = Path::new(path);
    let mut missing: Vec<Component> = Vec::new();
    let mut existing = path;
    loop {
        if let Ok(real) = existing.canonicalize() {
            let whole = missing.iter().rev().fold(real, |path, part| path.join(part));
            return text(&whole, path);
        }
        // A link that leads nowhere yet: what is created through it lands where it points.
        if let Ok(target) = existing.read_link() {
            let parent = existing.parent().unwrap_or(Path::new("/"));
            let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
            let whole =
                missing.iter().rev().fold(parent.join(target), |path, part| path.join(part));
            return text(&lexical(&whole), path);
        }
        match (existing.parent(), existing.components().next_back()) {
            (Some(parent), Some(last)) => {
                missing.push(last);
                existing = parent;
            }
            _ => return text(path, path),
        }
    }
}

/// Whether a path exists and no part of it is a symbolic link: one question to the kernel instead of one for each
/// part. Kernels that do not know it (before 5.6, `openat2(2)`) say no.
fn is_real(path: &str) -> bool {
    // Only what is written as `canonicalize` writes it.
    let plain = path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
    });
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    plain && openat2(AT_FDCWD, path, how).is_ok()
}

fn text(path: &Path, fallback: &Path) -> String {
    path.to_str().unwrap_or(&fallback.to_string_lossy()).to_owned()
}

fn lexical(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
        whole
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_as_far_as_files_exist() {
        let dir = tempfile::tempdir().expect("dir");
        let top = dir.path().canonicalize().expect("real");
        let at = |name: &str| top.join(name).to_str().expect("UTF-8").to_owned();
        std::fs::create_dir(top.join("real")).expect("made");
        std::fs::write(top.join("real/a"), "").expect("made");
        symlink("real", top.join("link")).expect("made");
        symlink("/etc/shadow-to-be", top.join("dangling")).expect("made");
        symlink("../../x/y", top.join("real/up")).expect("made");
        assert_eq!(real_path(&at("link/a")), at("real/a"));
        assert_eq!(real_path(&at("link/new/b")), at("real/new/b"));
        assert_eq!(real_path(&at("dangling")), "/etc/shadow-to-be");
        let up = top.parent().expect("parent").join("x/y");
        assert_eq!(real_path(&at("link/up")), up.to_str().expect("UTF-8"));
        assert_eq!(real_path("/"), "/");
        assert!(is_real(&at("real/a")));
        for other in
            ["link/a", "dangling", "missing", "real/./a", "real//a", "real/../real/a", "real/a/"]
        {
            assert!(!is_real(&at(other)), "{other}");
        }
    }
}
