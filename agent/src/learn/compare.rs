//! What the log shows and a policy does not allow, and what the policy allows and the log never used.

use std::collections::BTreeMap;

use serde::Serialize;

use super::access::{Sort, sort};
use super::evidence::{Evidence, Place};
use super::item::{Item, Unit};
use super::material::{Call, Material};
use super::trial::{Court, Home, Sentence, exceeded};
use super::unused::unused;
use crate::config::{PolicyFile, Problem};
use crate::warrant::{Effect, Target, Warrant};

/// How a log and a policy differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What the policy does not allow and would have to, in words.
    pub not_allowed: Vec<Item>,
    /// Keys and values of the policy that nothing in the log needs.
    pub unused: Vec<Unused>,
    /// What the log cannot tell about the policy.
    pub unknown: Vec<String>,
}

/// Something that a policy allows and nothing needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Unused {
    /// Path of its key.
    pub key: String,
    /// What stands there.
    pub value: String,
}

impl Difference {
    /// Whether there is any.
    pub fn is_none(&self) -> bool {
        self.not_allowed.is_empty() && self.unused.is_empty()
    }
}

/// Compares what was seen with what `file` allows.
pub fn compare(material: &Material, file: &PolicyFile) -> Result<Difference, Problem> {
    let court = Court::new(file, material)?;
    let mut found = Found::default();
    for call in &material.calls {
        found.call(&court, call);
    }
    for outside in &material.outside {
        let Some(home) = court.home(None) else { continue };
        let warrant = if outside.starting { home.rules.startup(&[]) } else { Warrant::default() };
        let when = if outside.starting { "at the start" } else { "outside of calls" };
        for effect in exceeded(&outside.effects, &warrant, &home.ambient) {
            found.effect(when, &effect, outside.place);
        }
        for effect in &outside.effects {
            found.network(home, effect, outside.place);
        }
    }
    let item = |(what, from): (&String, &Evidence)| material.item(what.clone(), from, Unit::Record);
    Ok(Difference {
        not_allowed: found.0.iter().map(item).collect(),
        unused: unused(material, file, &court)?,
        unknown: unknown(file),
    })
}

/// What is not allowed, and where it was seen.
#[derive(Debug, Default)]
struct Found(BTreeMap<String, Evidence>);

impl Found {
    fn call(&mut self, court: &Court, call: &Call) {
        match court.judge(call) {
            Sentence::Denied { rule, reason } => {
                let (actor, tool) = (call.actor.escape_debug(), call.tool.escape_debug());
                self.add(format!("call of {tool} by {actor}: {reason} ({rule})"), call.place);
            }
            Sentence::Judged(exceeded) => {
                for effect in &exceeded {
                    self.effect(&format!("in {}", call.tool.escape_debug()), effect, call.place);
                }
            }
        }
        let Some(home) = court.home(call.root.as_deref()) else { return };
        for effect in &call.effects {
            self.network(home, effect, call.place);
        }
    }

    fn effect(&mut self, when: &str, effect: &Effect, at: Place) {
        let target = match &effect.target {
            Target::File(file) => file.path.escape_debug().to_string(),
            Target::Peer(peer) => {
                let names = peer.names.first().map(|name| format!(" ({name})")).unwrap_or_default();
                format!("{} {}{names}", peer.protocol, peer.peer)
            }
        };
        let refused = match sort(effect) {
            Sort::Never(why) => format!(", which no policy can change: {why}"),
            _ => String::new(),
        };
        self.add(format!("{} {target} {when}{refused}", effect.kind), at);
    }

    /// A peer that the network policy keeps closed.
    fn network(&mut self, home: &Home, effect: &Effect, at: Place) {
        let (Sort::Peer, Target::Peer(peer)) = (sort(effect), &effect.target) else { return };
        let (ip, port) = (peer.peer.ip(), peer.peer.port());
        let names = &home.policy.reach.names;
        let by_name = || {
            let opens = |name: &String| {
                names.find(name).is_ok_and(|found| {
                    let open = names.judge_address(ip, &found.allowed);
                    open.is_ok_and(|open| {
                        open.iter().any(|allowed| allowed.covers(peer.protocol, port))
                    })
                })
            };
            peer.names.iter().any(opens)
        };
        if !home.policy.network.lookup(ip, peer.protocol, port) && !by_name() {
            let who = peer.names.first().cloned().unwrap_or_else(|| ip.to_string());
            self.add(format!("network: {} {who} port {port} is closed", peer.protocol), at);
        }
    }

    fn add(&mut self, what: String, at: Place) {
        self.0.entry(what).or_default().add(at);
    }
}

/// What is never in the log because it is allowed at any time.
fn unknown(file: &PolicyFile) -> Vec<String> {
    let lists = [
        ("effects.ambient.read", file.effects.ambient.read.len()),
        ("effects.ambient.connect", file.effects.ambient.connect.len()),
        ("network.unix", file.network.unix.len()),
        ("network.listen", file.network.listen.len()),
    ];
    let given = lists.into_iter().filter(|(_, count)| *count > 0);
    given
        .map(|(key, _)| format!("{key}: what is allowed at any time is only counted in the log"))
        .collect()
}
