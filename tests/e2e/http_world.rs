//! A daemon with HTTP listeners.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};
use warrantd_tests::http::{Endpoint, Response};
use warrantd_tests::records::{Record, await_record};
use warrantd_tests::scratch::text;

use crate::daemon::{Daemon, KEY};
use crate::rig::Rig;

/// The key of `other-service`.
pub(crate) const OTHER_KEY: &str = "wd-test-0a1b2c3d4e5f6071";
/// A key of an actor that policy does not name for this server.
pub(crate) const STRANGER_KEY: &str = "wd-test-9f8e7d6c5b4a3928";

const POLICY: &str = "
actors:
  - {id: assistant-service, allowed_tools: [read_text_file, count, announce, repeat]}
  - {id: other-service, allowed_tools: [read_text_file]}
constraints:
  read_text_file: {allowed_paths: ['public/**']}
effects:
  tools: {count: {}, announce: {}, repeat: {}}
";

/// A listener on loopback.
pub(crate) const PLAIN: &str = "[{address: '127.0.0.1:0'}]";

/// A daemon, and where its listeners are.
pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl World {
    /// Listeners in front of the rogue server without misdeeds.
    pub(crate) fn rogue(listen: &str, more: &str) -> anyhow::Result<Self> {
        Self::start(Rig::new(POLICY)?, "rogue-server", listen, more, |config| config)
    }

    /// Listeners in front of a server that has something to say beside its answers.
    pub(crate) fn teller(listen: &str, more: &str) -> anyhow::Result<Self> {
        Self::start(Rig::new(POLICY)?, "teller", listen, more, |config| config)
    }

    pub(crate) fn start(
        rig: Rig,
        server: &str,
        listen: &str,
        more: &str,
        change: impl FnOnce(String) -> String,
    ) -> anyhow::Result<Self> {
        let command = vec![text(&rig.scratch.program(server)?)];
        let auth = "[api_key, peer_uid, client_certificate]";
        let count = listen.matches("address:").count();
        let hash = |key: &str| format!("{:x}", Sha256::digest(key));
        let others = format!(
            "  - {{id: other-service, api_keys: ['sha256:{}']}}\n  - {{id: stranger, api_keys: ['sha256:{}']}}\nservers:",
            hash(OTHER_KEY),
            hash(STRANGER_KEY)
        );
        // Another server knows the stranger.
        rig.scratch.file("other.yaml", "actors: [{id: stranger, allowed_tools: [echo]}]\n")?;
        let root = rig.root.display().to_string();
        let second = format!(
            "  - {{id: other, command: {}, root: {root}, policy: other.yaml}}\n",
            serde_json::to_string(&command)?
        );
        let tail = format!("{second}listen: {listen}\n{more}\n");
        let daemon = Daemon::configured(rig, auth, &command, |config| {
            change(config.replacen("servers:", &others, 1) + &tail)
        })?;
        let addresses = listeners(&daemon, count)?;
        Ok(Self { daemon, addresses })
    }

    /// The first listener's way to the server, without a key.
    pub(crate) fn bare(&self) -> Endpoint {
        Endpoint::tcp(self.addresses[0], "/files/mcp")
    }

    /// The same with the key of `assistant-service`.
    pub(crate) fn endpoint(&self) -> Endpoint {
        self.bare().with("Authorization", &format!("Bearer {KEY}"))
    }

    /// The record that a refusal names.
    pub(crate) fn record_of(&self, refusal: &Value) -> anyhow::Result<Record> {
        let id = refusal.pointer("/error/data/correlation_id").and_then(Value::as_str);
        let id = id.with_context(|| format!("no correlation id: {refusal}"))?;
        await_record(&self.daemon.rig.audit, |record| record.text("correlation_id") == id)
    }
}

/// Where a daemon's listeners are, once all of them listen.
pub(crate) fn listeners(daemon: &Daemon, count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let said = daemon.process.stderr();
        let urls = said.lines().filter_map(|line| line.split("listening on http").nth(1));
        let addresses = urls.filter_map(|url| url.split("://").nth(1)?.trim().parse().ok());
        let addresses: Vec<SocketAddr> = addresses.collect();
        if addresses.len() == count {
            return Ok(addresses);
        }
        if Instant::now() > deadline {
            bail!("not {count} listeners: {said}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Demands that a response is a refusal with this status and JSON-RPC error code, and gives its message.
pub(crate) fn refused(response: Response, status: u16, code: i64) -> anyhow::Result<Value> {
    let found = response.status;
    let correlation = response.header("x-correlation-id").map(str::to_owned);
    let shown = response.shown();
    ensure!(found == status, "not {status} but {shown}");
    let body = shown.split_once("] ").map(|(_, body)| body).unwrap_or_default();
    let message: Value = serde_json::from_str(body).with_context(|| shown.clone())?;
    ensure!(message.pointer("/error/code") == Some(&code.into()), "not {code}: {shown}");
    let data = &message["error"]["data"];
    ensure!(data["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{shown}");
    ensure!(data["correlation_id"].as_str() == correlation.as_deref(), "{shown}");
    ensure!(message.get("result").is_none() && message["jsonrpc"] == "2.0", "{shown}");
    Ok(message)
}
