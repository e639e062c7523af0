//! The hosts of this machine that servers try to reach.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, anyhow};

use crate::stage::{ALLOWED, DENIED};

static HOSTS: OnceLock<Result<Hosts, String>> = OnceLock::new();
static REACHED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Two hosts that answer every connection with a byte, until the machine ends.
#[derive(Debug)]
pub(crate) struct Hosts(());

/// The hosts, once their addresses are there.
pub(crate) fn hosts() -> anyhow::Result<&'static Hosts> {
    let started = HOSTS.get_or_init(|| Hosts::start().map_err(|error| format!("{error:#}")));
    started.as_ref().map_err(|error| anyhow!("{error}"))
}

impl Hosts {
    fn start() -> anyhow::Result<Self> {
        for (address, reached) in [DENIED, ALLOWED].into_iter().zip(&REACHED) {
            let listener = TcpListener::bind(address).context(address)?;
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    reached.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(b"x");
                }
            });
        }
        Ok(Self(()))
    }

    /// How many connections have come that policy denies.
    pub(crate) fn denied(&self) -> u64 {
        REACHED[0].load(Ordering::SeqCst)
    }

    /// How many have come that it allows.
    pub(crate) fn allowed(&self) -> u64 {
        REACHED[1].load(Ordering::SeqCst)
    }
}
