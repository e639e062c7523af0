//! The committed kernel object belongs to the committed sources.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with a place")]

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What the object is made from, as `cargo xtask ebpf` hashes it.
const SOURCES: [&str; 5] = [
    "agent-common/Cargo.toml",
    "agent-common/src",
    "agent-ebpf/Cargo.lock",
    "agent-ebpf/Cargo.toml",
    "agent-ebpf/src",
];

#[test]
fn object_and_sources_agree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for source in SOURCES {
        collect(&root.join(source), &mut files);
    }
    files.sort();
    assert!(files.len() > SOURCES.len(), "the sources are not here");

    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap();
        for part in [name.as_bytes(), &fs::read(&file).unwrap()] {
            hash.update(u64::try_from(part.len()).unwrap().to_le_bytes());
            hash.update(part);
        }
    }
    let found = format!("{:x}", hash.finalize());
    let recorded = fs::read_to_string(root.join("agent/kernel/sources.sha256")).unwrap();
    assert_eq!(recorded.trim(), found, "the kernel object is stale: run `cargo xtask ebpf`");
}

#[test]
fn object_names_no_path_of_the_machine_that_built_it() {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernel/warrantd.bpf.o");
    let object = fs::read(object).unwrap();
    for path in ["/root/", "/home/", ".cargo/", "registry/"] {
        let found = object.windows(path.len()).any(|window| window == path.as_bytes());
        assert!(!found, "the object contains {path}");
    }
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.into());
        return;
    }
    for entry in fs::read_dir(path).unwrap() {
        collect(&entry.unwrap().path(), files);
    }
}
