//! What can go wrong. No message holds a credential, or anything that a receiver wrote beyond its first line.

use std::path::PathBuf;

/// Why a receiver cannot be shipped to as configured.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// The configuration does not hold together.
    #[error("{}", .0.message)]
    Config(crate::config::Problem),
    /// The token cannot be used.
    #[error("the token in {} cannot be used: {why}", file.display())]
    Token {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// The certificates to trust cannot be used.
    #[error("the certificates in {} cannot be used: {why}", file.display())]
    Ca {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The cursor cannot be read or written.
    #[error("the cursor {}: {source}", file.display())]
    Cursor {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ShipError {
    /// The key of the receiver's section that it is about; empty for the whole.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token_file",
            Self::Ca { .. } => "ca",
            Self::Config(_) | Self::Tls(_) | Self::Cursor { .. } => "",
        }
    }
}

/// Why a batch was not delivered. It is sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The connection broke.
    #[error("the connection ended: {0}")]
    Broken(String),
    /// It takes nothing, or does not answer.
    #[error("it did not {0} in time")]
    Slow(&'static str),
    /// It answered with this HTTP status.
    #[error("it answered with HTTP status {0}{hint}", hint = hint(*.0))]
    Status(u16),
    /// Something else than what its protocol says.
    #[error("its answer is not what its protocol says: {0}")]
    Protocol(String),
    /// It says no.
    #[error("it refused: {0}")]
    Refused(String),
}

impl Failure {
    /// An error of the operating system, without addresses.
    pub(super) fn unreachable(error: &std::io::Error) -> Self {
        Self::Unreachable(said(error))
    }

    pub(super) fn broken(error: &std::io::Error) -> Self {
        Self::Broken(said(error))
    }
}

fn said(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        None => error.to_string(),
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": it does not accept the token; see `token_file`",
        404 => ": there is nothing at that path; correct `url`",
        429 => ": too much at once",
        _ => "",
    }
}

/// The beginning of what a receiver said, on one line.
pub(super) fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..200).unwrap_or(text));
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
