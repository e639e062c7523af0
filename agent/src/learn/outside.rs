//! What a server does beside its calls: at its start, and at any time.

use std::collections::BTreeMap;

use super::access::{Access, Sort, sort};
use super::evidence::{Evidence, Place};
use super::exec::Execs;
use super::glob::{Circumstances, literal};
use super::grants::{Globs, programs, transient};
use super::material::Material;
use super::peers::Peers;
use super::tool::{ToolEffects, never};
use crate::warrant::{Effect, EffectKind, Target};

/// Reads of this many tools belong to none of them.
const MANY_TOOLS: usize = 3;

/// What a server does beside its calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Beside {
    /// Reads at any time.
    pub(super) read: Globs,
    /// Peers at any time.
    pub(super) peers: Peers,
    /// What else the start does.
    pub(super) startup: BTreeMap<Access, Globs>,
    pub(super) startup_execs: Execs,
    pub(super) startup_peers: Peers,
    /// Unix sockets, whoever connects.
    pub(super) unix: BTreeMap<String, Evidence>,
    /// Ports, whoever binds them.
    pub(super) bound: BTreeMap<(u16, &'static str), Evidence>,
    /// What no policy can allow.
    pub(super) never: BTreeMap<String, Evidence>,
}

impl Beside {
    /// Learns from everything, and takes out of the tools what is done at any time.
    pub(super) fn of(material: &Material, tools: &mut BTreeMap<&str, ToolEffects>) -> Self {
        let mut beside = Self::default();
        for outside in &material.outside {
            let made = transient(&outside.effects);
            let about = |path: &str| Circumstances {
                made: made.contains(path),
                inside: material.root_of(path).is_some(),
            };
            let run = programs(&outside.effects);
            for effect in &outside.effects {
                let program = matches!(effect.kind, EffectKind::FileRead | EffectKind::FileMap)
                    && matches!(&effect.target, Target::File(f) if run.contains(f.path.as_str()));
                if !(program && outside.starting) {
                    beside.learn(effect, outside.starting, outside.place, &about);
                }
            }
        }
        for call in &material.calls {
            for effect in &call.effects {
                beside.note_network(effect, call.place);
            }
        }
        beside.take_from(tools);
        beside
    }

    fn learn(
        &mut self,
        effect: &Effect,
        starting: bool,
        at: Place,
        about: &dyn Fn(&str) -> Circumstances,
    ) {
        self.note_network(effect, at);
        let outside_of_calls = "outside of calls, where no policy can allow it";
        match sort(effect) {
            Sort::File(Access::Read | Access::Map, file) => {
                self.read.path(&file.path, about(&file.path), at, None);
            }
            Sort::File(Access::Exec, file) if starting => {
                let program = literal(&file.path);
                self.startup_execs.ran(program, &file.path, effect, &[], at);
            }
            Sort::File(access, file) if starting => {
                let globs = self.startup.entry(access).or_default();
                globs.path(&file.path, about(&file.path), at, None);
            }
            Sort::File(..) => never(&mut self.never, effect, outside_of_calls, at),
            Sort::Peer if starting => self.startup_peers.reached(effect, &[], at),
            Sort::Peer => self.peers.reached(effect, &[], at),
            Sort::Port | Sort::Unix(_) => {}
            Sort::Never(why) => never(&mut self.never, effect, why, at),
        }
    }

    /// What the network policy allows whoever does it.
    fn note_network(&mut self, effect: &Effect, at: Place) {
        match (sort(effect), &effect.target) {
            (Sort::Unix(path), _) => self.unix.entry(path.to_owned()).or_default().add(at),
            (Sort::Port, Target::Peer(peer)) if effect.kind == EffectKind::Bind => {
                let udp = peer.protocol == crate::policy::network::Protocol::Udp;
                let key = (peer.peer.port(), if udp { "udp" } else { "tcp" });
                self.bound.entry(key).or_default().add(at);
            }
            _ => {}
        }
    }

    /// Moves reads to what may be read at any time: those that the start does, too, those of many tools, and
    /// code that is mapped.
    fn take_from(&mut self, tools: &mut BTreeMap<&str, ToolEffects>) {
        let mut readers: BTreeMap<String, usize> = BTreeMap::new();
        for tool in tools.values() {
            for (path, _) in tool.files.get(&Access::Read).into_iter().flat_map(Globs::unexplained)
            {
                *readers.entry(path.clone()).or_default() += 1;
            }
        }
        let known: Vec<String> = self.read.unexplained().map(|(path, _)| path.clone()).collect();
        for tool in tools.values_mut() {
            for access in [Access::Read, Access::Map] {
                let Some(globs) = tool.files.get_mut(&access) else { continue };
                let common: Vec<(String, Evidence)> = globs
                    .unexplained()
                    .filter(|(path, _)| {
                        access == Access::Map
                            || known.contains(path)
                            || readers.get(*path).is_some_and(|tools| *tools >= MANY_TOOLS)
                    })
                    .map(|(path, from)| (path.clone(), from.clone()))
                    .collect();
                for (path, from) in common {
                    globs.forget(&path);
                    self.read.seen(&path, &from);
                }
            }
        }
    }
}
