//! How much may be written.

use serde_json::{Map, Value};

use super::{Denial, deny};
use crate::policy::limits::Limits;

/// Arguments whose bytes become a file's content.
const CONTENT: [&str; 5] = ["content", "contents", "text", "data", "body"];

/// Judges the size of what is to be written.
pub(in crate::policy) fn check_size(
    limits: &Limits,
    arguments: &Map<String, Value>,
) -> Result<(), Denial> {
    let Some(most) = limits.max_file_size else { return Ok(()) };
    let rule = format!("{}.max_file_size", limits.key);
    let contents: Vec<_> = CONTENT.iter().filter_map(|name| arguments.get(*name)).collect();
    if contents.is_empty() {
        return deny(rule, "the tool is limited by content size, and the call has no content");
    }
    let mut size = 0;
    for content in contents {
        match content {
            Value::String(text) => size += text.len() as u64,
            _ => return deny(rule, "the content is not a string"),
        }
    }
    if size > most {
        return deny(rule, format!("{size} bytes of content; at most {most} are allowed"));
    }
    Ok(())
}
