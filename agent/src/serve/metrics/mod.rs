//! Metrics, for Prometheus and whatever reads its text format: what was recorded, in numbers.
//!
//! Everything is counted from the records themselves, where they are written, so metrics and audit log agree.
//! Labels have values of a fixed set alone: ids of configured servers, and words of the record. No tool, argument,
//! path, peer or caller is ever one.

mod endpoint;
mod families;
mod watched;

pub(crate) use endpoint::Endpoint;
pub(crate) use families::Metrics;
pub(crate) use watched::Watched;
