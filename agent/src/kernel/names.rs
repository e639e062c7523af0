//! Addresses that a session may reach because a name led to them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::policy::network::Allowed;

use super::KernelError;
use super::runtime::Inner;

/// Addresses that a session can have open at once. Beyond that, the one that expires first is closed,
/// but never the one that has just been opened.
const MOST: usize = 4096;

/// A session's named addresses. Clones share them; the session's end closes them all.
#[derive(Clone)]
pub struct NamedAddresses {
    inner: Arc<Inner>,
    cgroup_id: u64,
    /// `None` once the session has ended.
    open: Arc<Mutex<Option<Addresses>>>,
}

/// What is open, by address; IPv4 as `::ffff:a.b.c.d`.
type Addresses = HashMap<[u8; 16], Opened>;

#[derive(Default)]
struct Opened {
    allowed: Vec<Allowed>,
    until: u64,
}

impl NamedAddresses {
    pub(super) fn new(inner: Arc<Inner>, cgroup_id: u64) -> Self {
        Self { inner, cgroup_id, open: Arc::new(Mutex::new(Some(HashMap::new()))) }
    }

    /// Lets the session begin connections to an address for a while. What was opened there before stays
    /// open at least as long. Connections that have begun outlast it.
    pub fn open(
        &self,
        address: IpAddr,
        allowed: &[Allowed],
        lives: Duration,
    ) -> Result<(), KernelError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(addresses) = open.as_mut() else { return Err(KernelError::SessionOver) };
        let key = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let lives = u64::try_from(lives.as_nanos()).unwrap_or(u64::MAX);
        let before = addresses.get(&key);
        let until = since_boot().saturating_add(lives).max(before.map_or(0, |before| before.until));
        let mut ports = before.map_or_else(Vec::new, |before| before.allowed.clone());
        ports.extend(
            allowed.iter().filter(|port| !ports.contains(port)).copied().collect::<Vec<_>>(),
        );
        self.inner.tables().open_name(self.cgroup_id, key, &ports, until)?;
        addresses.insert(key, Opened { allowed: ports, until });
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

    /// Closes all, for good.
    pub(super) fn close(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for address in open.take().into_iter().flatten().map(|(address, _)| address) {
            self.inner.tables().close_name(self.cgroup_id, address);
        }
    }
}

/// Nanoseconds since boot, suspend included.
fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(0))
}
