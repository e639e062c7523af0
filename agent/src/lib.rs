//! warrantd: host enforcement agent for MCP servers.
//!
//! The modules stand in the order in which a call walks through them. A module imports only from
//! those named before it, and from [`config`]; nothing imports [`cli`] or [`serve`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod config;
pub mod mcp;
pub mod auth;
pub mod policy;
pub mod warrant;
pub mod kernel;
pub mod audit;
pub mod transport;
pub mod session;
pub mod serve;
pub mod cli;
