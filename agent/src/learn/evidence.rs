//! Where something was seen.

use std::collections::BTreeSet;

use super::item::{Seen, Unit};

/// A record's place: its file among the log's, by name, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// Index of the file.
    pub(super) file: usize,
    /// Number of the record.
    pub(super) seq: u64,
}

/// The records that show something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Evidence(BTreeSet<Place>);

impl Evidence {
    pub(super) fn of(place: Place) -> Self {
        Self(BTreeSet::from([place]))
    }

    pub(super) fn add(&mut self, place: Place) {
        self.0.insert(place);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The numbers of the records.
    pub(super) fn seqs(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|place| place.seq)
    }

    /// In the words of the policy; `files` are the names of the log's files.
    pub(super) fn seen(&self, unit: Unit, files: &[String]) -> Seen {
        let first = self.0.first();
        Seen {
            unit,
            count: self.0.len(),
            first_seq: first.map_or(0, |place| place.seq),
            file: first
                .and_then(|place| files.get(place.file))
                .filter(|_| files.len() > 1)
                .cloned(),
        }
    }
}
