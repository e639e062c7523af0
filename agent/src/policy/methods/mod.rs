//! What may be asked beside tool calls: by clients of servers, and by servers of clients.
//!
//! What cannot act is allowed unless it is denied. What can act, what a server asks, and what MCP does
//! not have, is denied unless it is allowed; a method that the side which sends it does not have is
//! denied whatever is allowed.

mod answer;
mod arguments;
mod ask;
mod compile;
mod decide;
mod listen;
mod names;
mod near_miss;
mod remarks;
mod request;
#[cfg(test)]
mod tests;
mod uris;

pub use answer::{Inquiry, MAX_INQUIRIES, decide_answer, inquiries};
pub use arguments::{method_arguments, request_summary};
pub(super) use compile::Methods;
pub use decide::{Asked, decide_method};
pub use near_miss::method_near_miss;
pub use remarks::method_remarks;
