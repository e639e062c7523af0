//! Effects that a server may have at any time, because its runtime does.

use super::effect::{Effect, EffectKind, Outcome, Peer, Target};
use super::grant::PeerGrant;
use super::peers::peer;
use crate::config::{ListenRule, NetworkProtocol, Problem};
use crate::policy::network::Protocol;
use crate::policy::{PathGlobs, literal};

/// What every runtime reads: libraries, locale, time zone, certificates, and facts about the
/// machine by which it sizes itself. Not `/etc/passwd`, not `/etc/hosts`, no configuration of
/// anybody else.
pub(super) const FLOOR: &[&str] = &[
    "/lib/**",
    "/lib32/**",
    "/lib64/**",
    "/usr/lib/**",
    "/usr/lib32/**",
    "/usr/lib64/**",
    "/usr/local/lib/**",
    "/usr/libexec/**",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/timezone",
    "/usr/share/zoneinfo/**",
    "/usr/share/locale/**",
    "/usr/share/i18n/**",
    "/etc/locale.alias",
    "/usr/share/ca-certificates/**",
    "/usr/local/share/ca-certificates/**",
    "/etc/ca-certificates/**",
    "/etc/ssl/certs/**",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs/**",
    "/etc/pki/ca-trust/**",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/random",
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/filesystems",
    "/proc/version_signature",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/kernel/ngroups_max",
    "/sys/devices/system/cpu/**",
    "/sys/kernel/mm/transparent_hugepage/**",
    "/sys/fs/cgroup/**",
];

/// Effects that a server may have at any time.
#[derive(Debug, Clone)]
pub struct Ambient {
    read: PathGlobs,
    /// Peers that may be reached.
    peers: Vec<PeerGrant>,
    /// Unix sockets that the network policy lists.
    unix: Vec<String>,
    /// Ports that may be bound; `None` where the kernel lets no other be bound than those that are listed.
    listen: Option<Vec<ListenRule>>,
}

impl Ambient {
    /// The floor, the server's own install trees (absolute directories or files), and the globs
    /// that policy adds.
    pub fn new(install: &[String], policy: &[String], root: &str) -> Result<Self, Problem> {
        let own: Vec<String> = install.iter().map(|tree| format!("{}/**", literal(tree))).collect();
        // Policy's patterns come first, so that the index in an error is theirs.
        let patterns = policy
            .iter()
            .map(String::as_str)
            .chain(own.iter().map(String::as_str))
            .chain(FLOOR.iter().copied());
        let patterns: Vec<&str> = patterns.collect();
        let read = PathGlobs::new(&patterns, root)
            .map_err(|(index, why)| Problem::new(format!("effects.ambient.read[{index}]"), why))?;
        Ok(Self { read, peers: Vec::new(), unix: Vec::new(), listen: None })
    }

    /// The same with peers that may be reached, as `effects.ambient.connect` writes them.
    pub fn with_connect(mut self, peers: &[String]) -> Result<Self, Problem> {
        for (index, text) in peers.iter().enumerate() {
            let bad = |why| {
                Problem::new(format!("effects.ambient.connect[{index}]"), format!("`{text}` {why}"))
            };
            self.peers.push(peer(text, true).map_err(bad)?);
        }
        Ok(self)
    }

    /// Peers that may be reached at any time.
    pub fn peers(&self) -> &[PeerGrant] {
        &self.peers
    }

    /// The same with unix sockets that may be connected to, by absolute path.
    #[must_use]
    pub fn with_unix(self, sockets: impl IntoIterator<Item = String>) -> Self {
        Self { unix: sockets.into_iter().collect(), ..self }
    }

    /// The same for a server that can bind any port, of which it may bind these alone.
    #[must_use]
    pub fn with_ports(self, listed: Vec<ListenRule>) -> Self {
        Self { listen: Some(listed), ..self }
    }

    fn may_bind(&self, peer: &Peer) -> bool {
        let listed = |rule: &ListenRule| {
            rule.port == peer.peer.port()
                && match rule.protocol {
                    None => matches!(peer.protocol, Protocol::Tcp | Protocol::Udp),
                    Some(NetworkProtocol::Tcp) => peer.protocol == Protocol::Tcp,
                    Some(NetworkProtocol::Udp) => peer.protocol == Protocol::Udp,
                }
        };
        self.listen.as_ref().is_none_or(|rules| rules.iter().any(listed))
    }

    /// Whether the server may have this effect at any time.
    pub fn covers(&self, effect: &Effect) -> bool {
        if effect.outcome == Outcome::Denied {
            return false;
        }
        let file = match &effect.target {
            Target::File(file) if file.truncated => return false,
            Target::File(file) => file,
            Target::Peer(peer) if effect.kind == EffectKind::Bind => return self.may_bind(peer),
            Target::Peer(peer) => {
                return matches!(effect.kind, EffectKind::Connect | EffectKind::Send)
                    && self.peers.iter().any(|grant| grant.covers(peer));
            }
        };
        match effect.kind {
            EffectKind::FileRead | EffectKind::FileMap => {
                self.read.matches(&file.path) || is_own_proc(&file.path, effect)
            }
            EffectKind::ConnectUnix => self.unix.contains(&file.path),
            EffectKind::FileWrite => file.path == "/dev/null",
            _ => false,
        }
    }
}

/// Whether the path is below `/proc/self` or `/proc/thread-self` of the process itself, leaving
/// out what leads elsewhere: its memory, and what descriptors, links and roots point to.
fn is_own_proc(path: &str, effect: &Effect) -> bool {
    let Some(rest) = path.strip_prefix("/proc/") else { return false };
    let mut parts = rest.split('/');
    let own = parts.next().and_then(|pid| pid.parse().ok()) == Some(effect.process.pid);
    own && !parts.any(|part| matches!(part, "mem" | "environ" | "root" | "cwd" | "map_files"))
}

#[cfg(test)]
mod tests {
    use super::super::effect::tests::{file, peer};
    use super::*;

    fn ambient() -> Ambient {
        let install = ["/opt/server".to_owned()];
        let policy = ["/etc/hosts".to_owned()];
        Ambient::new(&install, &policy, "/srv").expect("compiles")
    }

    #[test]
    fn the_runtime_is_ambient_and_secrets_are_not() {
        for path in ["/usr/lib/x.so", "/opt/server/index.js", "/etc/hosts", "/proc/7/maps"] {
            assert!(ambient().covers(&file(EffectKind::FileRead, path)), "{path}");
        }
        for path in ["/etc/passwd", "/proc/8/maps", "/proc/7/environ", "/srv/a", "/opt/server2/a"] {
            assert!(!ambient().covers(&file(EffectKind::FileRead, path)), "{path}");
        }
    }

    #[test]
    fn writes_and_programs_are_not_ambient() {
        assert!(ambient().covers(&file(EffectKind::FileWrite, "/dev/null")));
        for kind in [EffectKind::FileWrite, EffectKind::FileCreate, EffectKind::Exec] {
            assert!(!ambient().covers(&file(kind, "/usr/lib/x.so")), "{kind:?}");
        }
    }

    #[test]
    fn listed_peers_are_ambient_and_what_was_refused_is_not() {
        let listed = ["192.0.2.1:443".to_owned()];
        let ambient = ambient().with_connect(&listed).expect("peers");
        let mut connect = peer(EffectKind::Connect, "192.0.2.1:443");
        assert!(ambient.covers(&connect));
        assert!(ambient.covers(&peer(EffectKind::Send, "192.0.2.1:443")));
        assert!(!ambient.covers(&peer(EffectKind::Packet, "192.0.2.1:443")));
        assert!(!ambient.covers(&peer(EffectKind::Connect, "192.0.2.1:80")));
        connect.outcome = Outcome::Denied;
        assert!(!ambient.covers(&connect), "tried and refused");
        for effect in [EffectKind::FileRead, EffectKind::FileMap] {
            let mut read = file(effect, "/usr/lib/x.so");
            read.outcome = Outcome::Denied;
            assert!(!ambient.covers(&read), "tried and refused");
        }
    }

    #[test]
    fn ports_are_judged_where_any_can_be_bound() {
        let bound = |address| super::super::effect::tests::peer(EffectKind::Bind, address);
        assert!(ambient().covers(&bound("0.0.0.0:80")), "the kernel has judged it");
        let rule = ListenRule { port: 80, protocol: Some(NetworkProtocol::Tcp) };
        let open = ambient().with_ports(vec![rule]);
        assert!(open.covers(&bound("0.0.0.0:80")) && !open.covers(&bound("0.0.0.0:81")));
    }

    #[test]
    fn a_bad_pattern_of_policy_is_named() {
        let policy = ["ok".to_owned(), "../x".to_owned()];
        let problem = Ambient::new(&[], &policy, "/srv").expect_err("refused");
        assert_eq!(problem.key, "effects.ambient.read[1]");
        let peers = ["10.0.0.1".to_owned(), "a b".to_owned()];
        let problem = ambient().with_connect(&peers).expect_err("refused");
        assert_eq!(problem.key, "effects.ambient.connect[1]");
    }
}
