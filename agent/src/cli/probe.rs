//! What the start-up self-test watches: one file opened, one connection tried.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use nix::errno::Errno;

use super::{Failure, output};

/// Does what the self-test of the kernel layer watches for.
#[derive(Debug, Args)]
pub(super) struct Probe {}

impl Probe {
    #[allow(clippy::unused_self)] // As the others.
    pub(super) fn execute(self) -> Result<ExitCode, Failure> {
        std::fs::File::open("/dev/null").map_err(Failure::other)?;
        let discard = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let answer = match TcpStream::connect_timeout(&discard, Duration::from_secs(1)) {
            Ok(_) => "OK".to_owned(),
            Err(error) => error
                .raw_os_error()
                .map_or(error.to_string(), |n| format!("{:?}", Errno::from_raw(n))),
        };
        output::line(&format!("connect {answer}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
