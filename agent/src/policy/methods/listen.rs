//! `subscriptions/listen` (MCP 2026-07-28): what a client wants to be told of.

use serde_json::Value;

use super::compile::Methods;
use super::decide::{Asked, allowed_by};
use super::request::resource;
use crate::mcp::json::{case_collision, disguised_key};
use crate::policy::check::{Denial, deny};

/// Resources that one request may name.
const MOST: usize = 1024;

/// Judges the filter: each resource that it names is one that is subscribed to.
pub(super) fn check_listen(root: &str, asked: Asked, levels: &[&Methods]) -> Result<(), Denial> {
    const NAMES: [&str; 4] =
        ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];
    let own = || format!("methods.{}", asked.method);
    let Some(Value::Object(filter)) = asked.params.get("notifications") else {
        return deny(own(), "it needs \"notifications\"");
    };
    if let Some(key) = disguised_key(filter, &NAMES).or(case_collision(filter).map(|(key, _)| key))
    {
        return deny(own(), format!("key {key:?} could be mistaken for one of the protocol"));
    }
    let uris = match filter.get("resourceSubscriptions") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(uris)) => uris,
        Some(_) => return deny(own(), "resourceSubscriptions must be a list of URIs"),
    };
    if uris.is_empty() {
        return Ok(());
    }
    if uris.len() > MOST {
        return deny(own(), format!("resourceSubscriptions has more than {MOST} URIs"));
    }
    allowed_by(Asked { method: "resources/subscribe", ..asked }, levels)?;
    for (index, uri) in uris.iter().enumerate() {
        let place = format!("resourceSubscriptions[{index}]");
        let Some(uri) = uri.as_str() else {
            return deny(own(), format!("{place} is not a URI"));
        };
        let limits = levels.iter().filter_map(|level| level.subscribe.as_ref());
        resource(root, asked, uri, &place, limits)?;
    }
    Ok(())
}
