//! Sets of globs that were compiled lately. Compiling takes tens of microseconds, tools often share their rules, and a
//! warrant is written anew for each call.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Sets that are remembered, twice: those of late, and those of before that.
const MOST: usize = 128;

static LATELY: LazyLock<Mutex<Lately>> = LazyLock::new(Mutex::default);

/// What is compiled: absolute globs, and whether case matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) globs: Vec<String>,
    pub(super) any_case: bool,
}

/// Two generations: when the new one is full, it becomes the old one, and what nobody asked for since is forgotten.
#[derive(Default)]
struct Lately {
    new: HashMap<Wanted, Arc<GlobSet>>,
    old: HashMap<Wanted, Arc<GlobSet>>,
}

impl Lately {
    fn find(&mut self, wanted: &Wanted) -> Option<Arc<GlobSet>> {
        if let Some(set) = self.new.get(wanted) {
            return Some(set.clone());
        }
        let (wanted, set) = self.old.remove_entry(wanted)?;
        self.keep(wanted, set.clone());
        Some(set)
    }

    fn keep(&mut self, wanted: Wanted, set: Arc<GlobSet>) {
        if self.new.len() >= MOST {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(wanted, set);
    }
}

/// The set of these globs: `*` and `?` stay within a component. The error is the index of the bad one and why.
pub(super) fn set(wanted: Wanted) -> Result<Arc<GlobSet>, (usize, String)> {
    if let Some(found) = lately(|lately| lately.find(&wanted)) {
        return Ok(found);
    }
    let mut builder = GlobSetBuilder::new();
    for (index, glob) in wanted.globs.iter().enumerate() {
        let glob = GlobBuilder::new(glob)
            .literal_separator(true)
            .case_insensitive(wanted.any_case)
            .backslash_escape(true)
            .build()
            .map_err(|e| (index, format!("not a glob: {}", e.kind())))?;
        builder.add(glob);
    }
    let set = Arc::new(builder.build().map_err(|e| (0, e.to_string()))?);
    lately(|lately| lately.keep(wanted, set.clone()));
    Ok(set)
}

fn lately<T>(with: impl FnOnce(&mut Lately) -> T) -> T {
    // What a panicking thread left behind is a set that is remembered or not.
    with(&mut LATELY.lock().unwrap_or_else(PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(glob: &str, any_case: bool) -> Wanted {
        Wanted { globs: vec![glob.to_owned()], any_case }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_asked_for_stays() {
        let mut lately = Lately::default();
        let keep = |lately: &mut Lately, glob: &str| {
            lately.keep(wanted(glob, false), Arc::new(GlobSet::empty()));
        };
        keep(&mut lately, "/asked");
        for n in 0..10 * MOST {
            keep(&mut lately, &format!("/{n}"));
            assert!(lately.find(&wanted("/asked", false)).is_some(), "after {n}");
        }
        assert!(lately.find(&wanted("/0", false)).is_none());
        assert!(lately.new.len() + lately.old.len() <= 2 * MOST);
    }

    #[test]
    fn sets_are_told_apart_by_all_that_they_are_made_of() {
        let matches = |glob: &str, any_case| {
            let set = set(wanted(glob, any_case)).expect("a glob");
            (set.is_match("/told/Apart"), set.is_match("/told/apart"))
        };
        for _ in 0..2 {
            assert_eq!(matches("/told/apart", false), (false, true));
            assert_eq!(matches("/told/apart", true), (true, true));
            assert_eq!(matches("/told/A*", false), (true, false));
        }
        assert!(set(wanted("/a[b", false)).is_err_and(|(index, _)| index == 0));
    }
}
