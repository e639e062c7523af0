//! Others that put stdio servers behind Streamable HTTP. They relay, and check nothing of what warrantd checks.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use warrantd_tests::places;
use warrantd_tests::scratch::text;

use crate::daemon::free_address;
use crate::http::Session;
use crate::stage::Stage;

/// Somebody else's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// `mcp-proxy` of `PyPI` (Python).
    PyPi,
    /// `supergateway` of npm (Node.js).
    Supergateway,
    /// `mcp-proxy` of crates.io (Rust).
    Crate,
}

/// How long one may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

impl Peer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PyPi, Self::Supergateway, Self::Crate];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PyPi => "mcp-proxy (PyPI)",
            Self::Supergateway => "supergateway (npm)",
            Self::Crate => "mcp-proxy (crates.io)",
        }
    }

    /// The version that is installed.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::PyPi => "0.13.0",
            Self::Supergateway => "4.0.0",
            Self::Crate => "0.6.0",
        }
    }

    /// Where it is installed: below the developer's cache.
    #[must_use]
    pub fn program(self) -> PathBuf {
        places::cache().join(match self {
            Self::PyPi => "bench/venv/bin/mcp-proxy",
            Self::Supergateway => "bench/npm/node_modules/.bin/supergateway",
            Self::Crate => "bench/cargo/bin/mcp-proxy",
        })
    }

    /// Whether it is there.
    #[must_use]
    pub fn is_installed(self) -> bool {
        self.program().exists()
    }

    /// Puts it in front of a server.
    pub fn start(self, stage: &Stage, server: &[String]) -> anyhow::Result<Running> {
        let address = free_address()?;
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let mut command = Command::new(self.program());
        let path = match self {
            Self::PyPi => {
                command.args(["--host", &host, "--port", &port, "--log-level", "ERROR", "--"]);
                command.args(server);
                "/mcp"
            }
            Self::Supergateway => {
                command.args(["--stdio", &server.join(" "), "--outputTransport", "streamableHttp"]);
                command.args(["--stateful", "--port", &port, "--logLevel", "none"]);
                "/mcp"
            }
            Self::Crate => {
                let config = stage.scratch.file("peer.toml", toml(&host, &port, server))?;
                command.arg("--config").arg(config);
                "/"
            }
        };
        Running::launch(stage, self.name(), command, address, path)
    }
}

/// What answers by itself, over HTTP, with the library that warrantd has for it: no proxy can do it in less.
pub fn alone(stage: &Stage) -> anyhow::Result<Running> {
    let address = free_address()?;
    let mut command = Command::new(stage.scratch.program("null-http")?);
    command.arg(address.to_string());
    Running::launch(stage, "null-http", command, address, "/mcp")
}

fn toml(host: &str, port: &str, server: &[String]) -> String {
    let quoted = |word: &String| format!("{word:?}");
    let (program, words) =
        server.split_first().map_or((String::new(), &[][..]), |(p, w)| (quoted(p), w));
    let words: Vec<String> = words.iter().map(quoted).collect();
    format!(
        "[proxy]\nname = \"bench\"\nseparator = \"/\"\n[proxy.listen]\nhost = \"{host}\"\nport = {port}\n\
         [[backends]]\nname = \"null\"\ntransport = \"stdio\"\ncommand = {program}\nargs = [{}]\n",
        words.join(", ")
    )
}

/// A proxy that runs.
#[derive(Debug)]
pub struct Running {
    process: Child,
    address: SocketAddr,
    path: &'static str,
}

impl Running {
    fn launch(
        stage: &Stage,
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        path: &'static str,
    ) -> anyhow::Result<Self> {
        let log = fs::File::create(stage.path("peer.log")?)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Some start others, which end with their group.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let process = command.spawn().context(name)?;
        let mut running = Self { process, address, path };
        running.await_socket().with_context(|| {
            let log = stage.path("peer.log").ok().and_then(|path| fs::read_to_string(path).ok());
            format!("{name}: {}", log.unwrap_or_default())
        })?;
        Ok(running)
    }

    fn await_socket(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            ensure!(Instant::now() < deadline, "does not listen within {} s", PATIENCE.as_secs());
            let ended = self.process.try_wait()?;
            ensure!(ended.is_none(), "ended: {ended:?}");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// A session.
    pub fn session(&self) -> anyhow::Result<Session> {
        Session::begin(self.address, self.path, "")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(pid) = self.process.id().try_into() {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL); // It may have ended by itself.
        }
        let _ = self.process.wait();
    }
}

/// What cannot be compared with, and why.
#[must_use]
pub fn missing(reasons: &[String]) -> Vec<String> {
    let absent = Peer::ALL.iter().filter(|peer| !peer.is_installed());
    let why = |peer: &Peer| {
        let said = reasons.iter().find(|reason| reason.starts_with(peer.name()));
        said.cloned()
            .unwrap_or_else(|| format!("{}: {} is not there", peer.name(), text(&peer.program())))
    };
    absent.map(why).collect()
}
