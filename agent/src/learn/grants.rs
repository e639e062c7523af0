//! File effects of one tool, or of a start, on their way to globs.

use std::collections::{BTreeMap, BTreeSet};

use super::access::Access;
use super::evidence::{Evidence, Place};
use super::glob::{Circumstances, temporary};
use super::item::{Item, Unit};
use super::material::{Material, below};
use super::places::{self, Paths};
use super::{glob, review};
use crate::warrant::{Effect, EffectKind, Target};

/// Globs and templates, and the notes on each.
#[derive(Debug, Clone, Default)]
pub(super) struct Globs {
    /// Templates and globs that stand as they are.
    fixed: BTreeMap<String, (Evidence, BTreeSet<String>)>,
    /// Paths that nothing explains.
    paths: Paths,
    /// Notes by path.
    notes: BTreeMap<String, BTreeSet<String>>,
}

impl Globs {
    /// A template or glob that explains something at a place.
    pub(super) fn explained(&mut self, glob: String, at: Place) {
        self.fixed.entry(glob).or_default().0.add(at);
    }

    /// Something about a template or glob that needs eyes.
    pub(super) fn remark(&mut self, glob: &str, note: String) {
        self.fixed.entry(glob.to_owned()).or_default().1.insert(note);
    }

    /// A path that nothing explains.
    pub(super) fn path(
        &mut self,
        path: &str,
        about: Circumstances,
        at: Place,
        note: Option<String>,
    ) {
        let glob = temporary(path, about).or_else(|| of_process(path));
        if let Some(glob) = glob {
            self.explained(glob.clone(), at);
            if let Some(note) = note {
                self.remark(&glob, note);
            }
            return;
        }
        self.paths.entry(path.to_owned()).or_default().add(at);
        self.notes.entry(path.to_owned()).or_default().extend(note);
    }

    /// A path that nothing explains, seen at several places.
    pub(super) fn seen(&mut self, path: &str, from: &Evidence) {
        self.paths.entry(path.to_owned()).or_default().merge(from);
    }

    /// The paths that nothing explains.
    pub(super) fn unexplained(&self) -> impl Iterator<Item = (&String, &Evidence)> {
        self.paths.iter()
    }

    /// Takes a path out.
    pub(super) fn forget(&mut self, path: &str) {
        self.paths.remove(path);
    }

    /// The lines of the policy.
    pub(super) fn items(&self, material: &Material, access: Access, unit: Unit) -> Vec<Item> {
        let mut items = places::touched(material, &self.paths, unit);
        for item in &mut items {
            let own = self.notes.iter().filter(|(path, _)| glob::literal(path) == item.text());
            let notes: Vec<_> = own.flat_map(|(_, notes)| notes.iter().cloned()).collect();
            item.review.extend(notes);
        }
        for (glob, (from, notes)) in &self.fixed {
            let mut item = material.item(glob.clone(), from, unit);
            item.review.extend(notes.iter().cloned());
            items.push(item);
        }
        for item in &mut items {
            remark_access(material, access, item);
        }
        items.sort_by(|a, b| a.text().cmp(b.text()));
        items
    }
}

/// What the access itself makes worth a look.
fn remark_access(material: &Material, access: Access, item: &mut Item) {
    let text = item.text().to_owned();
    match access {
        Access::Write | Access::Delete => {
            let outside = text.starts_with('/') && material.root_of(&text).is_none();
            if outside {
                let what = if access == Access::Write { "writes" } else { "deletes" };
                item.review.insert(0, format!("{what} outside the server's directory"));
            }
        }
        Access::Exec => item.review.insert(0, review::program(&text)),
        Access::Map => item.review.insert(0, "maps code".to_owned()),
        Access::Read => {}
    }
}

/// A file of some process in /proc, whose number is another one each time.
fn of_process(path: &str) -> Option<String> {
    let rest = below(path, "/proc")?;
    let (pid, rest) = rest.split_once('/')?;
    if pid.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parts = rest.split('/').map(|part| {
        let number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if number { "*".to_owned() } else { glob::literal(part) }
    });
    Some(format!("/proc/*/{}", parts.collect::<Vec<_>>().join("/")))
}

/// Paths that were made and taken away or renamed within the same effects.
pub(super) fn transient(effects: &[Effect]) -> BTreeSet<&str> {
    let made = paths_of(effects, &[EffectKind::FileCreate]);
    let gone = paths_of(effects, &[EffectKind::FileDelete, EffectKind::FileRename]);
    made.intersection(&gone).copied().collect()
}

/// Programs that were run. Leave to run a program is leave to read and map it.
pub(super) fn programs(effects: &[Effect]) -> BTreeSet<&str> {
    paths_of(effects, &[EffectKind::Exec])
}

fn paths_of<'a>(effects: &'a [Effect], kinds: &[EffectKind]) -> BTreeSet<&'a str> {
    let own = effects.iter().filter(|effect| kinds.contains(&effect.kind));
    let path = |effect: &'a Effect| match &effect.target {
        Target::File(file) => Some(file.path.as_str()),
        Target::Peer(_) => None,
    };
    own.filter_map(path).collect()
}
