//! `warrantd audit sanitize`: what the log would have of a text.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use secrecy::SecretSlice;

use crate::audit::Sanitizer;
use crate::cli::{Failure, output};
use crate::config::{SanitizeConfig, Source};

/// Redact JSON lines as the log would
///
/// Reads JSON values, one a line, and writes each as the audit log would have it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  echo '{\"api_key\":\"k\"}' | warrantd audit sanitize")]
pub(super) struct Sanitize {
    /// File with the sanitizing rules, as the `sanitize` section of a policy [default: the
    /// built-in ones]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

impl Sanitize {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let config = match &self.rules {
            Some(file) => Source::read(file)?.parse()?,
            None => SanitizeConfig::default(),
        };
        // A preview has no key; hashes of the log cannot be reproduced outside of it.
        let sanitizer = Sanitizer::new(&config, SecretSlice::from(vec![0; 32]))
            .map_err(|error| Failure::Setup(error.to_string()))?;
        for (number, line) in (1_usize..).zip(std::io::stdin().lock().split(b'\n')) {
            let line = line.map_err(Failure::other)?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let value = serde_json::from_slice(&line)
                .map_err(|error| Failure::Other(format!("line {number} is no JSON: {error}")))?;
            let clean = sanitizer.value(None, &value);
            output::line(&clean.to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
