//! warrantd: host enforcement agent for MCP servers.
//!
//! The modules stand in the order in which a call walks through them. A module imports only from
//! those named before it, from [`config`] and from `aside`; nothing imports [`cli`], and nothing but [`doctor`] and
//! `cli` imports [`serve`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod aside;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod config;
pub mod discover;
pub mod doctor;
pub mod kernel;
pub mod learn;
pub mod mcp;
pub mod names;
pub mod policy;
pub mod report;
pub mod serve;
pub mod session;
pub mod transport;
pub mod warrant;
