//! `warrantd key`: API keys and their hashes.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Failure, output};
use crate::auth::generate;
use crate::config::KeyHash;

/// Make API keys and hash them
///
/// A client holds the key; the daemon's configuration holds its hash.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd key new > key && warrantd key hash < key")]
pub(super) struct Key {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new key of 256 random bits
    #[command(after_help = "Example:\n  warrantd key new > key")]
    New,
    /// Print the hash of the key on standard input
    #[command(after_help = "Example:\n  warrantd key hash < key")]
    Hash,
}

impl Key {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            KeyCommand::New => {
                let key = generate().map_err(Failure::other)?;
                output::line(key.expose_secret())?;
            }
            KeyCommand::Hash => {
                let mut text = Zeroizing::new(String::new());
                std::io::stdin().read_line(&mut text).map_err(Failure::other)?;
                let key = text.trim_end_matches(['\r', '\n']);
                if key.is_empty() {
                    return Err(Failure::Usage("give the key on standard input".to_owned()));
                }
                output::line(&KeyHash::of(&SecretString::from(key)).to_string())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
