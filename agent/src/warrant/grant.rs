//! The warrant of one call: the effects that it may have.

use ipnet::IpNet;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::effect::{Effect, EffectKind, FileTarget, Peer, Target};
use crate::policy::PathGlobs;
use crate::policy::url::HostPattern;

/// The effects that one approved call may have.
#[derive(Debug, Clone, Default)]
pub struct Warrant {
    pub(super) files: Vec<FileGrant>,
    pub(super) peers: Vec<PeerGrant>,
}

/// Leave to do some kinds of thing to some files.
#[derive(Debug, Clone)]
pub(super) struct FileGrant {
    pub(super) kinds: &'static [EffectKind],
    pub(super) scope: Scope,
}

/// Kinds of effect that a leave to read covers.
pub(super) const READ: &[EffectKind] = &[EffectKind::FileRead];
/// Kinds of effect that a leave to write covers.
pub(super) const WRITE: &[EffectKind] = &[
    EffectKind::FileWrite,
    EffectKind::FileCreate,
    EffectKind::FileRename,
    EffectKind::FileLink,
    EffectKind::FileAttributes,
];
/// Kinds of effect that a leave to delete covers.
pub(super) const DELETE: &[EffectKind] = &[EffectKind::FileDelete];
/// Kinds of effect that a leave to run covers: a program that is run is read and mapped.
pub(super) const EXEC: &[EffectKind] =
    &[EffectKind::Exec, EffectKind::FileMap, EffectKind::FileRead];

/// Which files a grant is about, by absolute path after symbolic links.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// One file or directory itself.
    Exactly(String),
    /// A directory and everything below.
    Subtree(String),
    /// Files in the same directory whose names begin with this file's name and a dot: the
    /// temporary files by which careful programs replace it.
    Beside(String),
    /// What globs match.
    Globs(PathGlobs),
}

impl Scope {
    fn covers(&self, path: &str) -> bool {
        match self {
            Self::Exactly(exact) => path == exact,
            Self::Subtree(top) => path
                .strip_prefix(top.trim_end_matches('/'))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            Self::Beside(file) => path
                .strip_prefix(file.as_str())
                .is_some_and(|rest| rest.starts_with('.') && !rest.contains('/')),
            Self::Globs(globs) => globs.matches(path),
        }
    }

    fn describe(&self) -> Vec<String> {
        match self {
            Self::Exactly(path) => vec![path.clone()],
            Self::Subtree(path) => vec![format!("{}/**", path.trim_end_matches('/'))],
            Self::Beside(path) => vec![format!("{path}.*")],
            Self::Globs(globs) => globs.patterns().to_vec(),
        }
    }
}

/// Leave to reach some peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerGrant {
    /// The peers.
    pub whom: Whom,
    /// Their port; any when absent.
    pub port: Option<u16>,
}

/// Which peers a grant is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// By address.
    Net(IpNet),
    /// By a name that has led to the address.
    Name(HostPattern),
}

impl PeerGrant {
    fn covers(&self, peer: &Peer) -> bool {
        let covered = match &self.whom {
            Whom::Net(net) => net.contains(&peer.peer.ip().to_canonical()),
            Whom::Name(pattern) => peer.names.iter().any(|name| pattern.covers(name)),
        };
        covered && self.port.is_none_or(|port| port == peer.peer.port())
    }
}

impl Warrant {
    /// A warrant to run programs, by absolute path after symbolic links.
    pub fn to_run(programs: &[String]) -> Self {
        let scope = |program: &String| Scope::Exactly(program.clone());
        let grant = |program| FileGrant { kinds: EXEC, scope: scope(program) };
        Self { files: programs.iter().map(grant).collect(), peers: Vec::new() }
    }

    /// Whether the warrant covers an effect. A path that was cut never counts.
    pub fn covers(&self, effect: &Effect) -> bool {
        match &effect.target {
            Target::File(FileTarget { path, truncated, .. }) => {
                !truncated
                    && path.starts_with('/')
                    && self
                        .files
                        .iter()
                        .any(|g| g.kinds.contains(&effect.kind) && g.scope.covers(path))
            }
            Target::Peer(peer) => {
                matches!(effect.kind, EffectKind::Connect | EffectKind::Send)
                    && self.peers.iter().any(|grant| grant.covers(peer))
            }
        }
    }

    /// The peers that it covers.
    pub fn peers(&self) -> &[PeerGrant] {
        &self.peers
    }

    fn list(&self, kinds: &[EffectKind]) -> Vec<String> {
        self.files
            .iter()
            .filter(|grant| grant.kinds == kinds)
            .flat_map(|grant| grant.scope.describe())
            .collect()
    }
}

/// As `{"read": […], "write": […], "delete": […], "exec": […], "connect": […]}` without what is
/// empty.
impl Serialize for Warrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let peers = self.peers.iter().map(|grant| {
            let whom = match &grant.whom {
                Whom::Net(net) => net.to_string(),
                Whom::Name(pattern) => pattern.to_string(),
            };
            grant.port.map_or_else(|| whom.clone(), |port| format!("{whom} port {port}"))
        });
        let mut map = serializer.serialize_map(None)?;
        for (name, list) in [
            ("read", self.list(READ)),
            ("write", self.list(WRITE)),
            ("delete", self.list(DELETE)),
            ("exec", self.list(EXEC)),
            ("connect", peers.collect()),
        ] {
            if !list.is_empty() {
                map.serialize_entry(name, &list)?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_end_at_component_boundaries() {
        let tree = Scope::Subtree("/srv/data".into());
        assert!(tree.covers("/srv/data") && tree.covers("/srv/data/a"));
        assert!(!tree.covers("/srv/data2") && !tree.covers("/srv"));
        let everything = Scope::Subtree("/".into());
        assert!(everything.covers("/") && everything.covers("/a"));
        let beside = Scope::Beside("/srv/a.md".into());
        assert!(beside.covers("/srv/a.md.1f.tmp"));
        assert!(!beside.covers("/srv/a.md") && !beside.covers("/srv/a.md.d/x"));
    }
}
