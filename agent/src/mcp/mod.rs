//! JSON-RPC and MCP messages, read strictly. Knows no policy.
//!
//! A message is first proved unambiguous ([`json`]), then classified ([`message`]). What passes is
//! forwarded as its original bytes, so that policy and the server read the same value.
#![forbid(unsafe_code)]

pub mod era;
pub mod error;
pub mod header_value;
pub mod json;
pub mod list;
pub mod message;
pub mod methods;
pub mod param_header;
mod splice;

pub use era::Era;
pub use error::{RpcError, code};
pub use json::JsonError;
pub use message::{Id, Message, MessageError, ToolCall};
pub use param_header::ParamHeader;
pub use splice::Splice;
