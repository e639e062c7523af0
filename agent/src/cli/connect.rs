//! `warrantd connect`: a stdio client's way to the daemon's socket.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::Failure;
use super::door::Door;

/// Connect a stdio client to a server of the daemon
///
/// Carries standard input and output to the daemon's socket and sends the API key first. The key
/// comes from a file or from the environment variable `WARRANTD_API_KEY`, never from the command
/// line, which other users can see.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  warrantd connect files --key-file ~/.config/warrantd/key")]
pub(super) struct Connect {
    #[command(flatten)]
    door: Door,
}

impl Connect {
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        let key = self.door.key_line()?;
        let socket = self.door.socket();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::other)?;
        let done = runtime.block_on(relay(&socket, key));
        // A read of standard input cannot be called off; it must not delay the end.
        runtime.shutdown_background();
        done.map_err(|error| {
            Failure::Other(format!("cannot talk to the daemon at {}: {error}", socket.display()))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn relay(socket: &PathBuf, key: Option<Zeroizing<String>>) -> std::io::Result<()> {
    let (mut from_daemon, mut to_daemon) = UnixStream::connect(socket).await?.into_split();
    if let Some(line) = key {
        to_daemon.write_all(line.as_bytes()).await?;
    }
    let up = async move {
        let copied = copy(&mut tokio::io::stdin(), &mut to_daemon).await;
        let closed = to_daemon.shutdown().await;
        // When the daemon has gone, what it said last still counts.
        drop((copied, closed));
        std::future::pending::<()>().await;
    };
    let mut stdout = tokio::io::stdout();
    let down = async {
        copy(&mut from_daemon, &mut stdout).await?;
        stdout.flush().await
    };
    tokio::select! {
        done = down => done,
        () = up => Ok(()),
    }
}
