//! Addresses that a session may reach because a name led to them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::policy::network::{Allowed, merge};

use super::KernelError;
use super::leave::Leave;
use super::open_peers::OpenPeer;
use super::runtime::Inner;

/// Addresses that a session can have open at once. Beyond that, the one that expires first is closed,
/// but never the one that has just been opened.
const MOST: usize = 4096;

/// Names that are remembered of one address; the oldest goes first.
const MOST_NAMES: usize = 32;

/// A session's named addresses. Clones share them; the session's end closes them all.
#[derive(Clone)]
pub struct NamedAddresses {
    inner: Arc<Inner>,
    cgroup_id: u64,
    /// `None` once the session has ended.
    state: Arc<Mutex<Option<State>>>,
}

struct State {
    /// By address; IPv4 as `::ffff:a.b.c.d`.
    addresses: HashMap<[u8; 16], Known>,
    leave: Leave,
}

/// An address that names have led to.
#[derive(Clone, Default)]
struct Known {
    names: Vec<String>,
    /// What the policy allows there.
    allowed: Vec<Allowed>,
    /// What of it is open.
    open: Vec<Allowed>,
    until: u64,
}

impl NamedAddresses {
    pub(super) fn new(inner: Arc<Inner>, cgroup_id: u64) -> Self {
        let state = State { addresses: HashMap::new(), leave: Leave::Everything };
        Self { inner, cgroup_id, state: Arc::new(Mutex::new(Some(state))) }
    }

    /// Lets the session begin connections to an address for a while, because `name` led to it, as far
    /// as the session's leave goes. What was known of the address before stays known at least as long.
    /// Connections that have begun outlast it.
    pub fn open(
        &self,
        address: IpAddr,
        name: &str,
        allowed: &[Allowed],
        lives: Duration,
    ) -> Result<(), KernelError> {
        let mut state = self.lock();
        let Some(State { addresses, leave }) = state.as_mut() else {
            return Err(KernelError::SessionOver);
        };
        let key = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let lives = u64::try_from(lives.as_nanos()).unwrap_or(u64::MAX);
        let mut known = addresses.get(&key).cloned().unwrap_or_default();
        known.until = since_boot().saturating_add(lives).max(known.until);
        for port in allowed {
            if !known.allowed.contains(port) {
                known.allowed.push(*port);
            }
        }
        if !known.names.iter().any(|other| other == name) {
            if known.names.len() >= MOST_NAMES {
                known.names.remove(0);
            }
            known.names.push(name.to_owned());
        }
        known.open = leave.named(&known.names, &known.allowed);
        self.inner.tables().open_name(self.cgroup_id, key, &known.open, known.until)?;
        addresses.insert(key, known);
        if addresses.len() > MOST
            && let Some(oldest) = addresses
                .iter()
                .filter(|(address, _)| **address != key)
                .min_by_key(|(_, one)| one.until)
                .map(|(address, _)| *address)
        {
            addresses.remove(&oldest);
            self.inner.tables().close_name(self.cgroup_id, oldest);
        }
        Ok(())
    }

    /// Opens and closes what is known, and judges by this leave what comes. On an error nothing is open
    /// that neither this leave nor the one before opens.
    pub(super) fn set_leave(&self, leave: &Leave) -> Result<(), KernelError> {
        let mut state = self.lock();
        let Some(State { addresses, leave: now }) = state.as_mut() else {
            return Err(KernelError::SessionOver);
        };
        now.clone_from(leave);
        // All of them, also when the leave is the same: an earlier change may have stopped half-way.
        for (key, known) in addresses {
            let open = leave.named(&known.names, &known.allowed);
            if open != known.open {
                self.inner.tables().open_name(self.cgroup_id, *key, &open, known.until)?;
                known.open = open;
            }
        }
        Ok(())
    }

    /// Judges anew what every name opened that led somewhere, and closes what none opens any more. On an error
    /// some of what was open before may still be.
    pub fn judge_anew(
        &self,
        allowed: impl Fn(IpAddr, &str) -> Option<Vec<Allowed>>,
    ) -> Result<(), KernelError> {
        let mut state = self.lock();
        let Some(State { addresses, leave }) = state.as_mut() else {
            return Err(KernelError::SessionOver);
        };
        let tables = self.inner.tables();
        let mut closed = Vec::new();
        for (key, known) in addresses.iter_mut() {
            let address = IpAddr::V6(Ipv6Addr::from(*key)).to_canonical();
            let mut all = Vec::new();
            known.names.retain(|name| {
                let opens = allowed(address, name);
                all.extend(opens.iter().flatten().copied());
                opens.is_some()
            });
            known.allowed = merge(all.into_iter());
            if known.names.is_empty() {
                tables.close_name(self.cgroup_id, *key);
                closed.push(*key);
                continue;
            }
            let open = leave.named(&known.names, &known.allowed);
            if open != known.open {
                tables.open_name(self.cgroup_id, *key, &open, known.until)?;
                known.open = open;
            }
        }
        addresses.retain(|key, _| !closed.contains(key));
        Ok(())
    }

    /// The addresses that may be reached now, with the names that led there.
    pub(super) fn open_now(&self) -> Vec<OpenPeer> {
        let (state, now) = (self.lock(), since_boot());
        let known = state.iter().flat_map(|state| &state.addresses);
        let open = known.filter(|(_, known)| known.until > now && !known.open.is_empty());
        open.map(|(address, known)| {
            OpenPeer::named((*address).into(), known.names.clone(), known.open.clone())
        })
        .collect()
    }

    /// Closes all, for good.
    pub(super) fn close(&self) {
        for address in self.lock().take().into_iter().flat_map(|state| state.addresses.into_keys())
        {
            self.inner.tables().close_name(self.cgroup_id, address);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nanoseconds since boot, suspend included.
fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(0))
}
