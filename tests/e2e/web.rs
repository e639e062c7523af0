//! Hosts with names inside a network namespace, for servers that fetch pages.

use std::process::Command;

use warrantd_tests::nameserver::{NameServer, Zone};
use warrantd_tests::netns::{Listeners, Namespace};

use crate::rig::Rig;

/// The port that hosts serve on.
pub(crate) const PORT: u16 = 8080;
/// What they answer. Long enough to be read in pieces.
pub(crate) const PAGE: &str = "<html><head><title>A page</title></head><body><h1>A page</h1><p>It says \
                               that it is a page, and that there is not much more to it.</p></body></html>";
/// The name server of everybody inside.
const RESOLVER: &str = "10.9.9.53";

/// A network of our own.
pub(crate) struct Web {
    net: Namespace,
    hosts: Listeners,
    _names: NameServer,
}

impl Web {
    /// `docs.example.com` and `api.docs.example.com` are hosts that are allowed in tests,
    /// `elsewhere.example.net` is one that is not; all at addresses of their own.
    pub(crate) fn new(rig: &Rig) -> anyhow::Result<Self> {
        let net = Namespace::new(&["8.8.8.0/24", "169.254.169.254/32", "10.9.9.53/32"])?;
        let zone = Zone::default()
            .with("docs.example.com", 300, &["8.8.8.4"])
            .with("api.docs.example.com", 300, &["8.8.8.5"])
            .with("elsewhere.example.net", 300, &["8.8.8.6"]);
        let probe = rig.scratch.program("net-probe")?;
        let hosts = Listeners::answering(PAGE, &net, &probe, &[&format!("0.0.0.0:{PORT}")])?;
        let names = NameServer::start(&net, &format!("{RESOLVER}:53"), zone)?;
        Ok(Self { net, hosts, _names: names })
    }

    /// A program inside.
    pub(crate) fn enter(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.net.enter(program)
    }

    /// Which hosts were reached since the last time.
    pub(crate) fn reached(&self) -> Vec<String> {
        self.hosts.answered()
    }

    /// `warrantd run` around a server inside, with a resolv.conf(5) that leads to the name server.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        rig: &Rig,
        server: &[S],
    ) -> anyhow::Result<Command> {
        rig.run_resolving(&self.net, RESOLVER, server)
    }
}
