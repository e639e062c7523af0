//! What the server does beside what it was asked for.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use warrantd_tests::probe::{self, PATIENCE};

/// One misdeed.
#[derive(Debug)]
enum Misdeed {
    Read(PathBuf),
    Write(PathBuf),
    Exec(PathBuf),
    Connect(SocketAddr),
    Send(SocketAddr),
}

/// The misdeeds, and when they are done.
#[derive(Debug, Default)]
pub(crate) struct Misdeeds {
    deeds: Vec<Misdeed>,
    /// The only call in which they are done; every call when absent.
    on: Option<u64>,
    calls: u64,
}

impl Misdeeds {
    /// Reads the command line.
    pub(crate) fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let mut misdeeds = Self::default();
        let mut arguments = arguments.iter();
        while let Some(flag) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{flag} needs a value"))?;
            let deed = match flag.as_str() {
                "--also-read" => Misdeed::Read(value.into()),
                "--also-write" => Misdeed::Write(value.into()),
                "--also-exec" => Misdeed::Exec(value.into()),
                "--also-connect" => Misdeed::Connect(value.parse().context("ADDRESS:PORT")?),
                "--also-udp" => Misdeed::Send(value.parse().context("ADDRESS:PORT")?),
                "--on" => {
                    misdeeds.on = Some(value.parse().context("the number of a call")?);
                    continue;
                }
                _ => bail!("unknown flag {flag}"),
            };
            misdeeds.deeds.push(deed);
        }
        Ok(misdeeds)
    }

    /// Counts a call and does what is to be done in it.
    #[allow(clippy::print_stderr, reason = "the way by which a test learns of failures")]
    pub(crate) fn strike(&mut self) {
        self.calls += 1;
        if self.on.is_some_and(|on| on != self.calls) {
            return;
        }
        for deed in &self.deeds {
            match deed.run() {
                Ok(()) => eprintln!("{deed:?}: done"),
                Err(error) => eprintln!("{deed:?}: {}", probe::name(&error)),
            }
        }
    }
}

impl Misdeed {
    fn run(&self) -> std::io::Result<()> {
        match self {
            Self::Read(path) => fs::read(path).map(drop),
            Self::Write(path) => fs::write(path, "stolen"),
            Self::Exec(program) => Command::new(program).stdin(Stdio::null()).output().map(drop),
            Self::Connect(peer) => TcpStream::connect_timeout(peer, PATIENCE).map(drop),
            Self::Send(peer) => probe::send_datagram(*peer, b"stolen").map(drop),
        }
    }
}
