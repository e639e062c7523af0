//! The committed kernel object is the one that its sources give.

use std::fs;

use anyhow::{Context, ensure};

use super::tally::Tally;
use crate::ebpf;
use crate::shell::root;

/// Compares the hash of the sources, and an object that is built now, with what is committed.
pub(super) fn check(tally: &mut Tally) {
    tally.step("the kernel object belongs to its sources", || {
        let recorded = fs::read_to_string(root().join(ebpf::HASH)).context(ebpf::HASH)?;
        let current = ebpf::sources_hash(&root())?;
        ensure!(recorded.trim() == current, "the sources were changed: run `cargo xtask ebpf`");
        Ok(())
    });
    let rebuilt = "the kernel object is what its sources give when they are compiled";
    match ebpf::ensure_toolchain() {
        Ok(()) => tally.step(rebuilt, || {
            let scratch = tempfile::tempdir().context("a temporary directory")?;
            let fresh = scratch.path().join("warrantd.bpf.o");
            ebpf::build_to(&fresh)?;
            ensure!(
                ebpf::listing(&fresh)? == ebpf::listing(&root().join(ebpf::OBJECT))?,
                "{} is another one: run `cargo xtask ebpf` and commit it",
                ebpf::OBJECT
            );
            Ok(())
        }),
        Err(error) => tally.skipped(format!("{rebuilt}: {error:#}")),
    }
}
