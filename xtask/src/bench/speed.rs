//! `cargo xtask bench`: the table.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use super::{apart, performance};
use crate::setup;
use crate::shell::{built, say};

/// How the table is measured.
#[derive(Debug, Args)]
pub(crate) struct Speed {
    /// Only rows whose name has this in it (unix, large, http, files, policy, sanitize, memory, start, growth); can
    /// be repeated
    #[arg(long = "rows", value_name = "FILTER")]
    filters: Vec<String>,
    /// Rounds of each comparison
    #[arg(long, default_value_t = 21)]
    rounds: u32,
    /// Fewer and shorter of everything: a look, no measurement
    #[arg(long)]
    quick: bool,
    /// Put the table into docs/performance.md
    #[arg(long, conflicts_with_all = ["filters", "quick"])]
    document: bool,
}

impl Speed {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let program = apart::programs()?;
        setup::relay()?;
        let missing = if self.wants("http") { setup::peers()? } else { Vec::new() };
        let directory = apart::results(&program)?;
        let (json, page) = (directory.join("speed.json"), directory.join("speed.md"));
        let mut arguments = vec!["rows".to_owned(), "--rounds".to_owned(), self.rounds.to_string()];
        for filter in &self.filters {
            arguments.extend(["--rows".to_owned(), filter.clone()]);
        }
        for reason in missing {
            arguments.extend(["--missing".to_owned(), reason]);
        }
        if self.quick {
            arguments.push("--quick".to_owned());
        }
        if self.wants("policy") || self.wants("sanitize") {
            say("building the micro benchmarks, optimised");
            let micro = built(
                &["bench", "--quiet", "--no-run", "--package", "warrantd", "--bench", "decision"],
                "decision",
            )?;
            arguments.extend(["--micro".to_owned(), micro]);
        }
        for (flag, file) in [("--json", &json), ("--page", &page)] {
            arguments.extend([flag.to_owned(), file.to_string_lossy().into_owned()]);
        }
        let status = apart::run(&program, &arguments)?;
        ensure!(matches!(status.code(), Some(0 | 1)), "the measurement failed: {status}");
        if self.document {
            performance::update(&std::fs::read_to_string(&page)?)?;
        }
        Ok(ExitCode::from(u8::from(status.code() == Some(1))))
    }

    /// Whether rows may be among those that are measured.
    fn wants(&self, name: &str) -> bool {
        let has = |filter: &String| filter.contains(name) || name.contains(filter.as_str());
        self.filters.is_empty() || self.filters.iter().any(has)
    }
}
