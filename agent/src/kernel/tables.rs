//! The maps, from the side of user space.

use std::sync::{Mutex, MutexGuard, PoisonError};

use aya::Ebpf;
use aya::maps::lpm_trie::Key;
use aya::maps::{HashMap, LpmTrie, MapData, MapError};
use warrantd_common::{
    MAX_PORT_RULES, Named, NamedKey, PortRule, PortRules, RulesKey, SessionCounters, SessionPolicy,
};

use crate::policy::network::{Allowed, Entry, Table};

use super::file_rules::FileRules;
use super::ring::Ring;
use super::{KernelError, calls};

/// Bits of a trie key before the address.
const GENERATION_BITS: u32 = 32;

/// The maps that sessions and their policies live in.
pub(super) struct Tables {
    sessions: Mutex<HashMap<MapData, u64, [u64; 5]>>,
    policies: Mutex<HashMap<MapData, u64, [u32; 19]>>,
    rules: Mutex<LpmTrie<MapData, [u8; 20], [u8; 100]>>,
    names: Mutex<HashMap<MapData, [u8; 24], [u8; 112]>>,
    files: Mutex<HashMap<MapData, [u8; 16], [u32; 4]>>,
    file_names: Mutex<HashMap<MapData, [u8; 80], u32>>,
}

impl Tables {
    /// Tells the programs which system calls change names.
    pub(super) fn describe_calls(ebpf: &mut Ebpf) -> Result<(), KernelError> {
        // Borrowed, not taken: a map that is closed cannot be loaded against.
        let map = ebpf.map_mut("CALLS").ok_or(KernelError::Object { what: "CALLS" })?;
        let mut map: HashMap<_, u32, [u32; 2]> =
            HashMap::try_from(map).map_err(refused("CALLS"))?;
        for (call, _) in calls::all() {
            let number = u32::try_from(call.number).unwrap_or(u32::MAX);
            map.insert(number, call.shape.to_words(), 0).map_err(refused("CALLS"))?;
        }
        Ok(())
    }

    /// Takes the maps out of the object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self {
            sessions: Mutex::new(take(ebpf, "SESSIONS")?),
            policies: Mutex::new(take(ebpf, "POLICIES")?),
            rules: Mutex::new(take(ebpf, "RULES")?),
            names: Mutex::new(take(ebpf, "NAMES")?),
            files: Mutex::new(take(ebpf, "FILES")?),
            file_names: Mutex::new(take(ebpf, "FILE_NAMES")?),
        })
    }

    /// Takes the ring out of the object.
    pub(super) fn take_ring(ebpf: &mut Ebpf) -> Result<Ring, KernelError> {
        take(ebpf, "EVENTS")
    }

    /// Makes the cgroup a session. Before that, everything in it is denied and nothing reported.
    pub(super) fn open_session(&self, cgroup_id: u64) -> Result<(), KernelError> {
        let made = lock(&self.sessions).insert(cgroup_id, [0; 5], 0);
        made.map_err(refused("SESSIONS"))
    }

    /// Forgets a session.
    pub(super) fn close_session(&self, cgroup_id: u64) {
        // What is not there needs no removal.
        let _ = lock(&self.policies).remove(&cgroup_id);
        let _ = lock(&self.sessions).remove(&cgroup_id);
    }

    /// The accounts of a session; zeros when it has none.
    pub(super) fn counters(&self, cgroup_id: u64) -> SessionCounters {
        let words = lock(&self.sessions).get(&cgroup_id, 0);
        SessionCounters::from_words(words.unwrap_or_default())
    }

    /// Replaces the policy of a session in one step.
    pub(super) fn set_policy(
        &self,
        cgroup_id: u64,
        policy: SessionPolicy,
    ) -> Result<(), KernelError> {
        let switched = lock(&self.policies).insert(cgroup_id, policy.to_words(), 0);
        switched.map_err(refused("POLICIES"))
    }

    /// Lets a session reach an address until `expires_ns` on the clock of boot.
    pub(super) fn open_name(
        &self,
        cgroup_id: u64,
        address: [u8; 16],
        allowed: &[Allowed],
        expires_ns: u64,
    ) -> Result<(), KernelError> {
        let named = Named { expires_ns, ports: port_rules(allowed), reserved: 0 };
        let key = NamedKey { cgroup_id, address };
        let opened = lock(&self.names).insert(key.to_bytes(), named.to_bytes(), 0);
        opened.map_err(refused("NAMES"))
    }

    /// Takes back what a name had opened.
    pub(super) fn close_name(&self, cgroup_id: u64, address: [u8; 16]) {
        // What is not there needs no removal.
        let _ = lock(&self.names).remove(&NamedKey { cgroup_id, address }.to_bytes());
    }

    /// Fills in file rules. On an error none of them stay.
    pub(super) fn insert_files(&self, generation: u32, set: &FileRules) -> Result<(), KernelError> {
        let inserted = {
            let (mut files, mut names) = (lock(&self.files), lock(&self.file_names));
            set.objects(generation)
                .try_for_each(|(key, rule)| files.insert(key, rule, 0).map_err(refused("FILES")))
                .and_then(|()| {
                    set.names(generation).try_for_each(|(key, granted)| {
                        names.insert(key, granted, 0).map_err(refused("FILE_NAMES"))
                    })
                })
        };
        if inserted.is_err() {
            self.remove_files(generation, set);
        }
        inserted
    }

    /// Removes file rules that no session uses any more.
    pub(super) fn remove_files(&self, generation: u32, set: &FileRules) {
        let (mut files, mut names) = (lock(&self.files), lock(&self.file_names));
        for (key, _) in set.objects(generation) {
            // What is not there needs no removal.
            let _ = files.remove(&key);
        }
        for (key, _) in set.names(generation) {
            let _ = names.remove(&key);
        }
    }

    /// Removes a table that no session uses any more.
    pub(super) fn remove_rules(&self, generation: u32, table: &Table) {
        let mut rules = lock(&self.rules);
        for entry in table.entries() {
            // What is not there needs no removal.
            let _ = rules.remove(&key(generation, entry));
        }
    }

    /// Fills in a network table. On an error nothing of it stays.
    pub(super) fn insert_rules(&self, generation: u32, table: &Table) -> Result<(), KernelError> {
        let inserted = {
            let mut rules = lock(&self.rules);
            table.entries().iter().try_for_each(|entry| {
                rules
                    .insert(&key(generation, entry), port_rules(&entry.allowed).to_bytes(), 0)
                    .map_err(refused("RULES"))
            })
        };
        if inserted.is_err() {
            self.remove_rules(generation, table);
        }
        inserted
    }
}

fn key(generation: u32, entry: &Entry) -> Key<[u8; 20]> {
    let data =
        RulesKey { generation: generation.to_be_bytes(), address: entry.net.network().octets() };
    Key::new(GENERATION_BITS + u32::from(entry.net.prefix_len()), data.to_bytes())
}

/// Ports as the kernel has them. Tables keep to the limit; one that did not would deny what does not fit.
fn port_rules(allowed: &[Allowed]) -> PortRules {
    let mut rules = PortRules::default();
    for (place, allowed) in rules.rules.iter_mut().zip(allowed) {
        *place = PortRule {
            protocol: u16::from(allowed.protocol),
            low: allowed.ports.low,
            high: allowed.ports.high,
        };
    }
    rules.count = u32::try_from(allowed.len().min(MAX_PORT_RULES)).unwrap_or(0);
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
