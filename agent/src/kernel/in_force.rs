//! The policy of one session as it is in the kernel: its tables, what of them is open, and what was in
//! force before.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use warrantd_common::SessionPolicy;

use crate::policy::Need;
use crate::policy::network::Table;

use super::KernelError;
use super::doors::Doors;
use super::file_rules::FileRules;
use super::leave::Leave;
use super::retired::Retired;
use super::runtime::Inner;

/// Parts of a network table that stay in the kernel when they are closed, for the next call that needs
/// the same peers.
const PARTS: usize = 16;
/// The same for rules on files, which are more.
const KEPT: usize = 4;

/// A session's policy in the kernel.
pub(super) struct InForce {
    inner: Arc<Inner>,
    cgroup_id: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Everything that the policy lists.
    network: Option<(u32, Table)>,
    /// What of it may be open: `None` for all.
    needs: Option<Vec<Need>>,
    /// Parts of `network`, the one used last at the end.
    parts: Vec<Part>,
    /// Local ports, the resolver, and who may come in.
    doors: Doors,
    /// Rules on files.
    files: Option<(u32, FileRules)>,
    /// Rules on files that were in force and may be again, the latest at the end.
    kept: Vec<(u32, FileRules)>,
    /// Rules on unix sockets.
    unix: Option<(u32, FileRules)>,
    /// What was in force before, as long as a program may still read it.
    retired: Retired<Old>,
}

/// What of the network is open when these peers are needed.
struct Part {
    needs: Vec<Need>,
    generation: u32,
    table: Table,
}

/// A table that was in force, and its generation.
enum Old {
    Network(u32, Table),
    Files(u32, FileRules),
}

/// The number of a set of rules, 0 for none.
fn number<T>(numbered: Option<&(u32, T)>) -> u32 {
    numbered.map_or(0, |(generation, _)| *generation)
}

impl State {
    /// The number of the table that is open.
    fn open(&self) -> u32 {
        match &self.needs {
            None => number(self.network.as_ref()),
            Some(needs) => self.part(needs).map_or(0, |part| part.generation),
        }
    }

    fn part(&self, needs: &[Need]) -> Option<&Part> {
        self.parts.iter().find(|part| part.needs == needs)
    }

    /// The policy as the programs read it.
    fn compose(&self) -> SessionPolicy {
        let mut policy = self.doors.policy();
        policy.generation = number(self.network.as_ref());
        policy.open = self.open();
        policy.files = number(self.files.as_ref());
        policy.unix = number(self.unix.as_ref());
        policy
    }
}

impl InForce {
    pub(super) fn new(inner: Arc<Inner>, cgroup_id: u64) -> Self {
        Self { inner, cgroup_id, state: Mutex::default() }
    }

    /// See [`Session::set_network`](super::Session::set_network).
    pub(super) fn set_network(&self, table: &Table) -> Result<(), KernelError> {
        let mut state = self.lock_with_room();
        let generation = self.inner.next_generation();
        let part = match &state.needs {
            Some(needs) if !needs.is_empty() => Some(self.insert_part(table, needs.clone())?),
            _ => None,
        };
        let mut next = state.compose();
        next.generation = generation;
        next.open = match &state.needs {
            None => generation,
            Some(_) => part.as_ref().map_or(0, |part| part.generation),
        };
        if let Err(error) = self.switch_network(next, table) {
            if let Some(part) = &part {
                self.inner.tables().remove_rules(part.generation, &part.table);
            }
            return Err(error);
        }
        let now = Instant::now();
        if let Some((old, table)) = state.network.replace((generation, table.clone())) {
            state.retired.push(Old::Network(old, table), now);
        }
        // They were parts of the table that is replaced.
        for old in std::mem::replace(&mut state.parts, part.into_iter().collect()) {
            state.retired.push(Old::Network(old.generation, old.table), now);
        }
        self.remove_outlived(&mut state);
        Ok(())
    }

    /// See [`Session::set_leave`](super::Session::set_leave); by address alone.
    pub(super) fn set_leave(&self, leave: &Leave) -> Result<(), KernelError> {
        let needs = leave.needs();
        let mut state = self.lock();
        if state.needs == needs {
            return Ok(());
        }
        if let (Some(wanted), Some((_, table))) = (&needs, &state.network)
            && !wanted.is_empty()
        {
            if let Some(index) = state.parts.iter().position(|part| part.needs == *wanted) {
                // Used last, kept longest.
                state.parts[index..].rotate_left(1);
            } else {
                let part = self.insert_part(table, wanted.clone())?;
                state.parts.push(part);
            }
        }
        let before = std::mem::replace(&mut state.needs, needs);
        if let Err(error) = self.inner.tables().set_policy(self.cgroup_id, state.compose()) {
            state.needs = before;
            return Err(error);
        }
        if state.parts.len() > PARTS {
            self.make_room(&mut state);
            let Part { generation, table, .. } = state.parts.remove(0);
            state.retired.push(Old::Network(generation, table), Instant::now());
            self.remove_outlived(&mut state);
        }
        Ok(())
    }

    /// What of the network may be reached now, by address.
    pub(super) fn open_now(&self) -> Table {
        let state = self.lock();
        match &state.needs {
            None => state.network.as_ref().map(|(_, table)| table.clone()).unwrap_or_default(),
            Some(needs) => state.part(needs).map(|part| part.table.clone()).unwrap_or_default(),
        }
    }

    fn insert_part(&self, whole: &Table, needs: Vec<Need>) -> Result<Part, KernelError> {
        let table = whole.narrowed(&needs);
        let generation = self.inner.next_generation();
        self.inner.tables().insert_rules(generation, &table)?;
        Ok(Part { needs, generation, table })
    }

    /// See [`Session::set_doors`](super::Session::set_doors).
    pub(super) fn set_doors(&self, doors: Doors) -> Result<(), KernelError> {
        let mut state = self.lock_with_room();
        let next = doors.unix_rules().map(|rules| (self.inner.next_generation(), rules));
        let (before, mut now) = (state.compose(), doors.policy());
        now.generation = before.generation;
        now.open = before.open;
        now.files = before.files;
        now.unix = number(next.as_ref());
        self.switch(now, next.as_ref())?;
        state.doors = doors;
        if let Some((old, rules)) = std::mem::replace(&mut state.unix, next) {
            state.retired.push(Old::Files(old, rules), Instant::now());
        }
        self.remove_outlived(&mut state);
        Ok(())
    }

    /// See [`Session::set_files`](super::Session::set_files).
    pub(super) fn set_files(&self, rules: Option<FileRules>) -> Result<(), KernelError> {
        let mut state = self.lock_with_room();
        let mut now = state.compose();
        let known = state.kept.iter().position(|(_, kept)| Some(kept) == rules.as_ref());
        let next = if let Some(index) = known {
            now.files = state.kept[index].0;
            self.inner.tables().set_policy(self.cgroup_id, now)?;
            Some(state.kept.remove(index))
        } else {
            let next = rules.map(|rules| (self.inner.next_generation(), rules));
            now.files = number(next.as_ref());
            self.switch(now, next.as_ref())?;
            next
        };
        let old = std::mem::replace(&mut state.files, next);
        state.kept.extend(old);
        if state.kept.len() > KEPT {
            let (generation, rules) = state.kept.remove(0);
            state.retired.push(Old::Files(generation, rules), Instant::now());
        }
        self.remove_outlived(&mut state);
        Ok(())
    }

    /// Fills in a network table, then makes it part of the policy in one step. On an error it does not
    /// stay.
    fn switch_network(&self, policy: SessionPolicy, table: &Table) -> Result<(), KernelError> {
        let tables = self.inner.tables();
        tables.insert_rules(policy.generation, table)?;
        let switched = tables.set_policy(self.cgroup_id, policy);
        if switched.is_err() {
            tables.remove_rules(policy.generation, table);
        }
        switched
    }

    /// Fills in file rules, then makes them part of the policy in one step. On an error none stay.
    fn switch(
        &self,
        policy: SessionPolicy,
        next: Option<&(u32, FileRules)>,
    ) -> Result<(), KernelError> {
        let tables = self.inner.tables();
        if let Some((generation, rules)) = next {
            tables.insert_files(*generation, rules)?;
        }
        let switched = tables.set_policy(self.cgroup_id, policy);
        if let (Err(_), Some((generation, rules))) = (&switched, next) {
            tables.remove_files(*generation, rules);
        }
        switched
    }

    /// Removes everything, when no process of the session is left.
    pub(super) fn end(&self) {
        let state = std::mem::take(&mut *self.lock());
        let files = state.files.into_iter().chain(state.kept).chain(state.unix);
        let files = files.map(|(generation, rules)| Old::Files(generation, rules));
        let parts = state.parts.into_iter().map(|part| (part.generation, part.table));
        let tables = state.network.into_iter().chain(parts);
        let tables = tables.map(|(generation, table)| Old::Network(generation, table));
        for old in state.retired.into_all().chain(files).chain(tables) {
            self.remove(&old);
        }
    }

    /// The state, once there is room for one more replaced table.
    fn lock_with_room(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        self.make_room(&mut state);
        state
    }

    fn make_room(&self, state: &mut State) {
        while let Some(wait) = state.retired.until_room(Instant::now()) {
            thread::sleep(wait);
            self.remove_outlived(state);
        }
    }

    fn remove_outlived(&self, state: &mut State) {
        for old in state.retired.take_outlived(Instant::now()) {
            self.remove(&old);
        }
    }

    fn remove(&self, old: &Old) {
        match old {
            Old::Network(generation, table) => {
                self.inner.tables().remove_rules(*generation, table);
            }
            Old::Files(generation, rules) => self.inner.tables().remove_files(*generation, rules),
        }
    }

    /// What a panicking thread left behind is still consistent: every change is one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
