//! The server of the conformance suite, by itself.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use warrantd_tests::places;
use warrantd_tests::scratch::{Scratch, text};

/// Its files.
const FILES: [(&str, &str); 6] = [
    ("server.py", include_str!("../fixtures/conformance/server.py")),
    ("catalogue.py", include_str!("../fixtures/conformance/catalogue.py")),
    ("events.py", include_str!("../fixtures/conformance/events.py")),
    ("media.py", include_str!("../fixtures/conformance/media.py")),
    ("rounds.py", include_str!("../fixtures/conformance/rounds.py")),
    ("tools.py", include_str!("../fixtures/conformance/tools.py")),
];

/// The fixture over Streamable HTTP, on a port of loopback that was free.
pub(crate) struct Fixture {
    process: Child,
    pub(crate) port: u16,
    _scratch: Scratch,
}

impl Fixture {
    /// Starts it, and waits until it listens.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new()?;
        let command = stdio_command(&scratch)?;
        let (python, arguments) = command.split_first().context("a command")?;
        // In place of `stdio`.
        let arguments = arguments.split_last().context("arguments")?.1;
        let mut server = Command::new(python);
        server.args(arguments).args(["http", "0"]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut process = server.spawn().with_context(|| format!("starting {server:?}"))?;
        let mut complaints = BufReader::new(process.stderr.take().context("it is piped")?);
        let mut first = String::new();
        complaints.read_line(&mut first)?;
        let Some(port) = first.trim().strip_prefix("listening on ") else {
            let _ = process.kill();
            bail!("the fixture does not listen: {first}");
        };
        let port = port.parse().context("a port")?;
        // Nobody else reads the rest, and the server must not wait for room.
        thread::spawn(move || drop(complaints.lines().map_while(Result::ok).count()));
        Ok(Self { process, port, _scratch: scratch })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command that runs it on stdin and stdout, from a directory that everybody can read.
pub(crate) fn stdio_command(scratch: &Scratch) -> anyhow::Result<Vec<String>> {
    let python = text(&places::fixture_python().map_err(anyhow::Error::msg)?);
    let mut script = PathBuf::new();
    for (name, content) in FILES {
        let file = scratch.file(&format!("fixture/{name}"), content)?;
        if name == "server.py" {
            script = file;
        }
    }
    // Not to write what it compiled beside the scripts.
    Ok(vec![python, "-B".to_owned(), text(&script), "stdio".to_owned()])
}

/// Whether something comes to hold within 20 seconds.
pub(crate) fn within(holds: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if holds() {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}
