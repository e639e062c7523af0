//! Arguments judged by a JSON Schema: the tool's own `inputSchema`, or a stricter one from policy.
//!
//! A schema comes from a server and arguments from a caller, and neither is trusted with the work
//! they cause: references stay inside the document, patterns run in linear time or under a limit,
//! and what one call may cost is counted before it is spent.
#![forbid(unsafe_code)]

mod closure;
mod document;
mod explain;
mod graph;
#[cfg(test)]
mod tests;
mod walk;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use document::Document;
use graph::Graph;

/// The size, in bytes, that one pattern may take when compiled.
const PATTERN_SIZE: usize = 1 << 19;

/// How often a pattern with look-around may turn back on one string.
const BACKTRACKS: usize = 20_000;

/// How arguments are judged beyond what their schema says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaOptions {
    /// Refuse members that no branch of the schema declares, in every object whose members a schema
    /// declares and for which it does not say `additionalProperties` or `unevaluatedProperties`.
    pub strict: bool,
    /// How long a string may be anywhere in the arguments, names of members included, in bytes.
    pub max_string: usize,
}

impl Default for SchemaOptions {
    fn default() -> Self {
        Self { strict: false, max_string: 65_536 }
    }
}

/// Why a schema is refused. Calls of its tool cannot be judged and are denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Not an object or boolean, or of values that the dialect does not allow.
    #[error("not a JSON Schema: {0}")]
    Invalid(String),
    /// `$schema` names something else.
    #[error("the dialect `{0}` is not known; use https://json-schema.org/draft/2020-12/schema")]
    Dialect(String),
    /// A reference that leads out of the document; nothing is ever fetched.
    #[error("`{0}` is outside of the schema and is not fetched; copy it into `$defs`")]
    External(String),
    /// A reference that leads nowhere.
    #[error("`{0}` leads to nothing in the schema; correct it")]
    Dangling(String),
    /// An identifier below the root would change what references mean.
    #[error("a schema within has its own identifier `{0}`; remove it and refer by `#/$defs/…`")]
    Embedded(String),
    /// A reference that leads back to itself without taking a step into the arguments.
    #[error("a reference at `{0}` leads back to itself; remove it")]
    Circular(String),
    /// Larger or deeper than any tool needs.
    #[error("the schema has {0}; simplify it")]
    TooLarge(&'static str),
    /// A pattern that cannot be matched with bounded work.
    #[error("the pattern `{0}` is not valid or needs unbounded work; simplify it")]
    Pattern(String),
}

/// What is wrong with the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if pointer.is_empty() { "arguments" } else { pointer })]
pub struct Violation {
    /// Where, as a JSON pointer (RFC 6901) into the arguments; empty for all of them.
    pub pointer: String,
    /// What, in one line that never repeats a value of the arguments.
    pub message: String,
}

/// A schema compiled once, to validate many calls.
#[derive(Debug)]
pub struct ArgumentSchema {
    validator: Validator,
    graph: Graph,
    options: SchemaOptions,
}

impl ArgumentSchema {
    /// Compiles a schema. Its dialect is 2020-12 unless `$schema` names an older one, from draft 4 on.
    pub fn compile(schema: &Value, options: SchemaOptions) -> Result<Self, SchemaError> {
        let document = Document::new(schema)?;
        let mut graph = Graph::new(&document)?;
        let engine = Engine::choose(&graph)?;
        graph.compile_patterns(engine)?;
        let mut plain = schema.clone();
        if let Value::Object(root) = &mut plain {
            // The dialect is known; its spelling need not be one that the validator knows.
            root.shift_remove("$schema");
        }
        let validator = engine
            .options()
            .with_draft(document.draft)
            .build(&plain)
            .map_err(|error| SchemaError::Invalid(explain::message(&error)))?;
        Ok(Self { validator, graph, options })
    }

    /// Judges the arguments of one call.
    pub fn validate(&self, arguments: &Map<String, Value>) -> Result<(), Violation> {
        walk::check(&self.graph, self.options, arguments)?;
        let arguments = Value::Object(arguments.clone());
        // Errors cost more to find than whether there are any.
        if self.validator.is_valid(&arguments) {
            return Ok(());
        }
        match self.validator.validate(&arguments) {
            Err(error) => Err(explain::violation(&error)),
            Ok(()) => Err(Violation {
                pointer: String::new(),
                message: "the schema judges these arguments in two ways".to_owned(),
            }),
        }
    }
}

/// How patterns are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    /// In linear time.
    Linear,
    /// With look-around and back-references, given up at a limit; what is given up does not match.
    Limited,
}

impl Engine {
    /// Linear unless a pattern needs more. Giving up must mean a denial, so a schema with such a
    /// pattern must not have a keyword by which what fails to match is allowed.
    fn choose(graph: &Graph) -> Result<Self, SchemaError> {
        for pattern in graph.pattern_texts() {
            if Self::Linear.pattern(pattern).is_none() {
                let limited = Self::Limited.pattern(pattern).is_some();
                if graph.turns_failure_around || !limited {
                    return Err(SchemaError::Pattern(explain::clip(pattern)));
                }
                return Ok(Self::Limited);
            }
        }
        Ok(Self::Linear)
    }

    fn options(self) -> jsonschema::ValidationOptions<'static> {
        let options = jsonschema::options().offline();
        // `format: regex` would compile what the caller sends.
        let options = options.with_format("regex", |_: &str| true);
        match self {
            Self::Linear => {
                options.with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
            }
            Self::Limited => options.with_pattern_options(
                PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS).size_limit(PATTERN_SIZE),
            ),
        }
    }

    /// A matcher of strings, with the validator's own reading of the pattern.
    fn pattern(self, pattern: &str) -> Option<Validator> {
        self.options().build(&serde_json::json!({ "pattern": pattern })).ok()
    }
}
