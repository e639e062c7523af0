//! Real clients, real servers, every transport: a tool's result is the same as without warrantd.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use libtest_mimic::Trial;
use serde_json::{Map, Value, json};
use warrantd_tests::harness::test;
use warrantd_tests::needs::Need;
use warrantd_tests::places;
use warrantd_tests::scratch::text;

use crate::daemon::Daemon;
use crate::http_world::listeners;
use crate::real::{REAL, Real};
use crate::rig::Rig;
use crate::rust_client;

/// A client that asks a server for these calls, and gives their results.
pub(crate) type Session = fn(&Way, Era, &[Asked]) -> anyhow::Result<Vec<Value>>;
/// A tool and its arguments.
pub(crate) type Asked = (&'static str, Value);

/// How a client gets to a server.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// It starts a command: the server itself, or `warrantd connect`.
    Command(Vec<String>),
    /// It speaks in lines on a Unix socket.
    Socket(PathBuf),
    /// It speaks HTTP, or with the certificate of an authority that it is to trust HTTPS.
    Url { url: String, ca: Option<PathBuf> },
    /// It speaks HTTP on a Unix socket.
    UnixHttp { socket: PathBuf, url: String },
}

/// Which era a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Handshake,
    Modern,
}

/// A client, with the ways that it can go and the eras that it can speak.
struct Kind {
    name: &'static str,
    needs: &'static [Need],
    session: Session,
    ways: &'static [&'static str],
    eras: &'static [Era],
}

const BOTH: &[Era] = &[Era::Handshake, Era::Modern];
const CLIENTS: [Kind; 3] = [
    Kind {
        name: "python",
        needs: &[Need::Kernel, Need::PythonClient, Need::NpmServer("server-everything")],
        session: python,
        ways: &["connect", "http", "https"],
        eras: BOTH,
    },
    Kind {
        name: "inspector",
        needs: &[Need::Kernel, Need::Inspector, Need::NpmServer("server-everything")],
        session: inspector,
        ways: &["connect", "http", "https"],
        eras: &[Era::Handshake],
    },
    Kind {
        name: "rust",
        needs: &[Need::Kernel, Need::NpmServer("server-everything")],
        session: rust_client::session,
        ways: &["connect", "socket", "unix_http"],
        eras: BOTH,
    },
];

/// Servers, and which calls of their scripts answer the same each time.
const SERVERS: [(&str, &[u32]); 4] = [
    ("filesystem", &[0, 1, 3, 4, 5, 6, 7, 8]),
    ("everything", &[0, 1, 2, 3, 4, 5, 6, 7, 12]),
    ("memory", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ("time", &[1, 2, 4]),
];

pub(crate) fn tests() -> Vec<Trial> {
    let mut tests = Vec::new();
    for client in &CLIENTS {
        for (server, calls) in SERVERS {
            let name = format!("clients::{}_gets_the_same_from_{server}", client.name);
            tests.push(test(&name, client.needs, move || same(client, server, calls)));
        }
    }
    tests
}

/// Lets a client call a server alone, and through warrantd on all ways, and compares the results.
fn same(client: &Kind, server: &str, calls: &[u32]) -> anyhow::Result<()> {
    let real = REAL.iter().find(|real| real.name == server).context("a known server")?;
    let rig = real.rig(&real.policy())?;
    let calls: Vec<Asked> = calls.iter().map(|n| (real.call)(&rig, *n)).collect();
    let command = real.command_line(&rig)?;
    let with_env = [vec!["/usr/bin/env".to_owned()], rig.env.clone(), command.clone()].concat();
    let alone = (client.session)(&Way::Command(with_env), Era::Handshake, &calls);
    let alone = alone.context("the server alone")?;
    ensure!(alone.iter().all(|result| result["isError"] != json!(true)), "{alone:#?}");
    let root = rig.root.clone();
    reset(&root);
    let front = Front::start(real, rig, &command)?;
    for way in client.ways {
        for era in client.eras {
            // It asks which revisions there are, and takes the no of a server of before for an answer.
            let asks = client.name == "rust" && *way != "unix_http" && *era == Era::Modern;
            if asks && server != "time" {
                continue;
            }
            let asked = (client.session)(front.way(way)?, *era, &calls);
            let said = || format!("{way}, {era:?}; stderr: {}", front.daemon.process.stderr());
            let through = asked.with_context(said)?;
            for ((call, alone), through) in calls.iter().zip(&alone).zip(&through) {
                let same = match era {
                    Era::Handshake => alone == through,
                    // The later revision says more about a result than the server of the earlier one.
                    Era::Modern => content(alone) == content(through),
                };
                ensure!(same, "{way}, {era:?}, {call:?}:\n{alone}\n{through}");
            }
            ensure!(through.len() == alone.len(), "{way}, {era:?}: {}", through.len());
            reset(&root);
        }
    }
    Ok(())
}

/// Takes away what calls have made.
fn reset(root: &Path) {
    drop(fs::remove_file(root.join("memory.jsonl")));
    for made in fs::read_dir(root.join("data/drafts")).into_iter().flatten().flatten() {
        drop(fs::remove_file(made.path()));
    }
}

/// What a result says.
fn content(result: &Value) -> Map<String, Value> {
    let parts = ["content", "structuredContent", "isError"].into_iter();
    let parts = parts.filter_map(|key| Some((key.to_owned(), result.get(key)?.clone())));
    parts.filter(|(_, value)| *value != json!(false)).collect()
}

/// A daemon with every kind of front.
struct Front {
    daemon: Daemon,
    ways: BTreeMap<&'static str, Way>,
}

impl Front {
    fn start(real: &Real, rig: Rig, command: &[String]) -> anyhow::Result<Self> {
        let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let certificate = rig.scratch.file("tls.pem", issued.cert.pem())?;
        let key = rig.scratch.file("tls.key", issued.signing_key.serialize_pem())?;
        let unix = rig.scratch.path("run/http.sock")?;
        let listen = format!(
            "listen:\n  - {{address: '127.0.0.1:0', actor: assistant-service}}\n  - {{address: '127.0.0.1:0', \
             actor: assistant-service, tls: {{certificate: {}, key: {}}}}}\n  - {{unix: {}, actor: \
             assistant-service}}\n",
            certificate.display(),
            key.display(),
            unix.display()
        );
        let env: Vec<_> = rig.env.iter().filter_map(|pair| pair.split_once('=')).collect();
        let env: Vec<_> = env.iter().map(|(name, value)| format!("{name}: '{value}'")).collect();
        let own = nix::unistd::geteuid();
        let daemon = Daemon::configured(rig, "[peer_uid]", command, |config| {
            let config = config.replace("    uids: [", &format!("    uids: [{own}, "));
            format!("{config}    env: {{{}}}\n{listen}", env.join(", "))
        })
        .with_context(|| real.name)?;
        let tcp = listeners(&daemon, 2)?;
        let [plain, tls] = tcp.as_slice() else { anyhow::bail!("listeners: {tcp:?}") };
        let connect = daemon.connect(None)?;
        let connect = std::iter::once(connect.get_program()).chain(connect.get_args());
        let connect = connect.map(|word| word.to_string_lossy().into_owned()).collect();
        let url = |scheme: &str, address: &dyn std::fmt::Display| {
            format!("{scheme}://{address}/files/mcp")
        };
        let ways = BTreeMap::from([
            ("connect", Way::Command(connect)),
            ("socket", Way::Socket(daemon.rig.scratch.path("run/files.sock")?)),
            ("http", Way::Url { url: url("http", plain), ca: None }),
            ("https", Way::Url { url: url("https", tls), ca: Some(certificate) }),
            ("unix_http", Way::UnixHttp { socket: unix, url: url("http", &"localhost") }),
        ]);
        Ok(Self { daemon, ways })
    }

    fn way(&self, name: &str) -> anyhow::Result<&Way> {
        self.ways.get(name).with_context(|| format!("no way `{name}`"))
    }
}

/// The MCP package for Python.
fn python(way: &Way, era: Era, calls: &[Asked]) -> anyhow::Result<Vec<Value>> {
    let mut order = match way {
        Way::Command(command) => json!({ "command": command }),
        Way::Url { url, ca } => json!({"url": url, "ca": ca, "headers": {}}),
        other => anyhow::bail!("not for this client: {other:?}"),
    };
    order["mode"] = json!(if era == Era::Modern { "2026-07-28" } else { "legacy" });
    order["calls"] = json!(calls);
    let mut client = Command::new(places::python().map_err(anyhow::Error::msg)?);
    client.arg(places::client_script("any_session.py")).arg(order.to_string());
    let answer: Value = serde_json::from_str(&printed(client)?)?;
    Ok(answer["results"].as_array().context("results")?.clone())
}

/// The command line client of the MCP inspector, once for each call.
fn inspector(way: &Way, _: Era, calls: &[Asked]) -> anyhow::Result<Vec<Value>> {
    let program = places::inspector().map_err(anyhow::Error::msg)?;
    let (node, script) = program.split_first().context("a program")?;
    let ask = |(tool, arguments): &Asked| {
        let mut client = Command::new(node);
        // It finds its own description by way of the directory that it is started in.
        let own = script.first().and_then(|script| script.parent()).context("a script")?;
        client.args(script).current_dir(own);
        match way {
            Way::Command(command) => {
                client.args(["--transport", "stdio"]).args(command.first());
            }
            Way::Url { url, ca } => {
                client.arg(url).args(["--transport", "http"]);
                client.env("NODE_EXTRA_CA_CERTS", ca.as_ref().map_or(String::new(), |ca| text(ca)));
            }
            other => anyhow::bail!("not for this client: {other:?}"),
        }
        client.args(["--method", "tools/call", "--tool-name", tool]);
        for (name, value) in arguments.as_object().into_iter().flatten() {
            client.arg("--tool-arg").arg(format!("{name}={value}"));
        }
        if let Way::Command(command) = way {
            client.arg("--").args(command.iter().skip(1));
        }
        Ok(serde_json::from_str(&printed(client)?)?)
    };
    calls.iter().map(ask).collect()
}

/// What a client prints. It must end well.
fn printed(mut client: Command) -> anyhow::Result<String> {
    let output = client.output().with_context(|| format!("starting {client:?}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{client:?}: {}: {complaints}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
