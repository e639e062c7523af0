//! Calls that take several rounds: a result that asks for more input, and the call that brings it.
//!
//! Since revision 2026-07-28 of MCP a server that needs input answers with `resultType:
//! input_required` and an opaque `requestState`, which the client sends back in a new call. That call
//! is decided anew; its record names the one that it continues.

use std::collections::VecDeque;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Rounds that a session remembers. The oldest is forgotten first.
const KEPT: usize = 256;

/// The calls of a session that were answered with a question, by hash of their state.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    open: VecDeque<([u8; 32], String)>,
}

impl Rounds {
    /// Takes note of a result, if it asks for more input.
    pub(super) fn learn(&mut self, result: &Value, correlation: &str) {
        if result.get("resultType").and_then(Value::as_str) != Some("input_required") {
            return;
        }
        let Some(state) = result.get("requestState").and_then(Value::as_str) else { return };
        let hash = hash(state);
        self.open.retain(|(known, _)| *known != hash);
        if self.open.len() == KEPT {
            self.open.pop_front();
        }
        self.open.push_back((hash, correlation.to_owned()));
    }

    /// The correlation id of the call that was answered with this state.
    pub(super) fn continued(&self, state: &str) -> Option<&str> {
        let hash = hash(state);
        self.open
            .iter()
            .find(|(known, _)| *known == hash)
            .map(|(_, correlation)| correlation.as_str())
    }
}

fn hash(state: &str) -> [u8; 32] {
    Sha256::digest(state).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_leads_to_the_call_that_got_it() {
        let mut rounds = Rounds::default();
        let asks = |state: &str| json!({"resultType": "input_required", "requestState": state});
        rounds.learn(&asks("a"), "1");
        rounds.learn(&asks("b"), "2");
        rounds.learn(&json!({"resultType": "complete", "requestState": "c"}), "3");
        rounds.learn(&json!({"resultType": "input_required"}), "4");
        assert_eq!(rounds.continued("a"), Some("1"));
        assert_eq!(rounds.continued("b"), Some("2"));
        assert_eq!(rounds.continued("c"), None);
        rounds.learn(&asks("a"), "5");
        assert_eq!(rounds.continued("a"), Some("5"), "the last one counts");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut rounds = Rounds::default();
        for n in 0..KEPT + 1 {
            let state = n.to_string();
            rounds.learn(&json!({"resultType": "input_required", "requestState": state}), &state);
        }
        assert_eq!(rounds.open.len(), KEPT);
        assert_eq!(rounds.continued("0"), None);
        assert_eq!(rounds.continued("256"), Some("256"));
    }
}
