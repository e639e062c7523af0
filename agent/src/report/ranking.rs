//! Counting things by what a log says of them: in bounded room, and with everything counted somewhere.

use std::collections::BTreeMap;

/// What is known of things, by their names. When there is no more room, new names are counted together.
#[derive(Debug, Clone)]
pub(super) struct Ranking<K, V> {
    kept: BTreeMap<K, V>,
    most: usize,
    beyond: u64,
}

impl<K: Ord, V: Default> Ranking<K, V> {
    /// With room for so many names.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: BTreeMap::new(), most, beyond: 0 }
    }

    /// What is known of a thing; `None` when it is only counted.
    pub(super) fn of(&mut self, name: K) -> Option<&mut V> {
        self.of_within(name, self.most)
    }

    /// The same for names that strangers choose, which shall not take all the room.
    pub(super) fn of_stranger(&mut self, name: K) -> Option<&mut V> {
        self.of_within(name, self.most / 4)
    }

    fn of_within(&mut self, name: K, most: usize) -> Option<&mut V> {
        if self.kept.len() >= most && !self.kept.contains_key(&name) {
            self.beyond += 1;
            return None;
        }
        Some(self.kept.entry(name).or_default())
    }

    /// How many names are told apart.
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How often something was counted whose name had no room.
    pub(super) fn beyond(&self) -> u64 {
        self.beyond
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.kept.iter()
    }

    /// The first `most` by an order, the largest first; and how many more there are.
    pub(super) fn top<R: Ord>(
        &self,
        most: usize,
        rank: impl Fn(&V) -> R,
    ) -> (Vec<(&K, &V)>, usize) {
        let mut all: Vec<_> = self.kept.iter().collect();
        all.sort_by_key(|(_, value)| std::cmp::Reverse(rank(value))); // Stable: names in their order.
        let more = all.len().saturating_sub(most);
        all.truncate(most);
        (all, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(ranking: &mut Ranking<u32, u64>, name: u32) {
        if let Some(count) = ranking.of(name) {
            *count += 1;
        }
    }

    #[test]
    fn nothing_is_counted_nowhere() {
        let mut ranking = Ranking::new(3);
        for name in [7, 8, 9, 10, 7, 11] {
            count(&mut ranking, name);
        }
        let kept: u64 = ranking.iter().map(|(_, count)| count).sum();
        assert_eq!((ranking.len(), kept, ranking.beyond()), (3, 4, 2));
        let (top, more) = ranking.top(2, |count| *count);
        assert_eq!((top, more), (vec![(&7, &2), (&8, &1)], 1));
    }

    #[test]
    fn strangers_leave_room() {
        let mut ranking: Ranking<u32, u64> = Ranking::new(8);
        for name in 0..100 {
            if let Some(count) = ranking.of_stranger(name) {
                *count += 1;
            }
        }
        assert_eq!((ranking.len(), ranking.beyond()), (2, 98));
        (100..106).for_each(|name| count(&mut ranking, name));
        assert_eq!((ranking.len(), ranking.beyond()), (8, 98));
        count(&mut ranking, 106);
        assert_eq!(ranking.beyond(), 99);
    }
}
