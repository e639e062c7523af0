//! How templates write values.

use askama::Values;

use crate::report::point::Number;

/// A count in a table, where nothing is a dash: what there is stands out.
#[askama::filter_fn]
pub(super) fn counted(count: &u64, _: &dyn Values) -> askama::Result<String> {
    Ok(if *count == 0 { "–".to_owned() } else { Number(*count).to_string() })
}
