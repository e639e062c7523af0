//! Shortening a list in a response without touching what stays.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Why a list cannot be shortened.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The response has no such list.
    #[error("the response has no list `result.tools`: {0}")]
    Shape(#[from] serde_json::Error),
    /// The list has another length than what was judged.
    #[error("the list has {0} items, and {1} were judged")]
    Length(usize, usize),
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    result: &'a RawValue,
}

#[derive(Deserialize)]
struct Tools<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
}

/// The response `text` to `tools/list` without the items of `result.tools` for which `keep` says false. All
/// other bytes stay as they are; only between items that are left, white space may go. The text must be
/// one that [`super::Message`] accepts.
pub fn shorten_tools(text: &str, keep: &[bool]) -> Result<String, ListError> {
    let response: Response = serde_json::from_str(text)?;
    let Tools { tools } = serde_json::from_str(response.result.get())?;
    if tools.len() != keep.len() {
        return Err(ListError::Length(tools.len(), keep.len()));
    }
    let (Some(first), Some(last)) = (tools.first(), tools.last()) else {
        return Ok(text.to_owned());
    };
    // The items are slices of the text.
    let offset = |item: &str| item.as_ptr().addr() - text.as_ptr().addr();
    let before = text.get(..offset(first.get())).unwrap_or_default();
    let after = text.get(offset(last.get()) + last.get().len()..).unwrap_or_default();
    let kept = tools.iter().zip(keep).filter(|(_, keep)| **keep).map(|(item, _)| item.get());
    Ok(format!("{before}{}{after}", kept.collect::<Vec<_>>().join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_keeps_its_bytes() {
        let text = concat!(
            r#"{ "jsonrpc":"2.0","id":1, "result": {"_meta":{"a":1.50},"t\u006fols" : [ "#,
            r#"{"name":"a", "x":1e2},  {"name":"b","n":123456789012345678901},{"name":"\u0063"} "#,
            r#"], "nextCursor":"z"} }"#
        );
        assert_eq!(
            shorten_tools(text, &[true, false, true]).expect("shortened"),
            concat!(
                r#"{ "jsonrpc":"2.0","id":1, "result": {"_meta":{"a":1.50},"t\u006fols" : [ "#,
                r#"{"name":"a", "x":1e2},{"name":"\u0063"} ], "nextCursor":"z"} }"#
            )
        );
        let none = shorten_tools(text, &[false; 3]).expect("shortened");
        assert!(none.contains(r#"[  ], "nextCursor":"z"} }"#), "{none}");
    }

    #[test]
    fn what_is_no_list_of_that_length_is_refused() {
        let list = |tools: &str| format!(r#"{{"id":1,"result":{{"tools":{tools}}}}}"#);
        assert!(shorten_tools(&list("[]"), &[]).is_ok());
        assert!(shorten_tools(&list("[1]"), &[]).is_err());
        assert!(shorten_tools(&list("{}"), &[]).is_err());
        assert!(shorten_tools(r#"{"id":1,"error":{}}"#, &[]).is_err());
    }
}
