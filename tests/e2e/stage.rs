//! A server's surroundings with what all its misdeeds work on.

use std::os::unix::fs::chown;
use std::os::unix::net::UnixListener;

use anyhow::{Context, ensure};
use serde_json::Value;
use warrantd_tests::client::Client;
use warrantd_tests::netns::{Listeners, Namespace};
use warrantd_tests::scratch::text;

use crate::rig::{NOTE, Rig};

/// The user that servers run as.
pub(crate) const NOBODY: u32 = 65534;

/// What the honest tools may do is granted, so that each misdeed is one of the tool, not one that the
/// server could not do at all. `{root}` is the server's root.
const POLICY: &str = r#"
actors:
  - id: tester
    allowed_tools: [read_text_file, look_at_file, replace_file, run_command, reach_peer, tell_peer,
      delete_file, rename_file, link_file, symlink_file, change_mode, truncate_file, make_directory,
      connect_unix, run_copy]
constraints:
  read_text_file: {allowed_paths: ["public/**"]}
  look_at_file: {allowed_paths: ["public/**"]}
  replace_file: {allowed_paths: ["out/**"]}
  delete_file: {allowed_paths: ["out/**"]}
network:
  allow: [{cidr: 10.0.0.7/32, ports: [8080]}]
  unix: ["{root}/out/listed.sock"]
effects:
  tools:
    run_command: {exec: ["/usr/bin/true", "/bin/true"]}
    reach_peer: {connect: ["${arguments.peer}"]}
    tell_peer: {connect: ["${arguments.peer}"]}
    rename_file: {write: ["${arguments.source}", "${arguments.destination}"]}
    link_file: {write: ["${arguments.source}", "${arguments.destination}"]}
    symlink_file: {write: ["${arguments.destination}"]}
    change_mode: {write: ["${arguments.path}"]}
    truncate_file: {write: ["${arguments.path}"]}
    make_directory: {write: ["${arguments.path}"]}
    run_copy: {read: ["${arguments.program}"]}
"#;

/// A server's surroundings with the files that modes work on.
pub(crate) struct Stage {
    pub(crate) rig: Rig,
    net: Option<(Namespace, Listeners)>,
    /// They listen while the test runs.
    _sockets: Vec<UnixListener>,
}

impl Stage {
    pub(crate) fn new(calls: u32, network: bool) -> anyhow::Result<Self> {
        let rig = Rig::new(POLICY)?;
        rig.scratch.file("policy.yaml", POLICY.replace("{root}", &text(&rig.root)))?;
        for n in 1..=calls {
            for name in ["victim", "other"] {
                let file = rig.scratch.file(&format!("root/out/{name}-{n}"), "mine")?;
                chown(&file, Some(NOBODY), None).with_context(|| text(&file))?;
            }
        }
        let listen = |name: &str| -> anyhow::Result<_> {
            let path = rig.root.join("out").join(name);
            let listener = UnixListener::bind(&path)?;
            chown(&path, Some(NOBODY), None)?;
            Ok(listener)
        };
        let sockets = vec![listen("listed.sock")?, listen("other.sock")?];
        let net = network.then(|| -> anyhow::Result<_> {
            let net = Namespace::new(&["10.0.0.1/32", "10.0.0.7/32"])?;
            let probe = rig.scratch.program("net-probe")?;
            let hosts = Listeners::start(&net, &probe, &["10.0.0.1:8080", "10.0.0.7:8080"])?;
            Ok((net, hosts))
        });
        Ok(Self { net: net.transpose()?, rig, _sockets: sockets })
    }

    /// A word with the places of this stage, but for the number of the call.
    pub(crate) fn word(&self, word: &str) -> anyhow::Result<String> {
        let exe = self.rig.scratch.program("rogue-server")?;
        Ok(word.replace("{root}", &text(&self.rig.root)).replace("{exe}", &text(&exe)))
    }

    /// A client of the rogue server with these flags.
    pub(crate) fn client(&self, flags: &[&str]) -> anyhow::Result<Client> {
        let flags = flags.iter().map(|flag| self.word(flag)).collect::<anyhow::Result<Vec<_>>>()?;
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let server = self.rig.rogue(&flags)?;
        Client::connect(match &self.net {
            Some((net, _)) => self.rig.run_inside(net, &server)?,
            None => self.rig.run(&server)?,
        })
    }
}

/// The note's text must not be in anything that a client received.
pub(crate) fn expect_no_byte(client: &mut Client) -> anyhow::Result<()> {
    for piece in ["note that may be read", "Grüße", "世界"] {
        ensure!(NOTE.contains(piece) && !client.received().contains(piece), "`{piece}` got out");
    }
    Ok(())
}

/// The kind of an effect and its path or peer.
pub(crate) fn seen(effect: &Value) -> (String, String) {
    let field = |name: &str| effect[name].as_str().unwrap_or_default().to_owned();
    let target = if effect.get("peer").is_some() { field("peer") } else { field("path") };
    (field("kind"), target)
}
