//! What a server asks for in its answer: input (`input_required`, MCP 2026-07-28), or that the user be
//! sent to a URL first (error -32042, MCP 2025-11-25).

use serde_json::{Map, Value};

use super::decide::{Asked, decide_method};
use crate::config::Action;
use crate::mcp::json::disguised_key;
use crate::mcp::methods::Side;
use crate::policy::compile::Policy;
use crate::policy::decide::Decision;

/// Things that one answer may ask for.
pub const MAX_INQUIRIES: usize = 32;

/// The error that asks for the user to be sent to URLs (MCP 2025-11-25, section Elicitation).
const URL_ELICITATION_REQUIRED: i64 = -32042;

/// Something that an answer asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Inquiry<'a> {
    /// The method by which a server of the other era asks for it.
    pub method: &'a str,
    /// Its parameters.
    pub params: Map<String, Value>,
}

/// What an answer asks for; nothing for most. The error says why that cannot be told.
pub fn inquiries(answer: &Result<Value, Value>) -> Result<Vec<Inquiry<'_>>, &'static str> {
    let found = match answer {
        Ok(result) => of_result(result)?,
        Err(error) => of_error(error)?,
    };
    if found.len() > MAX_INQUIRIES {
        return Err("the answer asks for too much at once");
    }
    Ok(found)
}

fn of_result(result: &Value) -> Result<Vec<Inquiry<'_>>, &'static str> {
    let Some(result) = result.as_object() else { return Ok(Vec::new()) };
    if disguised_key(result, &["resultType", "inputRequests", "requestState"]).is_some() {
        return Err("the answer has keys that could be mistaken for others");
    }
    // Whatever the result's type is: a careless client goes by the key.
    let Some(requests) = result.get("inputRequests").filter(|requests| !requests.is_null()) else {
        return Ok(Vec::new());
    };
    let requests = requests.as_object().ok_or("`inputRequests` is not an object")?;
    let read = |request| read(request).ok_or("an entry of `inputRequests` is no request");
    requests.values().map(read).collect()
}

fn read(request: &Value) -> Option<Inquiry<'_>> {
    let request = request.as_object()?;
    if disguised_key(request, &["method", "params"]).is_some() {
        return None;
    }
    let params = match request.get("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(_) => return None,
    };
    Some(Inquiry { method: request.get("method")?.as_str()?, params })
}

fn of_error(error: &Value) -> Result<Vec<Inquiry<'_>>, &'static str> {
    let code = error.get("code");
    let asks = code.and_then(Value::as_i64) == Some(URL_ELICITATION_REQUIRED)
        || code.and_then(Value::as_f64) == Some(-32042.0);
    if !asks {
        return Ok(Vec::new());
    }
    let list = error.pointer("/data/elicitations").and_then(Value::as_array);
    let list = list.ok_or("the error has no readable `elicitations`")?;
    let read = |elicitation: &Value| {
        let mut params = elicitation.as_object().cloned().ok_or("an elicitation is no object")?;
        // A client takes it for one that sends the user away, whatever it says.
        params.insert("mode".to_owned(), Value::from("url"));
        Ok(Inquiry { method: "elicitation/create", params })
    };
    list.iter().map(read).collect()
}

/// Decides about all that an answer asks for: the first denial, or leave. `None` when it asks for
/// nothing.
pub fn decide_answer(
    policy: &Policy,
    actor: &str,
    answer: &Result<Value, Value>,
    resolve: &dyn Fn(&str) -> String,
) -> Option<Decision> {
    let inquiries = match inquiries(answer) {
        Ok(inquiries) => inquiries,
        Err(why) => return Some(Decision::denied("methods", why)),
    };
    let mut last = None;
    for Inquiry { method, params } in &inquiries {
        // An answer asks for what a server could ask, and for nothing else.
        let asked = Asked { actor, method, params, resolve };
        let decision = decide_method(policy, Side::Server, asked);
        if decision.action == Action::Deny {
            return Some(decision);
        }
        last = Some(decision);
    }
    last
}
