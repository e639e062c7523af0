//! What is said on the control socket:
//! ```text
//! {"command":"status"}                  {"sessions":[…]}
//! {"command":"overview"}                {"overview":{…}}
//! {"command":"thaw","session":"ID"}     "done"
//! {"command":"kill","session":"ID"}     {"refused":{"reason":"unknown","message":"…"}}
//! {"command":"reload"}                  {"reloaded":{…}}
//! ```

use serde::{Deserialize, Serialize};

use super::overview::Overview;
use super::reload::{ReloadError, Reloaded};
use crate::session::{OrderError, SessionStatus};

/// A request may have this many bytes.
pub(super) const REQUEST_BYTES: usize = 4 << 10;
/// An answer may have this many bytes: a thousand sessions, each with calls in flight.
pub(super) const ANSWER_BYTES: u64 = 64 << 20;

/// What an operator asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Which sessions there are, and what they do.
    Status {},
    /// How the whole is.
    Overview {},
    /// To let a frozen session go on.
    Thaw {
        /// Its id.
        session: String,
    },
    /// To kill a session.
    Kill {
        /// Its id.
        session: String,
    },
    /// To read the configuration anew.
    Reload {},
}

/// What an operator is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The sessions.
    Sessions(Vec<SessionStatus>),
    /// The whole.
    Overview(Box<Overview>),
    /// It was done.
    Done,
    /// The configuration was read anew.
    Reloaded(Reloaded),
    /// It was not done.
    Refused {
        /// Why, for programs.
        reason: Refusal,
        /// Why, in one line.
        message: String,
    },
}

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The request cannot be read.
    Request,
    /// The user may not ask.
    Permission,
    /// There is no such session.
    Unknown,
    /// The session does not answer.
    Busy,
    /// The session is not frozen.
    NotFrozen,
    /// The kernel refused.
    Kernel,
    /// The configuration cannot be put in force; the message has all lines of why.
    Configuration,
}

impl Answer {
    /// That something was not done.
    pub(super) fn refused(reason: Refusal, message: String) -> Self {
        Self::Refused { reason, message }
    }
}

impl From<OrderError> for Answer {
    fn from(error: OrderError) -> Self {
        let reason = match error {
            OrderError::Unknown(_) => Refusal::Unknown,
            OrderError::Busy(_) => Refusal::Busy,
            OrderError::NotFrozen(_) => Refusal::NotFrozen,
            OrderError::Kernel(..) => Refusal::Kernel,
        };
        Self::refused(reason, error.to_string())
    }
}

impl From<ReloadError> for Answer {
    fn from(error: ReloadError) -> Self {
        Self::refused(Refusal::Configuration, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_one_form() {
        let text = |request| serde_json::to_string(&request).expect("serialises");
        assert_eq!(text(Request::Status {}), r#"{"command":"status"}"#);
        let thaw = text(Request::Thaw { session: "a".into() });
        assert_eq!(thaw, r#"{"command":"thaw","session":"a"}"#);
        assert!(serde_json::from_str::<Request>(r#"{"command":"status","session":"a"}"#).is_err());
    }
}
