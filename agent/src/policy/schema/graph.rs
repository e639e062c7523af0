//! A schema as a graph: which schemas judge a value, and which judge its members.
//!
//! The validator does the judging. The graph answers what it does not: whether any branch declares a
//! member, and how much work a call will cause.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::{Map, Value};

use super::closure::{Closures, NodeId, State, total};
use super::document::{Document, Target};
use super::explain::clip;
use super::{Engine, SchemaError};

/// Distinct patterns, and bytes of one.
const MAX_PATTERNS: usize = 128;
const MAX_PATTERN: usize = 4096;

/// Keywords by which a value passes because a schema within does not.
const TURNING: [&str; 7] = [
    "not",
    "if",
    "oneOf",
    "contains",
    "patternProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// One schema of a document.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Whether the schema lists members by name or pattern.
    pub(super) lists_members: bool,
    /// Whether it says itself what becomes of other members, and does not refuse them all.
    pub(super) is_open: bool,
    pub(super) properties: HashMap<String, NodeId>,
    pub(super) patterns: Vec<(String, NodeId)>,
    /// Judge members that are not listed.
    pub(super) others: Vec<NodeId>,
    /// Judge items by position.
    pub(super) prefix: Vec<NodeId>,
    /// Judge items after those.
    pub(super) items: Vec<NodeId>,
    /// Judge every item.
    pub(super) each: Vec<NodeId>,
    /// Judge the names of all members.
    pub(super) names: Vec<NodeId>,
    /// Judge the same value; whether what they declare counts.
    pub(super) same: Vec<(NodeId, bool)>,
}

/// A compiled graph. The root is node 0.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// For each node, all that judge a value when it does, itself included.
    closures: Vec<Vec<State>>,
    /// For each node, the sum of its closure's times.
    costs: Vec<u64>,
    texts: Vec<String>,
    matchers: HashMap<String, Validator>,
    /// Whether some keyword allows what does not match.
    pub(super) turns_failure_around: bool,
}

impl Graph {
    /// Builds the graph of a document.
    pub(super) fn new(document: &Document) -> Result<Self, SchemaError> {
        let mut builder = Builder {
            document,
            ids: HashMap::new(),
            nodes: Vec::new(),
            left: Vec::new(),
            texts: Vec::new(),
            turns: false,
        };
        builder.intern(document.root);
        while let Some((id, value)) = builder.left.pop() {
            let node = builder.read(id, value)?;
            if let Some(place) = builder.nodes.get_mut(id) {
                *place = node;
            }
        }
        let Builder { nodes, texts, turns, .. } = builder;
        let closures = Closures::of(&nodes)?;
        let costs = closures.iter().map(|states| total(states)).collect();
        Ok(Self {
            nodes,
            closures,
            costs,
            texts,
            matchers: HashMap::new(),
            turns_failure_around: turns,
        })
    }

    /// What judges a value that `node` judges.
    pub(super) fn closure(&self, node: NodeId) -> &[State] {
        self.closures.get(node).map_or(&[], Vec::as_slice)
    }

    /// How often the validator may judge a value that `node` judges.
    pub(super) fn cost(&self, node: NodeId) -> u64 {
        self.costs.get(node).copied().unwrap_or(u64::MAX)
    }

    /// The distinct patterns of the schema.
    pub(super) fn pattern_texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Compiles the patterns that choose members.
    pub(super) fn compile_patterns(&mut self, engine: Engine) -> Result<(), SchemaError> {
        for (text, _) in self.nodes.iter().flat_map(|node| &node.patterns) {
            if !self.matchers.contains_key(text) {
                let matcher = engine.pattern(text);
                let matcher = matcher.ok_or_else(|| SchemaError::Pattern(clip(text)))?;
                self.matchers.insert(text.clone(), matcher);
            }
        }
        Ok(())
    }

    /// Whether a member's name matches a pattern of the schema.
    pub(super) fn matches(&self, pattern: &str, name: &str) -> bool {
        let name = Value::String(name.to_owned());
        self.matchers.get(pattern).is_some_and(|matcher| matcher.is_valid(&name))
    }
}

/// Reads schemas into nodes, each once, without recursion.
struct Builder<'a> {
    document: &'a Document<'a>,
    ids: HashMap<*const Value, NodeId>,
    nodes: Vec<Node>,
    left: Vec<(NodeId, &'a Value)>,
    texts: Vec<String>,
    turns: bool,
}

impl<'a> Builder<'a> {
    fn intern(&mut self, value: &'a Value) -> NodeId {
        let next = self.nodes.len();
        let id = *self.ids.entry(std::ptr::from_ref(value)).or_insert(next);
        if id == next {
            self.nodes.push(Node::default());
            self.left.push((id, value));
        }
        id
    }

    fn intern_all(&mut self, value: Option<&'a Value>) -> Vec<NodeId> {
        match value {
            Some(Value::Array(items)) => items.iter().map(|item| self.intern(item)).collect(),
            Some(value) => vec![self.intern(value)],
            None => Vec::new(),
        }
    }

    fn read(&mut self, id: NodeId, value: &'a Value) -> Result<Node, SchemaError> {
        let Value::Object(object) = value else { return Ok(Node::default()) };
        self.check_identity(id, object)?;
        let mut node = Node::default();
        self.read_references(id, object, &mut node)?;
        if self.document.is_ref_alone() && object.contains_key("$ref") {
            return Ok(node);
        }
        self.turns |= TURNING.iter().any(|key| object.contains_key(*key));
        if let Some(Value::String(pattern)) = object.get("pattern") {
            self.note_pattern(pattern)?;
        }
        self.read_branches(object, &mut node);
        self.read_members(object, &mut node)?;
        self.read_items(object, &mut node);
        Ok(node)
    }

    fn check_identity(&self, id: NodeId, object: &Map<String, Value>) -> Result<(), SchemaError> {
        if id == 0 {
            return Ok(());
        }
        if let Some(dialect) = object.get("$schema") {
            self.document.check_dialect(dialect)?;
        }
        // Up to draft 7 an identifier that is a mere fragment is an anchor, and one beside `$ref` void.
        let void = self.document.is_ref_alone() && object.contains_key("$ref");
        match object.get(self.document.id_key()) {
            Some(Value::String(own)) if !own.starts_with('#') && !void => {
                Err(SchemaError::Embedded(clip(own)))
            }
            _ => Ok(()),
        }
    }

    fn read_references(
        &mut self,
        id: NodeId,
        object: &'a Map<String, Value>,
        node: &mut Node,
    ) -> Result<(), SchemaError> {
        for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(Value::String(reference)) = object.get(key) else { continue };
            let target = if key == "$ref" {
                self.document.resolve(reference)?
            } else {
                self.document.resolve_dynamic(reference)?
            };
            match target {
                Target::Schemas(targets) => {
                    for target in targets {
                        let target = self.intern(target);
                        node.same.push((target, true));
                    }
                }
                Target::Meta => {
                    // A schema as an argument: open, and judged the same all the way down.
                    node.is_open = true;
                    node.others.push(id);
                    node.each.push(id);
                }
            }
        }
        Ok(())
    }

    fn read_branches(&mut self, object: &'a Map<String, Value>, node: &mut Node) {
        for key in ["allOf", "anyOf", "oneOf", "if", "then", "else"] {
            node.same.extend(self.intern_all(object.get(key)).into_iter().map(|id| (id, true)));
        }
        node.same.extend(self.intern_all(object.get("not")).into_iter().map(|id| (id, false)));
        for key in ["dependentSchemas", "dependencies"] {
            let Some(Value::Object(dependent)) = object.get(key) else { continue };
            for schema in dependent.values().filter(|value| !value.is_array()) {
                let schema = self.intern(schema);
                node.same.push((schema, true));
            }
        }
    }

    fn read_members(
        &mut self,
        object: &'a Map<String, Value>,
        node: &mut Node,
    ) -> Result<(), SchemaError> {
        if let Some(Value::Object(properties)) = object.get("properties") {
            node.lists_members = true;
            for (name, schema) in properties {
                node.properties.insert(name.clone(), self.intern(schema));
            }
        }
        if let Some(Value::Object(patterns)) = object.get("patternProperties") {
            node.lists_members = true;
            for (pattern, schema) in patterns {
                self.note_pattern(pattern)?;
                node.patterns.push((pattern.clone(), self.intern(schema)));
            }
        }
        node.names = self.intern_all(object.get("propertyNames"));
        for key in ["additionalProperties", "unevaluatedProperties"] {
            let Some(schema) = object.get(key) else { continue };
            node.is_open |= schema != &Value::Bool(false);
            node.others.push(self.intern(schema));
        }
        Ok(())
    }

    fn read_items(&mut self, object: &'a Map<String, Value>, node: &mut Node) {
        node.prefix = self.intern_all(object.get("prefixItems"));
        match object.get("items") {
            // Positions, before 2020-12.
            Some(Value::Array(items)) => {
                node.prefix.extend(items.iter().map(|item| self.intern(item)).collect::<Vec<_>>());
            }
            items => node.items = self.intern_all(items),
        }
        node.items.extend(self.intern_all(object.get("additionalItems")));
        for key in ["contains", "unevaluatedItems"] {
            node.each.extend(self.intern_all(object.get(key)));
        }
    }

    fn note_pattern(&mut self, pattern: &str) -> Result<(), SchemaError> {
        if pattern.len() > MAX_PATTERN {
            return Err(SchemaError::TooLarge("a pattern of more than 4096 bytes"));
        }
        if !self.texts.iter().any(|text| text == pattern) {
            self.texts.push(pattern.to_owned());
        }
        if self.texts.len() > MAX_PATTERNS {
            return Err(SchemaError::TooLarge("more than 128 different patterns"));
        }
        Ok(())
    }
}
