//! `cargo xtask bench soak`.

use std::process::ExitCode;

use anyhow::ensure;
use clap::Args;

use super::apart;

/// How the soak goes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cargo xtask bench soak --minutes 30")]
pub(crate) struct Soak {
    /// How long
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Leave the daemon with the configuration it started with
    #[arg(long)]
    no_reload: bool,
}

impl Soak {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let program = apart::programs()?;
        let json = apart::results(&program)?.join("soak.json");
        let mut arguments =
            vec!["soak".to_owned(), "--minutes".to_owned(), self.minutes.to_string()];
        if self.no_reload {
            arguments.push("--no-reload".to_owned());
        }
        arguments.extend(["--json".to_owned(), json.to_string_lossy().into_owned()]);
        let status = apart::run(&program, &arguments)?;
        ensure!(matches!(status.code(), Some(0 | 1)), "the measurement failed: {status}");
        Ok(ExitCode::from(u8::from(status.code() == Some(1))))
    }
}
