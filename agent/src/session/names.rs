//! A session's resolver, when its policy names hosts.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::conversation::Conversation;
use super::server::Server;
use crate::audit::{AuditError, Event, Record, Status};
use crate::config::Action;
use crate::kernel::{self, Doors, NamedAddresses};
use crate::names::{AddressBook, Refusal, Resolver, Upstream};
use crate::policy::network::Allowed;
use crate::warrant::{Effect, Target};

/// Starts the resolver of a session whose addresses are opened in `book`; `None` when the policy
/// has no `host` rule. Needs a tokio runtime.
pub(super) fn start(server: &Server, book: Arc<dyn AddressBook>) -> io::Result<Option<Resolver>> {
    let reach = &server.policy.reach;
    if reach.names.is_empty() {
        return Ok(None);
    }
    Resolver::start(Arc::clone(&reach.names), upstream(server)?, book).map(Some)
}

/// A running session's resolver for the names that its policy lists now. What names led to before stays open
/// as far as they still lead there.
pub(super) fn renew(
    watch: &kernel::Session,
    running: Option<Resolver>,
    next: &Server,
) -> io::Result<Option<Resolver>> {
    let names = Arc::clone(&next.policy.reach.names);
    let resolver = match running {
        Some(resolver) if !names.is_empty() => {
            resolver.renew(Arc::clone(&names), upstream(next)?);
            Some(resolver)
        }
        _ => start(next, book(watch))?,
    };
    let allowed = |address: IpAddr, name: &str| {
        let listed = names.find(name).ok()?;
        Some(names.judge_address(address, &listed.allowed).ok()?.into_owned())
    };
    watch.names().judge_anew(allowed).map_err(io::Error::other)?;
    Ok(resolver)
}

/// Who is asked for names.
fn upstream(server: &Server) -> io::Result<Upstream> {
    match server.policy.reach.resolvers.as_slice() {
        [] => Upstream::of_host(),
        servers => Ok(Upstream::new(servers.to_vec())),
    }
}

/// Where the session's addresses are opened.
pub(super) fn book(watch: &kernel::Session) -> Arc<dyn AddressBook> {
    struct InKernel(NamedAddresses);
    impl AddressBook for InKernel {
        fn open(
            &self,
            address: IpAddr,
            name: &str,
            allowed: &[Allowed],
            lives: Duration,
        ) -> Result<(), String> {
            self.0.open(address, name, allowed, lives).map_err(|error| error.to_string())
        }
    }
    Arc::new(InKernel(watch.names().clone()))
}

/// What the session's policy says beside addresses, and where its resolver is.
pub(super) fn doors(server: &Server, resolver: Option<&Resolver>) -> Doors {
    let doors = Doors {
        listen: server.policy.reach.listen.clone(),
        mark: None,
        resolver: resolver.map(|resolver| (resolver.v4_port(), resolver.v6_port())),
        unix: server.policy.reach.unix_sockets.clone(),
        any_unix: server.policy.reach.any_unix_socket,
    };
    match server.upstream() {
        Some(upstream) => upstream.doors(doors),
        None => doors,
    }
}

/// Tells effects by the names that led to their peers, and counts the questions to the resolver
/// itself, which are not among what is returned.
pub(super) fn tell(effects: Vec<Effect>, resolver: Option<&Resolver>) -> (Vec<Effect>, u64) {
    let Some(resolver) = resolver else { return (effects, 0) };
    let mut questions = 0;
    let mut others = Vec::with_capacity(effects.len());
    for mut effect in effects {
        if let Target::Peer(peer) = &mut effect.target {
            if resolver.is_at(peer.peer) {
                questions += 1;
                continue;
            }
            peer.names = resolver.names_of(peer.peer.ip());
        }
        others.push(effect);
    }
    (others, questions)
}

impl Conversation {
    /// Records the names that were refused since the last time; at the `end`, all that are left.
    pub(super) fn record_refused_names(&self, end: bool) -> Result<(), AuditError> {
        let Some(resolver) = &self.resolver else { return Ok(()) };
        let refused = if end { resolver.refused_to_the_end() } else { resolver.refused() };
        refused.iter().try_for_each(|refusal| self.append(self.refused_name(refusal)))
    }

    fn refused_name(&self, refusal: &Refusal) -> Record {
        let text = describe(refusal);
        let what = if refusal.by_policy { "a name was refused" } else { "a name has no answer" };
        tracing::warn!(server = self.context.server.id, "{what}: {text}");
        Record {
            policy_decision: refusal.by_policy.then_some(Action::Deny),
            policy_rule_matched: refusal.by_policy.then(|| "network.allow".to_owned()),
            status: Some(Status::Failure),
            error: Some(text),
            ..self.recorder.record(Event::NameRefused)
        }
    }
}

/// One line, such as `evil.example (A, 4 times): no rule covers it`.
fn describe(refusal: &Refusal) -> String {
    let Refusal { name, record_type, reason, count, .. } = refusal;
    match (name.is_empty(), *count) {
        (true, _) => format!("{count} names beside those that are listed"),
        (false, 1) => format!("{name} ({record_type}): {reason}"),
        (false, _) => format!("{name} ({record_type}, {count} times): {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::network::Protocol;
    use crate::warrant::{EffectKind, Outcome, Peer, Process};

    #[tokio::test]
    async fn questions_to_the_resolver_are_ambient_and_nothing_else_is() {
        struct Nowhere;
        impl AddressBook for Nowhere {
            fn open(&self, _: IpAddr, _: &str, _: &[Allowed], _: Duration) -> Result<(), String> {
                Err("nowhere".to_owned())
            }
        }
        let upstream = Upstream::new(Vec::new());
        let resolver = Resolver::start(Arc::default(), upstream, Arc::new(Nowhere)).unwrap();
        let to = |peer: String| Effect {
            kind: EffectKind::Send,
            outcome: Outcome::Allowed,
            target: Target::Peer(Peer {
                peer: peer.parse().unwrap(),
                protocol: Protocol::Udp,
                names: Vec::new(),
            }),
            argv: Vec::new(),
            argv_cut: false,
            process: Process { pid: 7, tid: 7, uid: 1, exe: "/bin/x".into() },
            seq: 1,
            boot_ns: 1,
        };
        let port = resolver.v4_port();
        let own = [format!("127.0.0.1:{port}"), format!("[::ffff:127.0.0.1]:{port}")];
        let others = [format!("127.0.0.2:{port}"), "8.8.8.8:53".into(), "127.0.0.1:53".into()];
        let effects: Vec<_> = own.into_iter().chain(others).map(to).collect();
        let (left, questions) = tell(effects.clone(), Some(&resolver));
        assert_eq!((left.as_slice(), questions), (&effects[2..], 2));
        assert_eq!(tell(effects.clone(), None), (effects, 0));
    }

    #[test]
    fn a_refusal_is_one_line() {
        let refusal = |name: &str, count| Refusal {
            name: name.to_owned(),
            record_type: "A".to_owned(),
            reason: "no rule".to_owned(),
            by_policy: true,
            count,
        };
        assert_eq!(describe(&refusal("a.b", 1)), "a.b (A): no rule");
        assert_eq!(describe(&refusal("a.b", 4)), "a.b (A, 4 times): no rule");
        assert!(describe(&refusal("", 7)).starts_with("7 names"));
    }
}
