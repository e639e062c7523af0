//! A report of what the audit log tells of a time or of an incident: one HTML file for people.
//!
//! The log is read record by record, as verification reads it, and what is kept of it is bounded: counts, the
//! calls that matter, and the records that are listed. What is left out is counted and said. Everything
//! that the log holds is text from outside ([`foreign::Foreign`]), which a page can only show escaped.
#![forbid(unsafe_code)]

mod attention;
mod denials;
mod entry;
mod facts;
mod finding;
mod foreign;
mod happenings;
mod incident;
mod outcome;
mod page;
mod peers;
mod point;
mod ranking;
mod reading;
mod row;
mod scope;
mod timeline;

pub use incident::Target;
pub use page::About;
pub use reading::{Asked, Calls, Report, ReportError, Summary, Work, read};
pub use scope::Scope;
