//! The schemas that judge a value because another does.

use super::SchemaError;
use super::graph::Node;

/// How many schemas may judge one value, how many steps lead from one to the next, and how many
/// entries the closures of all schemas may have.
const MAX_PER_VALUE: u64 = 10_000;
const MAX_CHAIN: usize = 64;
const MAX_ENTRIES: usize = 1_000_000;

/// Position of a node in the graph.
pub(super) type NodeId = usize;

/// A schema that judges a value because another does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) node: NodeId,
    /// How many ways lead to it, which is how often the validator may judge by it.
    pub(super) times: u64,
    /// Whether what it declares counts: not below `not`.
    pub(super) declares: bool,
}

/// Follows the edges between schemas that judge the same value.
pub(super) struct Closures<'a> {
    nodes: &'a [Node],
    done: Vec<Option<Vec<State>>>,
    active: Vec<bool>,
    entries: usize,
}

impl<'a> Closures<'a> {
    /// For each node, all that judge a value when it does, itself included.
    pub(super) fn of(nodes: &'a [Node]) -> Result<Vec<Vec<State>>, SchemaError> {
        let (done, active) = (vec![None; nodes.len()], vec![false; nodes.len()]);
        let mut closures = Self { nodes, done, active, entries: 0 };
        for id in 0..nodes.len() {
            closures.close(id, 0)?;
        }
        Ok(closures.done.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Computes the closure of one node. A chain is at most [`MAX_CHAIN`] long, which bounds the
    /// recursion here and in the validator.
    fn close(&mut self, id: NodeId, chain: usize) -> Result<(), SchemaError> {
        if self.done.get(id).is_none_or(Option::is_some) {
            return Ok(());
        }
        if self.active.get(id) == Some(&true) {
            return Err(SchemaError::Circular("$ref".to_owned()));
        }
        if chain > MAX_CHAIN {
            return Err(SchemaError::TooLarge("a chain of more than 64 references"));
        }
        self.set_active(id, true);
        let mut states = vec![State { node: id, times: 1, declares: true }];
        for &(next, declares) in self.nodes.get(id).map_or(&[][..], |node| &node.same) {
            self.close(next, chain + 1)?;
            let below = self.done.get(next).and_then(Option::as_deref).unwrap_or_default();
            states.extend(
                below.iter().map(|state| State { declares: state.declares && declares, ..*state }),
            );
        }
        self.set_active(id, false);
        merge(&mut states);
        if total(&states) > MAX_PER_VALUE {
            return Err(SchemaError::TooLarge("more than 10,000 branches for one value"));
        }
        self.entries += states.len();
        if self.entries > MAX_ENTRIES {
            return Err(SchemaError::TooLarge("too many branches that refer to one another"));
        }
        if let Some(place) = self.done.get_mut(id) {
            *place = Some(states);
        }
        Ok(())
    }

    fn set_active(&mut self, id: NodeId, active: bool) {
        if let Some(place) = self.active.get_mut(id) {
            *place = active;
        }
    }
}

/// Joins states of the same node.
pub(super) fn merge(states: &mut Vec<State>) {
    states.sort_unstable_by_key(|state| (state.node, state.declares));
    states.dedup_by(|next, first| {
        let same = (next.node, next.declares) == (first.node, first.declares);
        if same {
            first.times = first.times.saturating_add(next.times);
        }
        same
    });
}

/// How often the validator may judge by these schemas.
pub(super) fn total(states: &[State]) -> u64 {
    states.iter().fold(0, |sum, state| sum.saturating_add(state.times))
}
