//! The whole main line, tried for real: a session of its own, with a server of its own and a log of its own.
//!
//! The server is a shell that answers every call, the policy allows three tools, and the log is a file in memory
//! (`memfd_create(2)`) that can be sealed: after that nothing can be written to it any more, as on a full disk.
//! Nothing of a warrantd that runs is touched.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::sync::watch;
use tokio::time::timeout;

use super::finding::Finding;
use crate::audit::Log;
use crate::auth::{Identity, Method};
use crate::config::{PolicyFile, ProtocolChoice};
use crate::kernel::Kernel;
use crate::session::{Context, RunAs, Server, ServerSpec, Sessions, Way, converse};
use crate::transport::{Inbox, Outbox};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a message.
const LINE: usize = 1 << 20;

/// Answers `initialize` and every call; `peek` reads a file first that no warrant has.
const SERVER: &str = r#"while IFS= read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}
  case $line in
    *'"method":"initialize"'*)
      printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"trial","version":"1"}}}\n' "$id";;
    *'"name":"peek"'*)
      read -r secret < secret
      printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"answered"}]}}\n' "$id";;
    *'"method":"tools/call"'*)
      printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"answered"}]}}\n' "$id";;
  esac
done
"#;

const POLICY: &str = "
actors: [{id: doctor, allowed_tools: [answer, look, peek]}]
constraints:
  look: {allowed_paths: ['public/**']}
effects:
  ambient: {read: [trial.sh]}
  tools: {answer: {}, peek: {}}
";

/// Why it could not be tried.
#[derive(Debug, thiserror::Error)]
enum Hindered {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

/// One thing that is tried.
struct Step {
    /// What is sent, in a line.
    sent: String,
    /// Whether it is to be answered with a result.
    answered: bool,
    /// What it shows, if all goes well.
    shows: &'static str,
    /// What it shows otherwise.
    else_shows: &'static str,
    /// It needs a kernel that watches.
    watched: bool,
    /// The log is sealed before.
    sealed: bool,
}

/// Tries everything. Needs a tokio runtime; without `kernel` what it sees is not tried.
pub(super) async fn run(kernel: Option<Arc<Kernel>>) -> Vec<Finding> {
    match attempt(kernel).await {
        Ok(findings) => findings,
        Err(why) => {
            let what = format!("whether warrantd fails closed could not be tried: {why}");
            vec![Finding::note(what).todo("run this as root, with /bin/sh and room in /tmp")]
        }
    }
}

async fn attempt(kernel: Option<Arc<Kernel>>) -> Result<Vec<Finding>, Hindered> {
    let place = Place::make()?;
    let watched = kernel.is_some();
    let (client, log) = begin(&place, kernel)?;
    let mut client = Client::new(client);
    let mut findings = Vec::new();
    for step in steps().into_iter().filter(|step| watched || !step.watched) {
        if step.sealed {
            seal(&place.log)?;
        }
        match client.ask(&step.sent).await? {
            Some(answer) => findings.push(judge(&step, &answer)),
            // Whoever cannot record that a call failed ends the session instead.
            None if step.sealed => findings.push(Finding::ok(step.shows)),
            None => return Err(Hindered::Other("its session ended early".to_owned())),
        }
    }
    drop(client);
    drop(log);
    Ok(findings)
}

fn judge(step: &Step, answer: &Value) -> Finding {
    if answer.get("result").is_some() == step.answered {
        return Finding::ok(step.shows);
    }
    let said = answer.pointer("/error/message").and_then(Value::as_str).unwrap_or("a result");
    let what = format!("{} (it was answered with: {said})", step.else_shows);
    Finding::bad(what)
        .todo("do not use this build; report it with the output of `warrantd doctor --json`")
}

fn steps() -> Vec<Step> {
    let call = |id: u32, tool: &str, arguments: Value| {
        let params = json!({"name": tool, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
    };
    let denied = |sent: String, shows, else_shows| Step {
        sent,
        answered: false,
        shows,
        else_shows,
        watched: false,
        sealed: false,
    };
    vec![
        Step {
            answered: true,
            ..denied(
                call(1, "answer", json!({})),
                "a call that policy allows was answered",
                "a call that policy allows was not answered, so that what follows shows nothing",
            )
        },
        denied(
            call(2, "nothing", json!({})),
            "a tool that nobody listed was denied",
            "a tool that nobody listed was answered",
        ),
        denied(
            json!({"jsonrpc": "2.0", "id": 3, "method": "doctor/nothing"}).to_string(),
            "a method that nobody knows was denied",
            "a method that nobody knows was answered",
        ),
        denied(
            // Servers differ in which of the two they take.
            r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"nothing","name":"answer"}}"#
                .to_owned(),
            "a message with two meanings was refused",
            "a message with two meanings was answered",
        ),
        denied(
            call(5, "look", json!({"path": 7})),
            "arguments that policy cannot judge were denied",
            "arguments that policy cannot judge were let through",
        ),
        Step {
            watched: true,
            ..denied(
                call(6, "peek", json!({})),
                "a response whose call read more than its warrant was withheld",
                "a response whose call read more than its warrant was released",
            )
        },
        Step {
            sealed: true,
            ..denied(
                call(7, "answer", json!({})),
                "without an audit log that can be written, a call got no result",
                "a call was answered although it could not be recorded",
            )
        },
    ]
}

/// Directory, server and log of the trial; gone when it is dropped.
struct Place {
    dir: PathBuf,
    log: OwnedFd,
}

impl Place {
    fn make() -> Result<Self, Hindered> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| Hindered::Other(error.to_string()))?;
        let name = format!("warrantd-doctor-{:016x}", u64::from_ne_bytes(random));
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir)?;
        let log =
            memfd_create(c"warrantd-doctor", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC)
                .map_err(io::Error::from)?;
        let place = Self { dir, log };
        let mode = std::fs::Permissions::from_mode;
        std::fs::set_permissions(&place.dir, mode(0o755))?;
        for (name, text) in [("trial.sh", SERVER), ("secret", "secret\n")] {
            let file = place.dir.join(name);
            std::fs::write(&file, text)?;
            std::fs::set_permissions(&file, mode(0o644))?;
        }
        let log = place.dir.join("log");
        std::fs::create_dir(&log)?;
        let memory = format!("/proc/self/fd/{}", place.log.as_raw_fd());
        std::os::unix::fs::symlink(memory, log.join("trial.jsonl"))?;
        Ok(place)
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.join("log")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir); // What is left in /tmp does no harm.
    }
}

/// From now on nothing can be written to it, by whomever.
fn seal(file: &OwnedFd) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW;
    fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop).map_err(io::Error::from)
}

/// Begins the session.
fn begin(place: &Place, kernel: Option<Arc<Kernel>>) -> Result<(DuplexStream, Arc<Log>), Hindered> {
    let other = |error: &dyn std::fmt::Display| Hindered::Other(error.to_string());
    let log = Log::open(&place.log_dir(), "trial").map_err(|error| other(&error))?;
    let log = Arc::new(log);
    let policy: PolicyFile = serde_yaml::from_str(POLICY).map_err(|error| other(&error))?;
    let server =
        Server::prepare(&spec(&place.dir), &policy, None).map_err(|error| other(&error))?;
    let sessions = Arc::new(Sessions::default());
    let server = Arc::new(server);
    let latest = watch::channel(server.clone()).1;
    let context = Context { server, latest, kernel, log: log.clone(), sessions };
    let identity = Identity { actor: "doctor".to_owned(), method: Method::Invoker, uid: None };
    let (here, there) = duplex(LINE);
    let (reader, writer) = tokio::io::split(there);
    let (inbox, out) = (Inbox::lines(reader, LINE), Outbox::lines(writer, 16));
    tokio::spawn(async move {
        let (_alive, stop) = watch::channel(false);
        // It ends with its client; what goes wrong before shows by what is not answered.
        let _ = converse(context, identity, inbox, out, stop).await;
    });
    Ok((here, log))
}

fn spec(dir: &Path) -> ServerSpec {
    // A server never runs as root.
    let user = if nix::unistd::Uid::effective().is_root() {
        RunAs::Named("nobody".to_owned())
    } else {
        RunAs::Same
    };
    ServerSpec {
        id: "doctor".to_owned(),
        command: vec!["/bin/sh".to_owned(), dir.join("trial.sh").display().to_string()],
        root: dir.to_owned(),
        user,
        env: std::collections::BTreeMap::new(),
        way: Way::PerSession,
        protocol: ProtocolChoice::Handshake,
    }
}

/// The other end.
struct Client {
    stream: BufReader<DuplexStream>,
    ready: bool,
}

impl Client {
    fn new(stream: DuplexStream) -> Self {
        Self { stream: BufReader::new(stream), ready: false }
    }

    /// Sends a request and waits for its answer; nothing when the session ends without one.
    async fn ask(&mut self, line: &str) -> Result<Option<Value>, Hindered> {
        if !self.ready {
            self.ready = true;
            let params = json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "doctor", "version": "1"},
            });
            let first =
                json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
            self.exchange(&first.to_string()).await?;
            self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await?;
        }
        self.exchange(line).await
    }

    async fn exchange(&mut self, line: &str) -> Result<Option<Value>, Hindered> {
        self.send(line).await?;
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_until(b'\n', &mut answer)).await;
        let read = read.map_err(|_| Hindered::Other("its server does not answer".to_owned()))??;
        let whole = (read > 0).then(|| serde_json::from_slice(&answer));
        whole.transpose().map_err(|error| Hindered::Other(error.to_string()))
    }

    async fn send(&mut self, line: &str) -> io::Result<()> {
        self.stream.write_all(format!("{line}\n").as_bytes()).await?;
        self.stream.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    /// Everything but what the kernel must see, which needs root.
    #[tokio::test]
    async fn the_main_line_fails_closed() {
        let findings = run(None).await;
        assert_eq!(findings.len(), 6, "{findings:#?}");
        assert!(findings.iter().all(|it| it.level == Level::Ok), "{findings:#?}");
        assert!(findings[5].what.contains("audit log"), "{findings:#?}");
    }

    #[test]
    fn an_answer_that_should_not_be_is_a_finding() {
        let all = steps();
        let (answer, denied) = (json!({"result": {}}), json!({"error": {"message": "no"}}));
        for step in &all {
            let (right, wrong) =
                if step.answered { (&answer, &denied) } else { (&denied, &answer) };
            assert_eq!(judge(step, right).level, Level::Ok);
            let finding = judge(step, wrong);
            assert!(finding.level == Level::Finding && finding.todo.is_some(), "{finding:?}");
        }
        assert!(all[0].answered, "the twin comes first");
    }

    #[test]
    fn nothing_of_a_trial_is_left() {
        let place = Place::make().expect("made");
        let dir = place.dir.clone();
        assert!(dir.join("log/trial.jsonl").exists());
        drop(place);
        assert!(!dir.exists());
    }
}
