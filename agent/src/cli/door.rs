//! The daemon's socket of a server, and the key that opens it.

use std::path::PathBuf;

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use zeroize::Zeroizing;

use super::Failure;
use crate::serve::AUTHENTICATE;

/// Which server, by which socket, with which key. The key comes from a file or from the environment,
/// never from the command line, which other users can see.
#[derive(Debug, Args)]
pub(super) struct Door {
    /// The server's id in the daemon's configuration
    server: String,
    /// The daemon's socket [default: /run/warrantd/<SERVER>.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// File that holds the API key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Door {
    /// The path of the socket.
    pub(super) fn socket(&self) -> PathBuf {
        let usual = || PathBuf::from(format!("/run/warrantd/{}.sock", self.server));
        self.socket.clone().unwrap_or_else(usual)
    }

    /// The line that shows the key, to be sent before all others; `None` where no key was given.
    pub(super) fn key_line(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let Some(key) = self.key()? else { return Ok(None) };
        let params = json!({ "api_key": key.expose_secret() });
        let line = json!({ "jsonrpc": "2.0", "method": AUTHENTICATE, "params": params });
        Ok(Some(Zeroizing::new(format!("{line}\n"))))
    }

    fn key(&self) -> Result<Option<SecretString>, Failure> {
        let text = match &self.key_file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                Failure::Setup(format!("cannot read the key file {}: {error}", file.display()))
            })?,
            None => match std::env::var("WARRANTD_API_KEY") {
                Ok(key) => key,
                Err(_) => return Ok(None),
            },
        };
        let text = Zeroizing::new(text);
        Ok(Some(SecretString::from(text.trim())))
    }
}
