//! The maps, from the side of user space.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::lpm_trie::Key;
use aya::maps::{HashMap, LpmTrie, MapData, MapError, RingBuf};
use warrantd_common::{
    MAX_PORT_RULES, PortRule, PortRules, RulesKey, SessionCounters, SessionPolicy,
};

use crate::policy::network::{Entry, Table};

use super::KernelError;

/// Bits of a trie key before the address.
const GENERATION_BITS: u32 = 32;

/// The maps that sessions and their policies live in.
pub(super) struct Tables {
    sessions: Mutex<HashMap<MapData, u64, [u64; 2]>>,
    policies: Mutex<HashMap<MapData, u64, [u32; 2]>>,
    rules: Mutex<LpmTrie<MapData, [u8; 20], [u8; 100]>>,
}

impl Tables {
    /// Takes the maps out of the object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            sessions: Mutex::new(take(ebpf, "SESSIONS")?),
            policies: Mutex::new(take(ebpf, "POLICIES")?),
            rules: Mutex::new(take(ebpf, "RULES")?),
        })
    }

    /// Takes the ring out of the object.
    pub(super) fn take_ring(ebpf: &mut Ebpf) -> Result<RingBuf<MapData>, KernelError> {
        take(ebpf, "EVENTS")
    }

    /// Makes the cgroup a session. Before that, everything in it is denied and nothing reported.
    pub(super) fn open_session(&self, cgroup_id: u64) -> Result<(), KernelError> {
        let made = lock(&self.sessions).insert(cgroup_id, [0; 2], 0);
        made.map_err(refused("SESSIONS"))
    }

    /// Forgets a session and the tables of these generations.
    pub(super) fn close_session(&self, cgroup_id: u64, tables: &[(u32, Table)]) {
        // What is not there needs no removal.
        let _ = lock(&self.policies).remove(&cgroup_id);
        let _ = lock(&self.sessions).remove(&cgroup_id);
        for (generation, table) in tables {
            self.remove_rules(*generation, table);
        }
    }

    /// The accounts of a session; zeros when it has none.
    pub(super) fn counters(&self, cgroup_id: u64) -> SessionCounters {
        let words = lock(&self.sessions).get(&cgroup_id, 0);
        SessionCounters::from_words(words.unwrap_or_default())
    }

    /// Fills in a new table, then makes it the session's in one step. On an error the old one stays.
    pub(super) fn set_policy(
        &self,
        cgroup_id: u64,
        generation: u32,
        table: &Table,
    ) -> Result<(), KernelError> {
        if let Err(error) = self.insert_rules(generation, table) {
            self.remove_rules(generation, table);
            return Err(error);
        }
        let policy = SessionPolicy { generation, reserved: 0 };
        let switched = lock(&self.policies).insert(cgroup_id, policy.to_words(), 0);
        switched.map_err(refused("POLICIES"))
    }

    /// Removes a table that no session uses any more.
    pub(super) fn remove_rules(&self, generation: u32, table: &Table) {
        let mut rules = lock(&self.rules);
        for entry in table.entries() {
            // What is not there needs no removal.
            let _ = rules.remove(&key(generation, entry));
        }
    }

    fn insert_rules(&self, generation: u32, table: &Table) -> Result<(), KernelError> {
        let mut rules = lock(&self.rules);
        table.entries().iter().try_for_each(|entry| {
            rules
                .insert(&key(generation, entry), value(entry).to_bytes(), 0)
                .map_err(refused("RULES"))
        })
    }
}

fn key(generation: u32, entry: &Entry) -> Key<[u8; 20]> {
    let data =
        RulesKey { generation: generation.to_be_bytes(), address: entry.net.network().octets() };
    Key::new(GENERATION_BITS + u32::from(entry.net.prefix_len()), data.to_bytes())
}

fn value(entry: &Entry) -> PortRules {
    let mut rules = PortRules::default();
    // compile() keeps to the limit; a table that did not would deny what does not fit.
    for (place, allowed) in rules.rules.iter_mut().zip(&entry.allowed) {
        *place = PortRule {
            protocol: u16::from(allowed.protocol),
            low: allowed.ports.low,
            high: allowed.ports.high,
        };
    }
    rules.count = u32::try_from(entry.allowed.len().min(MAX_PORT_RULES)).unwrap_or(0);
    rules
}

fn take<M: TryFrom<aya::maps::Map, Error = MapError>>(
    ebpf: &mut Ebpf,
    name: &'static str,
) -> Result<M, KernelError> {
    let map = ebpf.take_map(name).ok_or(KernelError::Object { what: name })?;
    M::try_from(map).map_err(refused(name))
}

fn refused(map: &'static str) -> impl FnOnce(MapError) -> KernelError {
    move |source| KernelError::Map { map, source }
}

/// A map that a panicking thread left behind is still a map.
fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
