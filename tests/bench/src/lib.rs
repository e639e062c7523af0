//! What warrantd costs on the way of a call: a null server, a load client, and the comparison with others.
//!
//! Client and server do as little as they can: messages are formatted beforehand, of answers no more is
//! read than whose they are and whether they are results. Each message is a write of its own, as the SDKs
//! do it.
#![forbid(unsafe_code)]

pub mod calls;
pub mod daemon;
pub mod figures;
pub mod follow;
pub mod http;
pub mod lines;
pub mod load;
pub mod machine;
pub mod memory;
pub mod null;
pub mod others;
pub mod peers;
pub mod report;
pub mod rows;
pub mod soak;
pub mod stage;
