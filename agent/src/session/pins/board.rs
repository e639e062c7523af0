//! The pins of a server, shared by its sessions.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::notice::{Notice, What};
use super::seen::Seen;
use super::store::{Stamp, Store, StoreError, entry};
use crate::audit;
use crate::config::{ConfigError, OnChange, OnNew, PinningSection};
use crate::policy::pin::{Definition, near_name};

/// Definitions that are remembered without a file.
const MAX_REMEMBERED: usize = 1024;

/// What was accepted of a server's tools, and what happens to the rest.
#[derive(Debug)]
pub(crate) struct Pins {
    /// `None`: there is no file and nothing is denied; changes are told.
    kept: Option<Kept>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Kept {
    on_change: OnChange,
    on_new: OnNew,
    store: Store,
    /// What was seen and is not accepted, for `warrantd pin`.
    seen: Store,
}

#[derive(Debug, Default)]
struct State {
    accepted: BTreeMap<String, Definition>,
    stamp: Option<Stamp>,
}

/// What follows from a page of a list.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// For each tool of the page, whether its definition may be used.
    pub(crate) usable: Vec<bool>,
    pub(crate) notices: Vec<Notice>,
}

impl Pins {
    /// Pins as policy wants them. A section without a file counts as none.
    pub(crate) fn open(section: Option<&PinningSection>) -> Result<Self, ConfigError> {
        let kept = section.and_then(|section| {
            let store = Store::new(section.file.clone()?);
            let PinningSection { on_change, on_new, .. } = *section;
            Some(Kept { on_change, on_new, seen: store.of_seen(), store })
        });
        let mut state = State::default();
        if let Some(kept) = &kept {
            let content = kept.store.load()?;
            state = State { accepted: content.definitions, stamp: content.stamp };
        }
        Ok(Self { kept, state: Mutex::new(state) })
    }

    /// Takes note of a page that a session's server listed. The items that cannot be read are `None`. `who`
    /// is whose session it is, `cursor` what was asked for and `next` what the answer names.
    pub(crate) fn meet(
        &self,
        page: &[Option<Definition>],
        (cursor, next): (Option<&str>, Option<&str>),
        session: &mut Seen,
        who: &str,
    ) -> Result<Met, StoreError> {
        let mut state = self.lock();
        let before: HashSet<String> = match &self.kept {
            Some(kept) => {
                kept.refresh(&mut state)?;
                let before = state.accepted.keys().cloned().collect();
                kept.accept_new(&mut state, page, who)?;
                before
            }
            None => state.accepted.keys().cloned().collect(),
        };
        let mut met = Met::default();
        let (mut bad, mut fine) = (Vec::new(), Vec::new());
        for definition in page {
            let Some(definition) = definition else {
                met.usable.push(self.kept.is_none());
                continue;
            };
            let (usable, what) = self.judge(&mut state, definition);
            let name = definition.name();
            let near = || near_name(name, before.iter().map(String::as_str)).map(str::to_owned);
            let new = !before.contains(name);
            let similar_to = if new { near() } else { None };
            let told = similar_to.is_some() || self.tells_new();
            let what = what.or_else(|| (new && told).then_some((What::New, None)));
            if let Some((what, old)) = what
                && session.tell(name, definition.hash())
            {
                let (tool, new) = (name.to_owned(), Some(definition.clone()));
                met.notices.push(Notice { what, tool, old, new, similar_to });
            }
            (if usable { &mut fine } else { &mut bad }).push(definition);
            met.usable.push(usable);
        }
        // A tool that stands twice, once as accepted and once not, is not as accepted.
        for definition in fine.into_iter().chain(bad) {
            session.note(definition.name(), definition.hash());
        }
        let names = page.iter().flatten().map(|definition| definition.name().to_owned());
        if let Some(listed) = session.page(cursor, names, next) {
            let mut gone = Vec::new();
            for (name, old) in &state.accepted {
                if session.newly_gone(name, listed.contains(name)) {
                    gone.push(name.clone());
                    let (tool, old) = (name.clone(), Some(old.clone()));
                    let what = What::Vanished;
                    met.notices.push(Notice { what, tool, old, new: None, similar_to: None });
                }
            }
            if self.kept.is_none() {
                // Without a file the last list counts.
                state.accepted.retain(|name, _| !gone.contains(name));
            }
        }
        drop(state);
        if let Some(kept) = &self.kept {
            kept.remember(&met.notices, who);
        }
        Ok(met)
    }

    /// Whether a call of a tool may go on in a session; the error says why not, and the way out.
    pub(crate) fn admit(&self, tool: &str, session: &Seen) -> Result<(), String> {
        let Some(kept) = &self.kept else { return Ok(()) };
        let mut state = self.lock();
        if let Err(error) = kept.refresh(&mut state) {
            tracing::error!("the accepted definitions cannot be read:\n{error}");
            return Err("the accepted definitions of tools cannot be read".to_owned());
        }
        let accepted = state.accepted.get(tool);
        if accepted.is_none() && kept.on_new == OnNew::Deny {
            return Err(format!("tool `{tool}` was never accepted; `warrantd pin` does so"));
        }
        if kept.on_change == OnChange::Report {
            return Ok(());
        }
        match (session.hash_of(tool), accepted) {
            (Some(hash), Some(accepted)) if hash == accepted.hash() => Ok(()),
            (Some(_), _) => Err(format!(
                "tool `{tool}` is not defined any more as it was accepted; `warrantd pin` shows the \
                 difference and accepts it"
            )),
            (None, _) => Err(format!(
                "tool `{tool}` was not listed in this session; its definition is checked then, so \
                 send tools/list first"
            )),
        }
    }

    /// Whether a definition may be used, and what is to be told of it, with the one that was accepted.
    fn judge(
        &self,
        state: &mut State,
        definition: &Definition,
    ) -> (bool, Option<(What, Option<Definition>)>) {
        let accepted = state.accepted.get(definition.name());
        match (accepted, &self.kept) {
            (Some(old), _) if old.hash() == definition.hash() => (true, None),
            (Some(old), Some(_)) => {
                (!self.denies_changes(), Some((What::Changed, Some(old.clone()))))
            }
            (None, Some(_)) => (false, Some((What::New, None))),
            // Without a file the last one seen counts, and each change is told once.
            (old, None) => {
                let old = old.cloned();
                if old.is_some() || state.accepted.len() < MAX_REMEMBERED {
                    state.accepted.insert(definition.name().to_owned(), definition.clone());
                }
                (true, old.map(|old| (What::Changed, Some(old))))
            }
        }
    }

    /// Whether a user could change the files by himself, so that a server who runs as that user can try.
    pub(crate) fn writable_by(&self, uid: u32, gid: u32) -> Option<&Path> {
        let store = &self.kept.as_ref()?.store;
        store.writable_by(uid, gid).then(|| store.file())
    }

    fn tells_new(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.on_new == OnNew::Report)
    }

    fn denies_changes(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.on_change == OnChange::Deny)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one step, so what a panic left is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Reads the file again when it is not the one that was read.
    fn refresh(&self, state: &mut State) -> Result<(), StoreError> {
        let file = self.store.file().to_owned();
        let stamp = self.store.stamp().map_err(|source| StoreError::Read { file, source })?;
        if stamp != state.stamp {
            let content = self.store.load()?;
            *state = State { accepted: content.definitions, stamp: content.stamp };
            tracing::info!(tools = state.accepted.len(), "read {}", self.store.file().display());
        }
        Ok(())
    }

    /// Accepts what is seen first, where policy says so. What another process accepted meanwhile stays.
    fn accept_new(
        &self,
        state: &mut State,
        page: &[Option<Definition>],
        who: &str,
    ) -> Result<(), StoreError> {
        let unknown = |definition: &&Definition| !state.accepted.contains_key(definition.name());
        let new: Vec<_> = page.iter().flatten().filter(unknown).collect();
        if new.is_empty() || self.on_new == OnNew::Deny {
            return Ok(());
        }
        let by = format!("first sight, in a session of {who}");
        let content = self.store.update(|file| {
            for definition in new {
                let name = definition.name().to_owned();
                file.tools.entry(name).or_insert_with(|| entry(definition, audit::now(), &by));
            }
            true
        })?;
        *state = State { accepted: content.definitions, stamp: content.stamp };
        Ok(())
    }

    /// Notes what is not as accepted, for `warrantd pin`. The audit log has it, so a failure costs comfort.
    fn remember(&self, notices: &[Notice], who: &str) {
        let differs = |notice: &&Notice| {
            notice.what == What::Changed || (notice.what == What::New && self.on_new == OnNew::Deny)
        };
        let new: Vec<_> = notices.iter().filter(differs).filter_map(|n| n.new.as_ref()).collect();
        if new.is_empty() {
            return;
        }
        let by = format!("session of {who}");
        let done = self.seen.update(|file| {
            let mut changed = false;
            for definition in new {
                let name = definition.name();
                if file.tools.get(name).is_none_or(|entry| entry.hash != definition.hash()) {
                    file.tools.insert(name.to_owned(), entry(definition, audit::now(), &by));
                    changed = true;
                }
            }
            changed
        });
        if let Err(error) = done {
            tracing::warn!("cannot note for `warrantd pin` what a server listed: {error}");
        }
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
