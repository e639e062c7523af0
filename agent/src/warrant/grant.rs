//! The warrant of one call: the effects that it may have.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;
use serde::ser::Serializer;

use super::effect::{Effect, EffectKind, FileTarget, Outcome, Peer, Target};
use crate::policy::PathGlobs;
use crate::policy::url::HostPattern;

/// The effects that one approved call, or a server's start, may have.
#[derive(Debug, Clone, Default)]
pub struct Warrant {
    pub(super) files: Vec<FileGrant>,
    pub(super) runs: Vec<RunGrant>,
    pub(super) peers: Vec<PeerGrant>,
}

/// Leave to do some kinds of thing to some files.
#[derive(Debug, Clone)]
pub struct FileGrant {
    /// [`READ`], [`WRITE`] or [`DELETE`].
    pub kinds: &'static [EffectKind],
    /// Which files.
    pub scope: Scope,
}

/// Leave to run a program.
#[derive(Debug, Clone)]
pub struct RunGrant {
    /// Which programs. Of a script it is the interpreter that the kernel runs.
    pub program: Scope,
    /// How its arguments, without its own name, must begin; any when absent.
    pub arguments: Option<Vec<String>>,
}

/// Kinds of effect that a leave to read covers.
pub const READ: &[EffectKind] = &[EffectKind::FileRead];
/// Kinds of effect that a leave to write covers.
pub const WRITE: &[EffectKind] = &[
    EffectKind::FileWrite,
    EffectKind::FileCreate,
    EffectKind::FileRename,
    EffectKind::FileLink,
    EffectKind::FileAttributes,
];
/// Kinds of effect that a leave to delete covers: a name that is given up by a rename is gone, too.
pub const DELETE: &[EffectKind] = &[EffectKind::FileDelete, EffectKind::FileRename];

/// Which files a grant is about, by absolute path after symbolic links.
#[derive(Debug, Clone)]
pub enum Scope {
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

impl RunGrant {
    /// Whether the grant covers something done to a program: running it, and what running it does to
    /// its file, which is read and mapped.
    fn covers(&self, effect: &Effect, path: &str) -> bool {
        let covered = match effect.kind {
            EffectKind::Exec => self.invokes(effect),
            EffectKind::FileMap | EffectKind::FileRead => true,
            _ => false,
        };
        covered && self.program.covers(path)
    }

    /// Whether the arguments begin as they must. Words that are not known to the last byte do not
    /// count: those that were cut, and those that are not UTF-8, which the kernel layer replaces.
    fn invokes(&self, effect: &Effect) -> bool {
        let Some(expected) = &self.arguments else { return true };
        let words = effect.argv.get(1..).and_then(|words| words.get(..expected.len()));
        !effect.argv_cut
            && words.is_some_and(|words| words == expected)
            && !expected.iter().any(|word| word.contains(char::REPLACEMENT_CHARACTER))
    }
}

/// As a glob, or as `{"program": GLOB, "args": […]}`; many globs are many entries of a list.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Run {
    Program(String),
    Invocation { program: String, args: Vec<String> },
}

/// Leave to reach some peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerGrant {
    /// Which peers.
    pub whom: Whom,
    /// Any when absent.
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
    /// Whether the grant covers a peer.
    pub(super) fn covers(&self, peer: &Peer) -> bool {
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
        let program = |program: &String| Scope::Exactly(program.clone());
        let grant = |path| RunGrant { program: program(path), arguments: None };
        Self { runs: programs.iter().map(grant).collect(), ..Self::default() }
    }

    /// This warrant and another one together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.runs.extend(other.runs);
        self.peers.extend(other.peers);
        self
    }

    /// Files that may be read, written or deleted.
    pub fn files(&self) -> &[FileGrant] {
        &self.files
    }

    /// Programs that may be run.
    pub fn runs(&self) -> &[RunGrant] {
        &self.runs
    }

    /// Peers that may be reached.
    pub fn peers(&self) -> &[PeerGrant] {
        &self.peers
    }

    /// Whether the warrant covers an effect. What was tried and refused by the kernel is never
    /// covered, nor is a path that was cut.
    pub fn covers(&self, effect: &Effect) -> bool {
        if effect.outcome == Outcome::Denied {
            return false;
        }
        match &effect.target {
            Target::File(FileTarget { path, truncated, .. }) => {
                let file = |g: &FileGrant| g.kinds.contains(&effect.kind) && g.scope.covers(path);
                !truncated
                    && path.starts_with('/')
                    && (self.files.iter().any(file)
                        || self.runs.iter().any(|grant| grant.covers(effect, path)))
            }
            Target::Peer(peer) => {
                matches!(effect.kind, EffectKind::Connect | EffectKind::Send)
                    && self.peers.iter().any(|grant| grant.covers(peer))
            }
        }
    }

    fn list(&self, kinds: &[EffectKind]) -> Vec<String> {
        self.files
            .iter()
            .filter(|grant| grant.kinds == kinds)
            .flat_map(|grant| grant.scope.describe())
            .collect()
    }

    fn list_runs(&self) -> Vec<Run> {
        let each = |grant: &RunGrant| {
            let arguments = grant.arguments.clone();
            let entry = move |program| match arguments.clone() {
                None => Run::Program(program),
                Some(args) => Run::Invocation { program, args },
            };
            grant.program.describe().into_iter().map(entry).collect::<Vec<_>>()
        };
        self.runs.iter().flat_map(each).collect()
    }
}

/// What a call was allowed to do beyond ambient.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Warrant")]
pub struct WarrantForm {
    /// Files that could be read, as globs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    read: Vec<String>,
    /// Files that could be made and written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    write: Vec<String>,
    /// Files that could be deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    delete: Vec<String>,
    /// Programs that could be run: a glob, or a map where the arguments are limited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exec: Vec<Run>,
    /// Peers that could be reached: a network or a host name, and a port where it is limited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    connect: Vec<String>,
}

/// As [`WarrantForm`].
impl Serialize for Warrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let peers = self.peers.iter().map(|grant| {
            let whom = match &grant.whom {
                Whom::Net(net) => net.to_string(),
                Whom::Name(pattern) => pattern.to_string(),
            };
            grant.port.map_or_else(|| whom.clone(), |port| format!("{whom} port {port}"))
        });
        let form = WarrantForm {
            read: self.list(READ),
            write: self.list(WRITE),
            delete: self.list(DELETE),
            exec: self.list_runs(),
            connect: peers.collect(),
        };
        form.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::tests::{file, peer};
    use super::*;

    fn run(program: &str, arguments: Option<&[&str]>) -> Warrant {
        let arguments = arguments.map(|words| words.iter().map(ToString::to_string).collect());
        let grant = RunGrant { program: Scope::Exactly(program.into()), arguments };
        Warrant { runs: vec![grant], ..Warrant::default() }
    }

    fn exec(program: &str, argv: &[&str]) -> Effect {
        let argv = argv.iter().map(ToString::to_string).collect();
        Effect { argv, ..file(EffectKind::Exec, program) }
    }

    #[test]
    fn arguments_begin_as_the_grant_says() {
        let grant = run("/bin/git", Some(&["log", "-1"]));
        let covers = |argv: &[&str]| grant.covers(&exec("/bin/git", argv));
        assert!(covers(&["git", "log", "-1"]) && covers(&["git", "log", "-1", "main"]));
        for argv in [&["git"][..], &[], &["git", "log"], &["git", "-1", "log"], &["log", "-1"]] {
            assert!(!covers(argv), "{argv:?}");
        }
        assert!(!grant.covers(&exec("/bin/sh", &["git", "log", "-1"])));
        // Running a program reads and maps its file, whatever its arguments.
        assert!(grant.covers(&file(EffectKind::FileMap, "/bin/git")));
        assert!(!grant.covers(&file(EffectKind::FileWrite, "/bin/git")));
    }

    #[test]
    fn arguments_that_are_not_known_whole_do_not_count() {
        let grant = run("/bin/git", Some(&["log"]));
        let cut = Effect { argv_cut: true, ..exec("/bin/git", &["git", "log"]) };
        assert!(!grant.covers(&cut));
        assert!(run("/bin/git", None).covers(&cut), "any arguments are any");
        let odd = run("/bin/git", Some(&["\u{fffd}"]));
        assert!(!odd.covers(&exec("/bin/git", &["git", "\u{fffd}"])));
    }

    #[test]
    fn what_the_kernel_refused_is_never_covered() {
        let net = Whom::Net("192.0.2.0/24".parse().expect("net"));
        let warrant = Warrant {
            files: vec![FileGrant { kinds: READ, scope: Scope::Subtree("/".into()) }],
            peers: vec![PeerGrant { whom: net, port: None }],
            ..run("/bin/git", None)
        };
        for effect in [
            file(EffectKind::FileRead, "/srv/a"),
            file(EffectKind::Exec, "/bin/git"),
            peer(EffectKind::Connect, "192.0.2.1:443"),
        ] {
            assert!(warrant.covers(&effect), "{effect}");
            let refused = Effect { outcome: Outcome::Denied, ..effect };
            assert!(!warrant.covers(&refused), "{refused}");
        }
    }

    #[test]
    fn a_warrant_is_logged_as_it_was_granted() {
        let warrant = run("/bin/git", Some(&["log"])).and(Warrant::to_run(&["/bin/ls".into()]));
        let text = serde_json::to_string(&warrant).expect("serialises");
        assert_eq!(text, r#"{"exec":[{"program":"/bin/git","args":["log"]},"/bin/ls"]}"#);
    }

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
