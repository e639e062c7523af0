//! Asking the warrantds of this host through their control sockets.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::control::{DAEMON, ENDING};
use super::control_messages::{ANSWER_BYTES, Answer, Request};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same where every file is read and every session adopts what it says.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// A warrantd that has a control socket.
#[derive(Debug)]
pub struct Instance {
    socket: PathBuf,
}

/// The control sockets in a runtime directory, sorted. Some may have lost their process.
pub fn instances(dir: &Path) -> io::Result<Vec<Instance>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_control = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ENDING))
    };
    let mut sockets: Vec<_> = entries.flatten().map(|e| e.path()).filter(is_control).collect();
    sockets.sort();
    Ok(sockets.into_iter().map(Instance::at).collect())
}

impl Instance {
    /// The warrantd that listens on a socket.
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Its name: `serve`, or `run-PID`.
    pub fn name(&self) -> String {
        let name = self.socket.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_suffix(ENDING).unwrap_or(&name).trim_end_matches('.') {
            "" => "serve".to_owned(),
            name => name.to_owned(),
        }
    }

    /// Whether it is a `warrantd serve`.
    pub fn is_daemon(&self) -> bool {
        self.socket.file_name().is_some_and(|name| name == DAEMON)
    }

    /// Asks, and waits for the answer for at most 10 s; a minute where the configuration is read anew. Refused connections mean that its process is
    /// gone.
    pub fn ask(&self, request: &Request) -> io::Result<Answer> {
        let mut stream = UnixStream::connect(&self.socket)?;
        let patience = match request {
            Request::Reload {} => RELOAD_PATIENCE,
            _ => PATIENCE,
        };
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = Vec::new();
        BufReader::new(stream.take(ANSWER_BYTES)).read_until(b'\n', &mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_named_as_their_audit_logs_are() {
        let name = |socket: &str| Instance::at(Path::new("/run/warrantd").join(socket)).name();
        assert_eq!(name("control.sock"), "serve");
        assert_eq!(name("run-17.control.sock"), "run-17");
    }
}
