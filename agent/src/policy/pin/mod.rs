//! Tool pinning: what a server says of its tools, held against what was accepted.
//!
//! A tool's definition is read by a model as instructions. A server that shows a harmless one until it
//! is trusted and another one later ("rug pull") is found by comparing hashes. Pure: definitions are
//! handed in, and files are somebody else's.

mod canonical;
mod definition;
mod near_name;
mod visible;

pub use canonical::canonical;
pub use definition::{Definition, DefinitionError, MAX_DEFINITION, MAX_NAME};
pub use near_name::near_name;
pub use visible::{is_hidden, shortened, visible, visible_json};
