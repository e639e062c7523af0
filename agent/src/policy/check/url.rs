//! Which URLs a call may name.

use serde_json::{Map, Value};

use super::{Denial, deny, texts};
use crate::policy::arguments::{Meaning, Named};
use crate::policy::limits::Limits;
use crate::policy::url::judge;

/// Judges every URL that a call names.
pub(in crate::policy) fn check_urls(
    limits: &Limits,
    arguments: &Map<String, Value>,
) -> Result<(), Denial> {
    let Some(urls) = &limits.urls else { return Ok(()) };
    let names = urls.arguments.as_deref();
    for Named { name, value } in texts(arguments, Meaning::Url, names, &limits.key)? {
        if let Err(denial) = judge(&urls.rules, value) {
            let rule = match denial.limit {
                // No pattern can allow such a URL.
                "url" => limits.key.clone(),
                limit => format!("{}.{limit}", limits.key),
            };
            return deny(rule, format!("argument `{name}`: {}", denial.reason));
        }
    }
    Ok(())
}
