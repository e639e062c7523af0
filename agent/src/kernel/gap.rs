//! What a warrantd that was killed had not told any more.
//!
//! Its maps are pinned: the ring with the position up to which it had read, and the accounts of its
//! sessions. The programs that decide are pinned as well and go on reporting. So when every process of its
//! sessions is gone, the records that are left in the ring are exactly those that nobody has read:
//!
//! ```text
//! made = read by the dead owner + left in the ring + lost
//! ```
//!
//! What the owner had read and not yet written to its log is gone with it; [`SessionGap::read`] bounds that.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::Path;

use aya::maps::{HashMap as KernelMap, Map, MapData, MapError};
use warrantd_common::SessionCounters;

use crate::warrant::Effect;

use super::backend::Backend;
use super::queue::Queue;
use super::ring::Ring;
use super::{decode, object};

/// A pin of each backend's, which shows that its programs have gone on watching. Where they cannot be
/// pinned, they ended with the owner.
const OBSERVERS: [(&str, Backend); 3] = [
    ("link_lsm_file_open", Backend::Lsm),
    ("link_fentry_file_open", Backend::Fentry),
    ("link_exit_openat", Backend::Tracepoint),
];
/// Prefix of the directory among the pins that names the object which wrote them.
const STAMP: &str = "object_";

/// An instance whose owner ended without cleaning up.
#[derive(Debug, Clone)]
#[must_use]
pub struct Gap {
    /// Name of the instance.
    pub instance: String,
    /// Process id of the dead owner; `None` when it died before it was on record.
    pub owner: Option<u32>,
    /// Its sessions, by name.
    pub sessions: Vec<SessionGap>,
    /// How files and programs were still watched after the owner's end; connections always are.
    pub observer: Option<Backend>,
    /// Why the records could not be read, if so: nothing is known of the sessions' effects then.
    pub unreadable: Option<String>,
}

/// What is known of one session.
#[derive(Debug, Clone, Default)]
pub struct SessionGap {
    /// Name of its cgroup.
    pub name: String,
    /// The effects that nobody had read, in the order in which the kernel reported them.
    pub effects: Vec<Effect>,
    /// Events that the owner had read.
    pub read: u64,
    /// Events that were left in the ring.
    pub unread: u64,
    /// Events for which there was no room, from the session's first to its last.
    pub lost: u64,
    /// Its processes had outlived the owner when it was found.
    pub outlived: bool,
}

/// A session's cgroup, as it was before it was removed.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) cgroup_id: u64,
    pub(super) populated: bool,
}

/// The name of a directory that tells by which object the pins beside it were made.
pub(super) fn stamp() -> String {
    format!("{STAMP}{}", object::fingerprint())
}

/// Reads what is left of a dead instance. Its sessions must have no process any more. What is read here is
/// gone from the ring.
pub(super) fn read(pins: &Path, instance: &str, owner: Option<u32>, found: &[Found]) -> Gap {
    let is_pinned = |(pin, _): &&(&str, Backend)| pins.join(pin).exists();
    let mut gap = Gap {
        instance: instance.to_owned(),
        owner,
        sessions: Vec::new(),
        observer: OBSERVERS.iter().find(is_pinned).map(|(_, backend)| *backend),
        unreadable: None,
    };
    let sessions = if !pins.join("map_events").exists() {
        // It was still starting and had no sessions.
        Ok(BTreeMap::new())
    } else if pins.join(stamp()).exists() {
        left(pins).map_err(|error| error.to_string())
    } else {
        Err("they were written by another version of the kernel programs".to_owned())
    };
    match sessions {
        Ok(mut left) => {
            for session in found {
                let Left { counters, queue, unread } =
                    left.remove(&session.cgroup_id).unwrap_or_default();
                gap.sessions.push(SessionGap {
                    name: session.name.clone(),
                    outlived: session.populated,
                    ..account(counters, &queue, unread)
                });
            }
            // Accounts whose cgroup somebody removed by hand.
            for (id, Left { counters, queue, unread }) in left {
                let name = format!("cgroup {id}");
                gap.sessions.push(SessionGap { name, ..account(counters, &queue, unread) });
            }
        }
        Err(why) => {
            let session = |found: &Found| SessionGap {
                name: found.name.clone(),
                outlived: found.populated,
                ..SessionGap::default()
            };
            gap.sessions = found.iter().map(session).collect();
            gap.unreadable = Some(why);
        }
    }
    gap.sessions.sort_by(|a, b| a.name.cmp(&b.name));
    gap
}

/// What one session left.
#[derive(Default)]
struct Left {
    counters: SessionCounters,
    queue: Queue,
    unread: u64,
}

/// Takes the records out of the ring, by cgroup id. Sessions that were closed in order are not among them.
fn left(pins: &Path) -> Result<BTreeMap<u64, Left>, MapError> {
    let accounts: KernelMap<MapData, u64, [u64; 5]> = open(pins, "map_sessions")?;
    let mut left = BTreeMap::new();
    for account in &accounts {
        let (id, words) = account?;
        let counters = SessionCounters::from_words(words);
        left.insert(id, Left { counters, ..Left::default() });
    }
    let mut ring: Ring = open(pins, "map_events")?;
    ring.read(|record| {
        let session = decode::header(record).and_then(|header| left.get_mut(&header.cgroup_id));
        if let Some(session) = session {
            session.unread += 1;
            session.queue.push(record);
        }
    });
    Ok(left)
}

/// The arithmetic of one session.
fn account(counters: SessionCounters, queue: &Queue, unread: u64) -> SessionGap {
    let read = counters.made.saturating_sub(counters.lost()).saturating_sub(unread);
    let (mut effects, lost) = queue.take(counters, 0);
    for effect in &mut effects {
        effect.seq += read;
    }
    SessionGap { effects, read, unread, lost: lost.total(), ..SessionGap::default() }
}

fn open<M: TryFrom<Map, Error = MapError>>(pins: &Path, name: &str) -> Result<M, MapError> {
    M::try_from(Map::from_map_data(MapData::from_pin(pins.join(name))?)?)
}
