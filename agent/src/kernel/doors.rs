//! What a session's policy in the kernel says beside the network table.

use std::path::{Path, PathBuf};

use warrantd_common::{MAX_LISTEN, PortRule, SessionPolicy};

use crate::policy::network::Allowed;

use super::file_rules::{Access, FileRules, Reach};

/// Local ports, the resolver, and who may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doors {
    /// Ports that may be bound, and reached from outside. At most eight ranges.
    pub listen: Vec<Allowed>,
    /// When given, only connections from sockets with this mark (`SO_MARK`, socket(7)) come in: those
    /// of warrantd itself, which alone knows it.
    pub mark: Option<u32>,
    /// Ports of the session's resolver on 127.0.0.1 and `::1`. What goes to port 53 goes there instead.
    pub resolver: Option<(u16, Option<u16>)>,
    /// Unix sockets that may be connected to, by absolute path.
    pub unix: Vec<PathBuf>,
    /// Every unix socket with a path may be connected to.
    pub any_unix: bool,
}

impl Doors {
    /// The rules on unix sockets; `None` when there are none. A socket whose directory does not exist
    /// cannot be connected to.
    pub(super) fn unix_rules(&self) -> Option<FileRules> {
        let mut rules = FileRules::default();
        for socket in &self.unix {
            if let Err(error) = rules.allow(socket, Access::CONNECT, Reach::This) {
                tracing::warn!(socket = %socket.display(), %error, "a unix socket stays closed");
            }
        }
        if self.any_unix
            && let Err(error) = rules.allow(Path::new("/"), Access::CONNECT, Reach::Tree)
        {
            tracing::warn!(%error, "unix sockets stay closed");
        }
        (self.any_unix || !self.unix.is_empty()).then_some(rules)
    }

    /// A policy with these doors and without tables.
    pub(super) fn policy(&self) -> SessionPolicy {
        let mut policy = SessionPolicy { mark: self.mark.unwrap_or(0), ..SessionPolicy::default() };
        if let Some((v4, v6)) = self.resolver {
            policy.resolver_v4 = v4;
            policy.resolver_v6 = v6.unwrap_or(0);
        }
        for (place, allowed) in policy.listen.iter_mut().zip(&self.listen) {
            *place = PortRule {
                protocol: u16::from(allowed.protocol),
                low: allowed.ports.low,
                high: allowed.ports.high,
            };
        }
        policy.listen_count = u32::try_from(self.listen.len().min(MAX_LISTEN)).unwrap_or(0);
        policy
    }
}
