//! All that is judged of a POST by its headers and message alone, in one pure function.

use std::net::SocketAddr;

use http::{HeaderMap, Uri};

use super::agree;
use super::guard::{self, Names, check_accept, check_content_type};
use super::refusal::Refusal;
use crate::config::ListenerConfig;
use crate::mcp::{Message, ParamHeader};

/// The message of a POST that passes, or the status of the refusal. `params` are the headers that the called
/// tool wants.
pub fn examine(
    listener: &ListenerConfig,
    local: Option<SocketAddr>,
    headers: &HeaderMap,
    body: &[u8],
    params: &[ParamHeader],
) -> Result<Message, u16> {
    judge(listener, local, headers, body, params).map_err(|refusal| refusal.status.as_u16())
}

fn judge(
    listener: &ListenerConfig,
    local: Option<SocketAddr>,
    headers: &HeaderMap,
    body: &[u8],
    params: &[ParamHeader],
) -> Result<Message, Refusal> {
    let names = Names::new(listener);
    guard::once(headers)?;
    names.check_host(headers, &Uri::from_static("/mcp"), local)?;
    names.check_origin(headers)?;
    guard::key(headers)?;
    check_content_type(headers)?;
    check_accept(headers, &["application/json", "text/event-stream"])?;
    let message = Message::parse(body).map_err(|error| Refusal::bad(error.to_string()))?;
    if agree::is_modern(headers, &message)
        && let Message::Request { method, params: given, .. } = &message
    {
        agree::check(headers, method, given, |_| params.to_vec())?;
    }
    Ok(message)
}
