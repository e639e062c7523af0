//! Which URLs a call may name.

use serde_json::{Map, Value};

use super::{Denial, deny, texts};
use crate::policy::arguments::{Meaning, Named};
use crate::policy::limits::Limits;
use crate::policy::url::{UrlPeer, judge};

/// Judges every URL that a call names, and says whom they reach.
pub(in crate::policy) fn check_urls(
    limits: &Limits,
    arguments: &Map<String, Value>,
) -> Result<Vec<UrlPeer>, Denial> {
    let Some(urls) = &limits.urls else { return Ok(Vec::new()) };
    let names = urls.arguments.as_deref();
    let mut peers = Vec::new();
    for Named { name, value } in texts(arguments, Meaning::Url, names, &limits.key)? {
        match judge(&urls.rules, value) {
            Ok(peer) => peers.push(peer),
            Err(denial) => {
                let rule = match denial.limit {
                    // No pattern can allow such a URL.
                    "url" => limits.key.clone(),
                    limit => format!("{}.{limit}", limits.key),
                };
                return deny(rule, format!("argument `{name}`: {}", denial.reason));
            }
        }
    }
    Ok(peers)
}
