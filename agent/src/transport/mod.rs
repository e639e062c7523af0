//! Bytes in, messages out.
#![forbid(unsafe_code)]

mod lines;

pub use lines::{Line, LineReader, LineWriter};
