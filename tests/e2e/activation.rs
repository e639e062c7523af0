//! Sockets that a service manager opened: clients wait in them while the daemon is not there, and nothing that
//! the daemon does takes them away.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use warrantd_tests::client::Client;
use warrantd_tests::harness::test;
use warrantd_tests::http::Endpoint;
use warrantd_tests::needs::Need;

use crate::daemon::{KEY, ONLY, config};
use crate::rig::{NOTE, Rig};

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
";

/// How long the daemon may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Trial> {
    const KERNEL: &[Need] = &[Need::Kernel];
    vec![
        test("activation::clients_wait_while_the_daemon_is_started_anew", KERNEL, outlives),
        test("activation::http_listens_where_it_was_opened", KERNEL, http),
        test("activation::what_nothing_listens_on_is_named", KERNEL, unused),
        test("activation::sockets_of_another_process_are_left_alone", KERNEL, not_ours),
        test("activation::what_is_no_listening_stream_is_refused", &[Need::Root], refused),
        test("activation::the_same_port_of_every_address_is_explained", &[Need::Kernel], wildcard),
    ]
}

/// A daemon that was given sockets.
struct Service {
    process: Child,
    stderr: PathBuf,
}

impl Service {
    /// Passes sockets as descriptors 3 and 4, as systemd would. They travel as standard streams to a shell,
    /// which is replaced by the daemon, so that its own process id is the one in `LISTEN_PID`.
    fn start(
        rig: &Rig,
        config: &Path,
        first: OwnedFd,
        second: Option<OwnedFd>,
    ) -> anyhow::Result<Self> {
        Self::start_for("$$", rig, config, first, second)
    }

    fn start_for(
        pid: &str,
        rig: &Rig,
        config: &Path,
        first: OwnedFd,
        second: Option<OwnedFd>,
    ) -> anyhow::Result<Self> {
        let stderr = rig.scratch.path("stderr")?;
        let (count, names) = if second.is_some() { (2, "files:http") } else { (1, "files") };
        let script = format!(
            "exec 3<&0 4>&1 </dev/null >/dev/null; export LISTEN_PID={pid} LISTEN_FDS={count} \
             LISTEN_FDNAMES={names}; exec \"$@\""
        );
        let mut command = Command::new("sh");
        command.args(["-ec", &script, "sh"]);
        command.arg(rig.scratch.program("warrantd")?).args(["serve", "--config"]).arg(config);
        command.stdin(Stdio::from(first)).stderr(File::create(&stderr)?);
        command.stdout(second.map_or_else(Stdio::null, Stdio::from));
        Ok(Self { process: command.env_remove("WARRANTD_LOG").spawn()?, stderr })
    }

    /// What the daemon has said.
    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    fn await_line(&self, text: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(text) {
            ensure!(Instant::now() < deadline, "not said: {text}\n{}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends it in order.
    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        kill(Pid::from_raw(self.process.id().try_into()?), Signal::SIGTERM)?;
        self.ended()
    }

    fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "it goes on: {}", self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A configuration with the rogue server without misdeeds, and more.
fn configured(rig: &Rig, more: &str) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(rig.scratch.path("run")?)?;
    let command = rig.rogue(&[])?;
    let command: Vec<_> = command.iter().map(|word| word.to_string_lossy().into()).collect();
    let text = config(rig, "[api_key]", &command)?;
    rig.scratch.file("warrantd.yaml", format!("{text}{more}"))
}

fn socket(rig: &Rig) -> anyhow::Result<PathBuf> {
    rig.scratch.path("run/files.sock")
}

fn client(rig: &Rig) -> anyhow::Result<Client> {
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(["connect", "files", "--socket"]).arg(socket(rig)?);
    command.arg("--key-file").arg(rig.scratch.file("key", KEY)?).env_remove("WARRANTD_API_KEY");
    Client::start(command)
}

/// Demands that a client is served.
fn is_served(mut client: Client) -> anyhow::Result<()> {
    client.initialize()?;
    let reply = client.call("read_text_file", &json!({"path": "public/note.txt"}))?;
    ensure!(reply.text()? == NOTE, "{}", reply.line);
    client.finish()?;
    Ok(())
}

fn outlives() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = Rig::new(POLICY)?;
    let config = configured(&rig, "")?;
    let listener = UnixListener::bind(socket(&rig)?)?;
    for _ in 0..2 {
        // It is connected before there is anybody to answer.
        let early = client(&rig)?;
        let mut service = Service::start(&rig, &config, listener.try_clone()?.into(), None)?;
        is_served(early).with_context(|| service.said())?;
        let status = service.end()?;
        ensure!(status.success(), "{status}: {}", service.said());
        ensure!(!service.said().contains("nothing in the configuration"), "{}", service.said());
        ensure!(socket(&rig)?.exists(), "the socket was removed");
    }

    // The twin: what the daemon made, it removes.
    drop(listener);
    let mut command = Command::new(rig.scratch.program("warrantd")?);
    command.args(["serve", "--config"]).arg(&config).env_remove("WARRANTD_LOG");
    let stderr = rig.scratch.path("stderr")?;
    let process = command.stderr(File::create(&stderr)?).spawn()?;
    let mut service = Service { process, stderr };
    service.await_line("listening on")?;
    is_served(client(&rig)?)?;
    service.end()?;
    ensure!(!socket(&rig)?.exists(), "the socket was left");
    Ok(())
}

fn http() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = Rig::new(POLICY)?;
    let web = TcpListener::bind("127.0.0.1:0")?;
    let address = web.local_addr()?;
    let config = configured(&rig, &format!("listen: [{{address: '{address}'}}]\n"))?;
    let listener = UnixListener::bind(socket(&rig)?)?;
    let service = Service::start(&rig, &config, listener.into(), Some(web.try_clone()?.into()))?;
    let stranger = Endpoint::tcp(address, "/files/mcp").posting();
    let response = stranger.send("POST", Some(b"{}"))?;
    ensure!(response.status == 401, "{}: {}", response.status, service.said());
    let known = stranger.with("Authorization", &format!("Bearer {KEY}"));
    let response = known.send("POST", Some(b"{}"))?;
    ensure!(response.status == 400, "{}: {}", response.status, service.said());
    is_served(client(&rig)?)
}

fn unused() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = Rig::new(POLICY)?;
    let config = configured(&rig, "")?;
    let web = TcpListener::bind("127.0.0.1:0")?;
    let address = web.local_addr()?;
    let listener = UnixListener::bind(socket(&rig)?)?;
    let service = Service::start(&rig, &config, listener.into(), Some(web.into()))?;
    service.await_line(&format!("http ({address})"))?;
    ensure!(!service.said().contains("passed files"), "{}", service.said());
    is_served(client(&rig)?)
}

fn not_ours() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = Rig::new(POLICY)?;
    let config = configured(&rig, "")?;
    let elsewhere = UnixListener::bind(rig.scratch.path("elsewhere.sock")?)?;
    let mut service = Service::start_for("1", &rig, &config, elsewhere.into(), None)?;
    service.await_line("listening on")?;
    is_served(client(&rig)?)?;
    ensure!(!service.said().contains("passed"), "{}", service.said());
    service.end()?;
    Ok(())
}

fn refused() -> anyhow::Result<()> {
    let rig = Rig::new(POLICY)?;
    let config = configured(&rig, "")?;
    let datagram = UnixDatagram::bind(rig.scratch.path("datagram.sock")?)?;
    let file = File::open(rig.scratch.file("file", "no socket")?)?;
    for descriptor in [OwnedFd::from(datagram), OwnedFd::from(file)] {
        let mut service = Service::start(&rig, &config, descriptor, None)?;
        let status = service.ended()?;
        let said = service.said();
        ensure!(status.code() == Some(78), "{status}: {said}");
        ensure!(said.contains("`files`") && said.contains("Accept=no"), "{said}");
        ensure!(!socket(&rig)?.exists(), "it listens");
    }
    Ok(())
}

/// `ListenStream=8080` is every address, and the configuration names one.
fn wildcard() -> anyhow::Result<()> {
    let _only = ONLY.lock().unwrap_or_else(PoisonError::into_inner);
    let rig = Rig::new(POLICY)?;
    let web = TcpListener::bind("0.0.0.0:0")?;
    let port = web.local_addr()?.port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let config = configured(&rig, &format!("listen: [{{address: '{address}'}}]\n"))?;
    let listener = UnixListener::bind(socket(&rig)?)?;
    let mut service = Service::start(&rig, &config, listener.into(), Some(web.into()))?;
    let status = service.ended()?;
    let said = service.said();
    if status.success() || !said.contains(&format!("0.0.0.0:{port} (`http`)")) {
        bail!("{status}: {said}");
    }
    ensure!(said.contains("in the socket unit"), "no way out: {said}");
    Ok(())
}
