//! Where a path leads after symbolic links, as the file system has it now.

use std::path::{Component, Path, PathBuf};

/// The real path of an absolute one. What does not exist (a file to be written) counts as the real
/// path of its nearest existing directory and the rest. This only explains refusals early and aims
/// the warrant: what the server really opens is judged by what the kernel reports.
pub(super) fn real_path(path: &str) -> String {
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
    }
}
