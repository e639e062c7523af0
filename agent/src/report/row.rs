//! The records that a report lists one by one: bounded in number, those that matter most first.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::outcome::Weight;
use super::scope::Relation;

/// Bytes of the lines of records that are listed, at most: a page of more opens nowhere.
const ROOM: usize = 16 << 20;

/// Where a record is: the index of its log, and its number there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) log: usize,
    pub(super) seq: u64,
}

impl Spot {
    pub(super) fn of(entry: &Entry) -> Self {
        Self { log: entry.log, seq: entry.seq }
    }

    /// Its id in the page.
    pub(super) fn id(self) -> String {
        format!("r{}-{}", self.log, self.seq)
    }
}

/// A record that is listed.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) entry: Entry,
    pub(super) relation: Relation,
    pub(super) weight: Weight,
    /// Whether verification found nothing wrong with its line.
    pub(super) sound: bool,
    /// Bytes of its line.
    pub(super) bytes: usize,
}

/// What is listed rather than others: what is not sound, what was asked for, what is grave, what is near, and
/// of what is equal the latest.
type Rank = (bool, bool, Weight, bool, String, Spot);

/// The records that are listed.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    kept: BTreeMap<Rank, Row>,
    most: usize,
    /// Bytes of the lines of those that are kept.
    bytes: usize,
    /// Records that are not listed: grave, notable, ordinary.
    left_out: BTreeMap<Weight, u64>,
}

impl Rows {
    /// At most so many.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: BTreeMap::new(), most, bytes: 0, left_out: BTreeMap::new() }
    }

    /// Takes a record, or its place among those that are not listed.
    pub(super) fn take(&mut self, row: Row) {
        let Row { entry, relation, .. } = &row;
        let rank = (
            !row.sound,
            *relation == Relation::Itself,
            row.weight,
            *relation != Relation::Around,
            entry.timestamp.as_str().to_owned(),
            Spot::of(entry),
        );
        let full = self.kept.len() >= self.most || self.bytes + row.bytes > ROOM;
        if full && self.kept.first_key_value().is_none_or(|(least, _)| rank <= *least) {
            return self.leave_out(row.weight);
        }
        self.bytes += row.bytes;
        self.kept.insert(rank, Row { entry: row.entry.shortened(), ..row });
        while self.kept.len() > self.most || self.bytes > ROOM {
            let Some((_, row)) = self.kept.pop_first() else { return };
            self.bytes -= row.bytes;
            self.leave_out(row.weight);
        }
    }

    fn leave_out(&mut self, weight: Weight) {
        *self.left_out.entry(weight).or_default() += 1;
    }

    /// In the order of time.
    pub(super) fn by_time(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.kept.values().collect();
        rows.sort_by_cached_key(|row| (row.entry.timestamp.as_str(), Spot::of(&row.entry)));
        rows
    }

    /// Whether a record is listed.
    pub(super) fn has(&self, spot: Spot) -> bool {
        self.kept.values().any(|row| Spot::of(&row.entry) == spot)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many of a weight are not listed.
    pub(super) fn left_out(&self, weight: Weight) -> u64 {
        self.left_out.get(&weight).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(rows: &mut Rows, seq: u64, weight: Weight, relation: Relation) {
        let timestamp = format!("2026-01-31T12:00:{seq:02}.000Z");
        let entry = Entry { seq, timestamp: timestamp.as_str().into(), ..Entry::default() };
        rows.take(Row { entry, relation, weight, sound: true, bytes: 1 });
    }

    fn seqs(rows: &Rows) -> Vec<u64> {
        rows.by_time().iter().map(|row| row.entry.seq).collect()
    }

    #[test]
    fn what_matters_stays_and_the_rest_is_counted() {
        let mut rows = Rows::new(4);
        let range = Relation::Range;
        take(&mut rows, 1, Weight::Grave, range);
        (2..10).for_each(|seq| take(&mut rows, seq, Weight::Ordinary, range));
        take(&mut rows, 10, Weight::Notable, range);
        assert_eq!(seqs(&rows), [1, 8, 9, 10]);
        assert_eq!(rows.left_out(Weight::Ordinary), 6);
        (11..20).for_each(|seq| take(&mut rows, seq, Weight::Grave, range));
        assert_eq!(seqs(&rows), [16, 17, 18, 19]);
        assert_eq!(rows.left_out(Weight::Grave), 6);
        assert_eq!(rows.left_out(Weight::Notable), 1);
        take(&mut rows, 20, Weight::Ordinary, Relation::Itself);
        assert_eq!(seqs(&rows), [17, 18, 19, 20], "what was asked for comes first");
    }

    #[test]
    fn long_records_take_the_room_of_many() {
        let mut rows = Rows::new(10);
        for seq in 1..=3 {
            let (relation, weight) = (Relation::Range, Weight::Ordinary);
            let timestamp = format!("2026-01-31T12:00:{seq:02}.000Z");
            let entry = Entry { seq, timestamp: timestamp.as_str().into(), ..Entry::default() };
            rows.take(Row { entry, relation, weight, sound: true, bytes: ROOM / 2 });
        }
        assert_eq!((seqs(&rows), rows.left_out(Weight::Ordinary)), (vec![2, 3], 1));
    }

    #[test]
    fn a_report_may_list_none() {
        let mut rows = Rows::new(0);
        take(&mut rows, 1, Weight::Grave, Relation::Range);
        assert_eq!((rows.len(), rows.left_out(Weight::Grave)), (0, 1));
    }
}
