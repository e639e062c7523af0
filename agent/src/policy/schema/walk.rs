//! One walk over the arguments before they are validated: lengths, undeclared members, and the work
//! that validating will take.
//!
//! A value is judged by a set of schemas, each reached in so many ways. The set is bounded by the
//! schema, so the walk is linear in the arguments even where the validator's work would not be.

use serde_json::{Map, Value};

use super::closure::{NodeId, State, merge};
use super::explain::clip;
use super::graph::Graph;
use super::{SchemaOptions, Violation};

/// Arguments may be nested this deep; messages are bounded likewise.
const MAX_DEPTH: usize = 64;

/// Schemas that may judge values of one call: some for every value, and as many again at once.
const WORK_PER_VALUE: u64 = 256;
const WORK_AT_ONCE: u64 = 20_000;

/// Checks the arguments of one call.
pub(super) fn check(
    graph: &Graph,
    options: SchemaOptions,
    arguments: &Map<String, Value>,
) -> Result<(), Violation> {
    let mut walk = Walk { graph, options, spent: graph.cost(0), budget: WORK_AT_ONCE };
    walk.object(arguments, graph.closure(0), &Place { parent: None, step: Step::Root, depth: 0 })
}

/// Where the walk stands.
struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

impl<'a> Place<'a> {
    fn at(&'a self, step: Step<'a>) -> Self {
        Self { parent: Some(self), step, depth: self.depth + 1 }
    }

    fn pointer(&self) -> String {
        let own = match self.step {
            Step::Root => return String::new(),
            Step::Member(name) => clip(&name.replace('~', "~0").replace('/', "~1")),
            Step::Item(index) => index.to_string(),
        };
        format!("{}/{own}", self.parent.map(Self::pointer).unwrap_or_default())
    }

    fn refuse<T>(&self, message: impl Into<String>) -> Result<T, Violation> {
        Err(Violation { pointer: self.pointer(), message: message.into() })
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    options: SchemaOptions,
    spent: u64,
    budget: u64,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value, judges: &Judges, place: &Place) -> Result<(), Violation> {
        self.budget = self.budget.saturating_add(WORK_PER_VALUE);
        self.spend(judges.cost(self.graph));
        if self.spent > self.budget {
            return place.refuse("validating these arguments takes too much work; simplify them");
        }
        match value {
            Value::String(text) => self.text(text, place),
            Value::Array(_) | Value::Object(_) if place.depth > MAX_DEPTH => {
                place.refuse(format!("nested deeper than {MAX_DEPTH} levels; flatten it"))
            }
            Value::Array(items) => {
                judges.with(self.graph, |states| self.array(items, states, place))
            }
            Value::Object(members) => {
                judges.with(self.graph, |states| self.object(members, states, place))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn spend(&mut self, work: u64) {
        self.spent = self.spent.saturating_add(work);
    }

    fn text(&self, text: &str, place: &Place) -> Result<(), Violation> {
        let most = self.options.max_string;
        if text.len() <= most {
            return Ok(());
        }
        place.refuse(format!("{} bytes long, {most} at most; shorten it", text.len()))
    }

    fn array(&mut self, items: &[Value], states: &[State], place: &Place) -> Result<(), Violation> {
        for (index, item) in items.iter().enumerate() {
            let mut judges = Judges::default();
            for state in states {
                let Some(node) = self.graph.nodes.get(state.node) else { continue };
                match node.prefix.get(index) {
                    Some(&own) => judges.add(state, own),
                    None => judges.add_all(state, &node.items),
                }
                judges.add_all(state, &node.each);
            }
            self.value(item, &judges, &place.at(Step::Item(index)))?;
        }
        Ok(())
    }

    fn object(
        &mut self,
        members: &Map<String, Value>,
        states: &[State],
        place: &Place,
    ) -> Result<(), Violation> {
        let strict = self.options.strict && self.is_closed(states);
        for (name, value) in members {
            let here = place.at(Step::Member(name));
            self.text(name, &here)?;
            let mut judges = Judges::default();
            let mut declared = false;
            for state in states {
                let Some(node) = self.graph.nodes.get(state.node) else { continue };
                let mut listed = false;
                if let Some(&own) = node.properties.get(name) {
                    judges.add(state, own);
                    listed = true;
                }
                for (pattern, own) in &node.patterns {
                    if self.graph.matches(pattern, name) {
                        judges.add(state, *own);
                        listed = true;
                    }
                }
                if !listed {
                    judges.add_all(state, &node.others);
                }
                declared |= listed && state.declares;
                for &names in &node.names {
                    self.spend(self.graph.cost(names).saturating_mul(state.times));
                }
            }
            if strict && !declared {
                return here.refuse("not a member that the schema declares; remove it");
            }
            self.value(value, &judges, &here)?;
        }
        Ok(())
    }

    /// Whether some schema lists the members of an object and none says that there may be others.
    fn is_closed(&self, states: &[State]) -> bool {
        let declaring = || {
            let states = states.iter().filter(|state| state.declares);
            states.filter_map(|state| self.graph.nodes.get(state.node))
        };
        declaring().any(|node| node.lists_members) && !declaring().any(|node| node.is_open)
    }
}

/// The schemas by which a member or an item is judged. Most are judged by one.
#[derive(Default)]
struct Judges {
    one: Option<State>,
    more: Vec<State>,
}

impl Judges {
    fn add(&mut self, parent: &State, node: NodeId) {
        let state = State { node, ..*parent };
        if self.one.is_none() {
            self.one = Some(state);
        } else {
            self.more.push(state);
        }
    }

    fn add_all(&mut self, parent: &State, nodes: &[NodeId]) {
        for &node in nodes {
            self.add(parent, node);
        }
    }

    fn iter(&self) -> impl Iterator<Item = &State> {
        self.one.iter().chain(&self.more)
    }

    fn cost(&self, graph: &Graph) -> u64 {
        self.iter().fold(0, |sum, state| {
            sum.saturating_add(graph.cost(state.node).saturating_mul(state.times))
        })
    }

    /// Calls `f` with all that judge the value.
    fn with<T>(&self, graph: &Graph, f: impl FnOnce(&[State]) -> T) -> T {
        match (&self.one, self.more.is_empty()) {
            (None, _) => f(&[]),
            (Some(State { node, times: 1, declares: true }), true) => f(graph.closure(*node)),
            _ => {
                let mut states = Vec::new();
                for parent in self.iter() {
                    states.extend(graph.closure(parent.node).iter().map(|state| State {
                        node: state.node,
                        times: state.times.saturating_mul(parent.times),
                        declares: state.declares && parent.declares,
                    }));
                }
                merge(&mut states);
                f(&states)
            }
        }
    }
}
