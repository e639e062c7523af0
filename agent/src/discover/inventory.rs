//! What was found, as it may be shown: secrets masked.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::{Entry, Transport};
use super::masked::{HIDDEN, Mask};

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub struct Inventory {
    /// Servers in the files of clients.
    pub configured: Vec<Configured>,
    /// Processes that look like servers.
    pub running: Vec<Running>,
    /// Sockets on which such processes listen, or where one answered.
    pub listening: Vec<Listening>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

/// A server in a client's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Configured {
    /// Whose file it is; nothing when it is the host's.
    pub user: Option<String>,
    /// The client.
    pub client: String,
    /// The file.
    pub file: String,
    /// The project that the server is for, if it is for one.
    pub project: Option<String>,
    /// What the client calls it.
    pub name: String,
    /// Its command line, when the client starts it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Where it is, when the client connects to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Names of the environment variables, without their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, &'static str>,
    /// Names of the headers, without their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, &'static str>,
    /// The client reaches it through warrantd.
    pub behind_warrantd: bool,
    /// The client does not use it at present.
    pub disabled: bool,
    /// Processes with this command line.
    pub pids: Vec<u32>,
}

/// A process that looks like a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Running {
    /// Its id.
    pub pid: u32,
    /// The user it runs as.
    pub user: String,
    /// Its command line.
    pub command: Vec<String>,
    /// Why it counts as a server.
    pub why: String,
    /// It runs in a control group of warrantd's.
    pub behind_warrantd: bool,
}

/// A socket on which a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// `ADDRESS:PORT`, or the path of a Unix socket.
    pub address: String,
    /// Who listens.
    pub pids: Vec<u32>,
    /// The process's command line.
    pub command: Vec<String>,
    /// What it answered, when it was asked.
    pub answer: Option<String>,
    /// Other hosts can reach it.
    pub exposed: bool,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The file.
    pub file: String,
    /// Why.
    pub why: String,
}

impl Configured {
    /// An entry as it may be shown.
    pub fn new(entry: &Entry, mask: &Mask) -> Self {
        let hidden = |map: &BTreeMap<String, String>| {
            map.keys().map(|name| (name.clone(), HIDDEN)).collect::<BTreeMap<_, _>>()
        };
        let (command, url, env, headers) = match &entry.transport {
            Transport::Stdio { command, env, .. } => {
                (mask.command(command), None, hidden(env), BTreeMap::new())
            }
            Transport::Http { url, headers } => {
                (Vec::new(), Some(mask.text(url)), BTreeMap::new(), hidden(headers))
            }
        };
        Self {
            user: None,
            client: String::new(),
            file: String::new(),
            project: None,
            name: entry.name.clone(),
            command,
            url,
            env,
            headers,
            behind_warrantd: entry.is_behind_warrantd(),
            disabled: entry.disabled,
            pids: Vec::new(),
        }
    }
}

impl Inventory {
    /// Whether something answers clients, or could, without warrantd.
    pub fn has_unguarded(&self) -> bool {
        self.configured.iter().any(|server| !server.behind_warrantd && !server.disabled)
            || self.running.iter().any(|process| !process.behind_warrantd)
    }
}
