//! The daemon, whose servers change when its configuration is read anew.

use std::path::Path;
use std::sync::Arc;

use super::overseer::{Configuration, Overseer, PlacedServer};
use super::tally::Tally;
use crate::serve::Receivers;
use crate::serve::roster::{Common, Roster};

/// Tells of a daemon that starts now.
pub(in crate::serve) fn of_daemon(
    file: &Path,
    roster: &Roster,
    common: &Common,
    tally: &Arc<Tally>,
    receivers: Receivers,
) -> Overseer {
    // Whoever asks is elsewhere.
    let absolute = |file: &Path| std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let (file, roster) = (absolute(file), roster.clone());
    let configuration = move || {
        let served = roster.ids().into_iter().filter_map(|id| roster.get(&id));
        let loaded: Vec<_> = served.map(|served| served.loaded()).collect();
        let placed = |loaded: &Arc<crate::serve::LoadedServer>| PlacedServer {
            server: loaded.server.clone(),
            policy: absolute(&loaded.policy),
        };
        Configuration { file: Some(file.clone()), servers: loaded.iter().map(placed).collect() }
    };
    let (sessions, kernel) = (common.sessions.clone(), common.kernel.as_deref());
    Overseer::new(sessions, kernel, common.log.clone(), tally.clone(), configuration)
        .with_receivers(receivers)
}
