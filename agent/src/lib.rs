//! warrantd: host enforcement agent for MCP servers.
//!
//! The modules stand in the order in which a call walks through them. A module imports only from
//! those named before it, and from [`config`].

pub mod auth;
pub mod config;
pub mod kernel;
pub mod mcp;
pub mod policy;
pub mod warrant;
