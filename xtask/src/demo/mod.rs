//! `cargo xtask demo`: four calls, and what warrantd makes of each.

mod paint;
mod stage;
mod story;

use std::time::Instant;

use anyhow::ensure;
use clap::Args;

use crate::setup;
use crate::shell::{cargo, is_root, run, say};
use paint::Paint;
use stage::Stage;

/// Show in a minute what warrantd does (as root)
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the directory with the data, the policy and the audit log
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        ensure!(
            is_root(),
            "the demonstration enforces in the kernel, which needs root: run it as root, or with \
             `sudo -E env \"PATH=$PATH\" cargo xtask demo`"
        );
        setup::for_demo()?;
        say("building warrantd (kernel programs are built already)");
        let packages = ["--package", "warrantd", "--package", "warrantd-tests"];
        run(cargo(&["build", "--quiet", "--bins"]).args(packages))?;

        let began = Instant::now();
        let paint = Paint::for_stdout();
        let stage = Stage::new()?;
        story::introduction(&paint, &stage);
        story::allowed_read(&paint, &stage)?;
        story::traversal(&paint, &stage)?;
        story::metadata(&paint, &stage)?;
        story::rogue(&paint, &stage)?;
        story::end(&paint, began.elapsed());
        if self.keep {
            println!("Kept: {}", stage.keep()?.display());
        } else {
            println!("With --keep the records stay: one JSON object a line, ready for a SIEM.");
        }
        Ok(())
    }
}
