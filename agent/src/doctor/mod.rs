//! Whether this host and this configuration are fit for production: the kit's checklist, as checks.
//!
//! A file is a family of checks: a function from what is known to what was found, each with what is wrong, where,
//! and what to do. It stands between `serve`, whose configuration it reads as a start would, and `cli`, which
//! gathers what others say of this host and prints. Whatever a check tries, it tries beside the daemon: it writes
//! to no file of it, and asks it nothing but how it is.
//!
//! | of the checklist | here |
//! |---|---|
//! | customize authentication | `authentication`, `keys` |
//! | review policy rules | `policies`, `arguments`, `side_doors` |
//! | test validation logic | `decisions`, `policies` (cases for `warrantd test`) |
//! | configure logging | `audit`, `shipping` |
//! | set rate limits | `limits` |
//! | enable TLS | `encryption` |
//! | test fail-closed behavior | `trial`, `kernel` |
//! | add monitoring | `monitoring`, `daemon`, `service` |
//! | document policies, security review | `policies`, `files` |
#![forbid(unsafe_code)]

mod arguments;
mod audit;
mod authentication;
mod certificates;
mod daemon;
mod decisions;
mod encryption;
mod files;
mod finding;
mod kernel;
mod keys;
mod limits;
mod monitoring;
mod policies;
mod service;
mod shipping;
mod side_doors;
mod site;
mod trial;

use std::sync::Arc;

use jiff::Timestamp;

use crate::discover::{Found, Process};
use crate::kernel::Kernel;
use crate::serve::Overview;

pub use finding::{Family, Finding, Level};
pub use kernel::{KernelFacts, Passed};
pub use service::ServiceFacts;
pub use site::Site;

/// What is known of the host beside the configuration.
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// What the kernel lets warrantd do.
    pub kernel: KernelFacts,
    /// What the daemon tells of itself; `None` when none runs.
    pub running: Option<Overview>,
    /// Servers in the files of clients.
    pub found: Vec<Found>,
    /// What runs.
    pub processes: Vec<Process>,
    /// What the service manager says.
    pub service: ServiceFacts,
}

/// Looks at everything; without a configuration at this host alone. `layer` is the kernel layer that was started
/// for this. Needs a tokio runtime.
pub async fn examine(
    site: Option<&Site>,
    facts: &Facts,
    layer: Option<Arc<Kernel>>,
) -> Vec<Family> {
    let mut families = vec![Family::new("kernel", kernel::check(&facts.kernel, site))];
    let mut tried = trial::run(layer).await;
    let Some(site) = site else {
        families.push(Family::new("fails closed", tried));
        return families;
    };
    tried.extend(decisions::check(site));
    let Facts { now, running, found, processes, service, .. } = facts;
    let (now, running) = (*now, running.as_ref());
    families.extend([
        Family::new("fails closed", tried),
        Family::new("authentication", authentication::check(site, now)),
        Family::new("keys", keys::check(site, now)),
        Family::new("encryption", encryption::check(site, now)),
        Family::new("policies", policies::check(site)),
        Family::new("arguments", arguments::check(site)),
        Family::new("limits", limits::check(site)),
        Family::new("audit log", audit::check(site, running.is_some())),
        Family::new("shipping", shipping::check(site, running, now)),
        Family::new("monitoring", monitoring::check(site)),
        Family::new("files", files::check(site)),
        Family::new("side doors", side_doors::check(site, found, processes)),
        Family::new("service", service::check(service)),
        Family::new("daemon", daemon::check(site, running)),
    ]);
    families
}
