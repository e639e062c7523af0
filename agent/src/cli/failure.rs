//! How a command fails: what is printed, and the exit code that scripts rely on.

use std::fmt::Display;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::kernel::KernelError;

/// A command that could not do its work.
#[derive(Debug)]
pub enum Failure {
    /// A file cannot be used: exit 78 (`EX_CONFIG`, sysexits.h).
    Config(ConfigError),
    /// The configuration cannot work, although no file says so: exit 78.
    Setup(String),
    /// The command line does not fit together: exit 2.
    Usage(String),
    /// A running daemon refused its new configuration, with the lines that say why: exit 78.
    Unchanged(String),
    /// Anything else: exit 1.
    Other(String),
}

impl Failure {
    /// Anything that is neither usage nor configuration.
    pub fn other(error: impl Display) -> Self {
        Self::Other(error.to_string())
    }

    /// Prints the failure and gives its exit code.
    #[allow(clippy::print_stderr)] // This is where errors become text for people.
    pub fn report(self) -> ExitCode {
        let (text, code) = match self {
            Self::Config(error) => (error.to_string(), 78),
            Self::Setup(text) => (format!("error: {text}"), 78),
            Self::Unchanged(text) => {
                (format!("{text}\nnothing was changed: the configuration stays as it was"), 78)
            }
            Self::Usage(text) => (format!("error: {text}"), 2),
            Self::Other(text) => (format!("error: {text}"), 1),
        };
        eprintln!("{text}");
        ExitCode::from(code)
    }
}

/// Prints what can be used and is hardly meant.
#[allow(clippy::print_stderr)] // As above.
pub(super) fn warn(remark: &ConfigError) {
    eprintln!("{}", remark.as_warning());
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Setup(text) | Self::Usage(text) | Self::Unchanged(text) | Self::Other(text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Self::other(error)
    }
}
