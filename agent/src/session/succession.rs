//! What goes on when the configuration of a server is replaced while it serves.

use std::sync::Arc;

use super::pins::Pins;
use super::schemas::Schemas;
use super::server::{Server, ServerSpec};
use super::way::Way;
use crate::config::{ConfigError, PinningSection};
use crate::policy::Policy;

impl Server {
    /// Whether sessions that were begun as this says can go on as `next` says. The error names what of
    /// their processes would have to be another, which only a new start brings.
    pub(super) fn leads_to(&self, next: &Self) -> Result<(), &'static str> {
        let same = [
            (self.argv == next.argv, "command"),
            (self.root == next.root, "root"),
            (self.user == next.user && self.principal == next.principal, "user"),
            (self.env == next.env, "env"),
            (self.protocol == next.protocol, "protocol"),
            (self.way.is(&next.way), "upstream"),
            // What Landlock and seccomp have closed opens for nobody, and closes no more than once.
            (self.floor == next.floor, "effects.landlock"),
            (
                self.policy.reach.has_unix_sockets() == next.policy.reach.has_unix_sockets(),
                "network.unix",
            ),
        ];
        same.into_iter().find(|(same, _)| !same).map_or(Ok(()), |(_, what)| Err(what))
    }
}

/// The way to the server; the connections that there are, if it leads where it led before.
pub(super) fn way(spec: &ServerSpec, before: Option<&Server>) -> Way {
    let same = before.filter(|before| before.way.is(&spec.way));
    same.map_or_else(|| spec.way.clone(), |before| before.way.clone())
}

/// What was accepted of its tools: without a file, only warrantd itself knows.
pub(super) fn pins(
    section: Option<&PinningSection>,
    before: Option<&Server>,
) -> Result<Arc<Pins>, ConfigError> {
    let same = before.filter(|before| before.pinning.as_ref() == section);
    // Opened in any case, so that files which cannot be used are found.
    let fresh = Pins::open(section)?;
    Ok(same.map_or_else(|| Arc::new(fresh), |before| before.pins.clone()))
}

/// What its tools take. Servers list them once in a session, so what was listed before still counts.
pub(super) fn schemas(policy: &Policy, before: Option<&Server>) -> Arc<Schemas> {
    let Some(before) = before else { return Arc::default() };
    if before.policy.schemas == policy.schemas {
        return before.schemas.clone();
    }
    let fresh = Schemas::default();
    if let Some(options) = policy.schemas {
        fresh.learn_from(&before.schemas, options);
    }
    Arc::new(fresh)
}
