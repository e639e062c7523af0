//! Shared parts of the end-to-end tests and of the demonstration: a client, a rogue server, network
//! namespaces, and the reading of audit records.
#![forbid(unsafe_code)]

pub mod asker;
pub mod browser;
pub mod client;
pub mod corpus;
pub mod count;
pub mod dns;
pub mod harness;
pub mod http;
pub mod nameserver;
pub mod needs;
pub mod netns;
pub mod places;
pub mod probe;
pub mod records;
pub mod scratch;
pub mod suite;
