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
        let opened = answer(std::fs::File::open("/dev/null"));
        let discard = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let connected = answer(TcpStream::connect_timeout(&discard, Duration::from_secs(1)));
        output::line(&format!("open {opened} connect {connected}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `ok`, or the name of the error.
fn answer<T>(result: std::io::Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error
            .raw_os_error()
            .map_or(error.to_string(), |number| format!("{:?}", Errno::from_raw(number))),
    }
}
