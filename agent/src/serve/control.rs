//! The control socket: what operators ask a running warrantd, and order it to do.
//!
//! `<runtime_dir>/control.sock` is that of the daemon, `<runtime_dir>/run-PID.control.sock` that of a
//! `warrantd run`. Both have mode 0600, and only root and the user that warrantd runs as are heard
//! (`SO_PEERCRED`, unix(7)). Each connection carries one request and one answer, a line of JSON each;
//! [`super::control_messages`] has their forms.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::timeout;

use super::control_messages::{Answer, REQUEST_BYTES, Refusal, Request};
use super::overview::Overseer;
use super::reload::{Order, Orders};
use crate::session::{Sessions, stopped};
use crate::transport::{Line, LineReader, LineWriter};

/// The socket of the daemon.
pub(super) const DAEMON: &str = "control.sock";
/// What the names of all control sockets end in.
pub(super) const ENDING: &str = "control.sock";
/// Operators that are heard at once.
const CONNECTIONS: usize = 8;
/// How long an operator may take to ask, or to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A control socket that listens. Dropped, it is gone.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    desk: Desk,
}

/// Who does what operators order.
#[derive(Debug, Clone)]
struct Desk {
    sessions: Arc<Sessions>,
    /// The daemon, which reads its configuration anew; nobody in a `warrantd run`.
    orders: Option<Orders>,
    /// Tells of the whole.
    overseer: Option<Arc<Overseer>>,
}

impl Control {
    /// The control socket of the daemon in its runtime directory, which exists. It replaces one that
    /// nobody listens on.
    pub fn of_daemon(dir: &Path, sessions: Arc<Sessions>, orders: Orders) -> io::Result<Self> {
        Self::bind(dir.join(DAEMON), Desk { sessions, orders: Some(orders), overseer: None })
    }

    /// The control socket of this process, a `warrantd run`.
    pub fn of_run(dir: &Path, sessions: Arc<Sessions>) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
        remove_stale(dir);
        let path = dir.join(format!("run-{}.{ENDING}", std::process::id()));
        Self::bind(path, Desk { sessions, orders: None, overseer: None })
    }

    fn bind(path: PathBuf, desk: Desk) -> io::Result<Self> {
        // Made aside, so that it is never there with another mode.
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        remove(&aside)?;
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
        fs::rename(&aside, &path)?;
        Ok(Self { listener, path, desk })
    }

    /// The same, which also tells of the whole.
    #[must_use]
    pub fn with_overseer(mut self, overseer: Overseer) -> Self {
        self.desk.overseer = Some(Arc::new(overseer));
        self
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers operators until `stop` becomes true or its sender is gone.
    pub async fn serve(self, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stop) => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let desk = self.desk.clone();
                    tokio::spawn(async move {
                        desk.attend(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("cannot accept on the control socket: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // It may be gone already.
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the sockets of runs that were killed.
fn remove_stale(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("run-")?.split('.').next());
        let dead = pid.and_then(|pid| pid.parse::<u32>().ok());
        if dead.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_file(entry.path()); // Another run may have been first.
        }
    }
}

impl Desk {
    /// One connection.
    async fn attend(&self, stream: UnixStream) {
        let Ok(peer) = stream.peer_cred() else { return };
        let (reader, writer) = stream.into_split();
        let writer = LineWriter::new(writer, 1);
        let answer = if peer.uid() == 0 || peer.uid() == Uid::effective().as_raw() {
            let mut reader = LineReader::new(reader, REQUEST_BYTES);
            let Ok(Ok(Some(Line::Whole(line)))) = timeout(PATIENCE, reader.next()).await else {
                return;
            };
            match serde_json::from_slice(&line) {
                Ok(request) => self.answer(request, peer.uid()).await,
                Err(error) => {
                    Answer::refused(Refusal::Request, format!("no such request: {error}"))
                }
            }
        } else {
            tracing::warn!(uid = peer.uid(), "refused on the control socket");
            Answer::refused(Refusal::Permission, "only root may do this".to_owned())
        };
        let text = serde_json::to_vec(&answer).unwrap_or_default();
        let _ = timeout(PATIENCE, async move {
            writer.send(text).await;
            writer.finish().await;
        })
        .await; // Whoever does not read has asked in vain.
    }

    async fn answer(&self, request: Request, uid: u32) -> Answer {
        let done = match request {
            Request::Status {} => return Answer::Sessions(self.sessions.status().await),
            Request::Overview {} => {
                return match &self.overseer {
                    Some(overseer) => Answer::Overview(Box::new(overseer.look().await)),
                    None => {
                        Answer::refused(Refusal::Request, "nobody tells of the whole".to_owned())
                    }
                };
            }
            Request::Reload {} => return self.reload(uid).await,
            Request::Thaw { session } => self.sessions.thaw(&session, uid).await,
            Request::Kill { session } => self.sessions.kill(&session, uid).await,
        };
        done.map_or_else(Answer::from, |()| Answer::Done)
    }

    async fn reload(&self, uid: u32) -> Answer {
        let Some(orders) = &self.orders else {
            let why = "what `warrantd run` does was given on its command line";
            return Answer::refused(Refusal::Unknown, why.to_owned());
        };
        let (answer, done) = oneshot::channel();
        let order = Order { by: Some(uid), answer: Some(answer) };
        let ending = || Answer::refused(Refusal::Busy, "warrantd is ending".to_owned());
        if orders.send(order).await.is_err() {
            return ending();
        }
        match done.await {
            Ok(Ok(reloaded)) => Answer::Reloaded(reloaded),
            Ok(Err(error)) => error.into(),
            Err(_) => ending(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::super::control_client::{Instance, instances};
    use super::*;

    #[tokio::test]
    async fn an_operator_is_answered_and_the_socket_is_private() {
        let dir = tempfile::tempdir().expect("dir");
        let control = Control::of_run(dir.path(), Arc::default()).expect("bound");
        assert_eq!(control.path().metadata().expect("there").mode() & 0o777, 0o600);
        let (path, (stopping, stop)) = (control.path().to_owned(), watch::channel(false));
        let serving = tokio::spawn(control.serve(stop));
        let ask = |request| {
            let path = path.clone();
            tokio::task::spawn_blocking(move || Instance::at(path).ask(&request))
        };
        let answer = ask(Request::Status {}).await.expect("joined").expect("answered");
        assert!(matches!(answer, Answer::Sessions(sessions) if sessions.is_empty()));
        let kill = Request::Kill { session: "x".into() };
        let answer = ask(kill).await.expect("joined").expect("answered");
        assert!(matches!(answer, Answer::Refused { reason: Refusal::Unknown, .. }), "{answer:?}");
        stopping.send(true).expect("heard");
        serving.await.expect("ended");
        assert!(!path.exists(), "it goes with its process");
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        let dir = tempfile::tempdir().expect("dir");
        let control = Control::of_run(dir.path(), Arc::default()).expect("bound");
        let (path, (_stopping, stop)) = (control.path().to_owned(), watch::channel(false));
        let serving = tokio::spawn(control.serve(stop));
        for line in ["{}", "status", r#"{"command":"status","x":1}"#, r#"{"command":"thaw"}"#] {
            let stream = UnixStream::connect(&path).await.expect("connected");
            let (reader, writer) = stream.into_split();
            LineWriter::new(writer, 1).send(line.into()).await;
            let answer = LineReader::new(reader, 1 << 16).next().await.expect("read");
            let Some(Line::Whole(answer)) = answer else { panic!("no answer to {line}") };
            let answer: Answer = serde_json::from_slice(&answer).expect("an answer");
            assert!(matches!(answer, Answer::Refused { reason: Refusal::Request, .. }), "{line}");
        }
        serving.abort();
    }

    #[tokio::test]
    async fn sockets_of_dead_runs_are_removed_and_passed_over() {
        let dir = tempfile::tempdir().expect("dir");
        let stale = dir.path().join("run-4194305.control.sock");
        drop(std::os::unix::net::UnixListener::bind(&stale).expect("bound"));
        let other = dir.path().join("files.sock");
        let _server = std::os::unix::net::UnixListener::bind(&other).expect("bound");
        assert_eq!(instances(dir.path()).expect("listed").len(), 1);
        let control = Control::of_run(dir.path(), Arc::default()).expect("bound");
        assert!(!stale.exists() && other.exists());
        assert_eq!(instances(dir.path()).expect("listed").len(), 1);
        drop(control);
        assert!(instances(dir.path()).expect("listed").is_empty());
    }
}
